"""A few query points of a batch and what every layer's attention makes of them, for pictures."""

from dataclasses import dataclass, field, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from mvt4g.matching.rows import gather_queries, rotated, row_log_softmax
from mvt4g.matching.tokens import latent_frame_of
from mvt4g.types import REFERENCE, TARGET, AttentionTap, MultiViewClip, PointTruth


@dataclass(frozen=True)
class ShownMatches:
    """Query points of the reference, each to be found in the target's same frame.

    Attributes:
        clip: Index of each point's clip in the batch.
        names: Name of each point's clip.
        queries: (view, video frame, x, y), pixels.
        true_xy: Where the point is in the target, pixels.
        reference: The frame that the point is in, in [0, 1].
        target: The target's same frame.
        heat: By layer: the softmax over the tokens of the target's frame, mean over heads.
    """

    clip: Int[Tensor, " n"]
    names: tuple[str, ...]
    queries: Float[Tensor, "n 4"]
    true_xy: Float[Tensor, "n 2"]
    reference: Float[Tensor, "n 3 h w"]
    target: Float[Tensor, "n 3 h w"]
    heat: dict[int, Float[Tensor, "n rows columns"]] = field(default_factory=dict)

    @classmethod
    def choose(cls, batch: MultiViewClip, truth: PointTruth, clips: int, points: int) -> "ShownMatches":
        """Take a few points of the first clips, spread over how far apart they lie in the two views.

        Args:
            batch: Two views each.
            truth: Query points of the batch.
            clips: At most so many.
            points: At most so many a clip.
        """
        frame = truth.queries[..., 1].long()
        at_query = rearrange(frame, "b q -> b 1 q")
        seen = truth.visible[:, TARGET].take_along_dim(at_query, dim=1)[:, 0]
        there = truth.tracks[:, TARGET].take_along_dim(at_query[..., None], dim=1)[:, 0]
        usable = (seen & truth.valid & (truth.queries[..., 0] == REFERENCE))[:clips]
        apart = (there - truth.queries[..., 2:])[:clips].norm(dim=-1).where(usable, torch.inf)
        order = apart.argsort(dim=-1, stable=True)
        count = usable.sum(dim=-1, keepdim=True)
        # The middles of equal parts of the order; where points are few, ranks fall together and one of each is kept.
        rank = ((torch.arange(points, device=count.device) + 0.5) / points * count).long()
        kept = (rank < count) & (rank.diff(dim=-1, prepend=torch.full_like(count, -1)) > 0)
        clip = torch.arange(len(count), device=count.device)[:, None].expand_as(rank)[kept]
        point = order[clip, rank[kept]]
        time = frame[clip, point]
        names = (batch.name,) if isinstance(batch.name, str) else batch.name
        return cls(
            clip=clip,
            names=tuple(names[index] for index in clip.tolist()),
            queries=truth.queries[clip, point],
            true_xy=there[clip, point],
            reference=batch.video[clip, REFERENCE, time],
            target=batch.video[clip, TARGET, time],
        )

    @torch.no_grad()
    def read(self, tap: AttentionTap) -> None:
        """Add what a layer's attention makes of the points."""
        rows, columns = tap.key.shape[3:5]
        latent, _, _ = latent_frame_of(self.queries[:, 1], tap.frame_times)
        maps = [torch.zeros(0, rows, columns, device=tap.key.device)]
        for clip, frame, query in zip(self.clip.tolist(), latent.tolist(), self.queries, strict=True):
            # Angles may be the same for all clips, and then stand once.
            turned = clip if len(tap.rotary) > 1 else 0
            query_map = tap.query[clip, None]
            key_map = tap.key[clip, None]
            angles = tap.rotary[turned, None]
            # A softmax by frame sees no tokens but the frame's.
            own = replace(tap, query=query_map, key=key_map, rotary=angles, other_key=None)
            there = replace(
                own,
                query=own.query[:, TARGET:, frame : frame + 1],
                key=own.key[:, TARGET:, frame : frame + 1],
                rotary=own.rotary[:, TARGET:, frame : frame + 1],
                frame_times=tap.frame_times[frame, None],
            )
            features = gather_queries(own, query[None, None], rotate=True)
            share = row_log_softmax(features, rotated(there)[1]).exp().mean(dim=2)
            maps.append(rearrange(share, "1 1 1 1 (h w) -> 1 h w", h=rows).float())
        self.heat[tap.layer] = torch.cat(maps)

    def with_target(self, video: Float[Tensor, "b t 3 h w"]) -> "ShownMatches":
        """Return the same with the target's frames of another video of it, such as the generated one."""
        return replace(self, target=video[self.clip, self.queries[:, 1].long()])
