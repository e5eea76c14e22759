"""The epipolar prior inside attention: a bias on logits from one line a token, of which no map is ever stored.

FlexAttention asks for every logit by the places of its query and key. The squared Sampson distance of two tokens
follows from what each token knows alone: its centre, and its epipolar line in the other view.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.epipolar import NO_BASELINE
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.models.layers.attention import ScoreMod
from mvt4g.types import REFERENCE, TARGET, Cameras, LatentGrid


class Columns(NamedTuple):
    """What a token knows, by its place on the last axis of ``EpipolarLines``; lengths in tokens.

    Attributes:
        x: Centre of the token.
        y: Centre of the token.
        line_x: Its epipolar line in the other view is line_x x + line_y y + line_1 = 0, of any scale that both views
            share; zero where the cameras share a centre.
        line_y: See ``line_x``.
        line_1: See ``line_x``.
        place_x: Where cameras of one centre show it in the target; of a target's token its own centre.
        place_y: See ``place_x``.
        one_centre: 1 where the cameras share a centre, else 0.
    """

    x: int = 0
    y: int = 1
    line_x: int = 2
    line_y: int = 3
    line_1: int = 4
    place_x: int = 5
    place_y: int = 6
    one_centre: int = 7


AT = Columns()
FAR_AWAY = 1e6
"""Where a token is put that the other camera has behind it, tokens."""


class EpipolarLines(nn.Module):
    """What every token knows of the other view's same frame: eight numbers (``Columns``)."""

    def __init__(self, grid: LatentGrid, patch: int) -> None:
        """Set the sizes: how the latents lie over the video, and the latent cells of a token on each side."""
        super().__init__()
        self.grid = grid
        self.patch = patch
        self.stride = patch * grid.spatial_stride

    def forward(self, cameras: Cameras, height: int, width: int) -> Float[Tensor, "b 2 f h w 8"]:
        """Return the numbers of every token of both views."""
        rows = height // self.patch
        columns = width // self.patch
        at_latents = slice(None, None, self.grid.temporal_stride)
        pose = cameras.cam_from_world[:, :, at_latents].double()
        intrinsics = cameras.intrinsics[:, :, at_latents].double()
        per_token = 1 / self.stride
        to_tokens = torch.tensor([per_token, per_token, 1.0], dtype=torch.float64, device=pose.device)
        intrinsics = torch.diag(to_tokens) @ intrinsics  # so that all lengths are in tokens
        centres = pixel_centres(rows, columns, 1, pose.device).flatten(0, 1).double()
        points = nn.functional.pad(centres, (0, 1), value=1.0)

        relative = compose(pose[:, TARGET], invert_pose(pose[:, REFERENCE]))  # target_from_reference
        baseline = torch.linalg.vector_norm(relative[..., :3, 3], dim=-1)
        apart = baseline > NO_BASELINE
        direction = relative[..., :3, 3] / baseline.clamp(min=NO_BASELINE)[..., None]
        inverse = torch.linalg.inv(intrinsics)
        # F = K_t^-T [t]x R K_r^-1 (Hartley & Zisserman, Eq. 9.2), of unit baseline and then of unit norm.
        in_target = inverse[:, TARGET].mT @ _cross_matrix(direction)
        fundamental = in_target @ relative[..., :3, :3] @ inverse[:, REFERENCE]
        fundamental = torch.where(apart[..., None, None], fundamental, torch.zeros_like(fundamental))
        norm = torch.linalg.matrix_norm(fundamental)[..., None, None]
        fundamental = fundamental / norm.clamp(min=1e-12)

        turned = intrinsics[:, TARGET] @ relative[..., :3, :3] @ inverse[:, REFERENCE]
        seen = torch.einsum("bfij,nj->bfni", turned, points)
        place = torch.where(seen[..., 2:] > 0, seen[..., :2] / seen[..., 2:].clamp(min=1e-12), FAR_AWAY)
        shape = (*apart.shape, len(points))
        one_centre = (~apart).double()[..., None, None].expand(*shape, 1)
        own = centres.expand(*shape, 2)
        # The line of a reference's token is F x, that of a target's F^T x.
        line_in_target = torch.einsum("bfij,nj->bfni", fundamental, points)
        line_in_reference = torch.einsum("bfij,nj->bfni", fundamental.mT, points)
        reference = torch.cat([own, line_in_target, place, one_centre], dim=-1)
        target = torch.cat([own, line_in_reference, own, one_centre], dim=-1)
        by_view = torch.stack([reference, target], dim=1).float()
        return rearrange(by_view, "b v f (h w) known -> b v f h w known", h=rows)


class LineBias(nn.Module):
    """Makes a block's gains a ``ScoreMod`` over the whole sequence, target frames first, then the reference's."""

    def __init__(
        self,
        gain: nn.Parameter,
        heads: Sequence[int],
        num_heads: int,
        width: float,
        log_width: nn.Parameter | None,
    ) -> None:
        """Take over the gains that the map would be made of: parameters of the same names.

        Args:
            gain: Of each of ``heads``.
            heads: Those that have a gain, 0-based.
            num_heads: All heads.
            width: s, in tokens, where it is not learnt.
            log_width: Natural logarithm of each gain's learnt s; None = not learnt.
        """
        super().__init__()
        self.gain = gain
        self.log_width = log_width
        self.heads = tuple(heads)
        self.num_heads = num_heads
        self.width = width

    def forward(self, known: Float[Tensor, "b joint_f h w 8"]) -> ScoreMod:
        """Return what FlexAttention does to every logit."""
        frames = known.shape[1] // 2
        cells = known.shape[2] * known.shape[3]
        tokens = rearrange(known, "b f h w known -> b (f h w) known")
        heads = torch.tensor(list(self.heads), device=known.device)
        gain = self.gain.new_zeros(self.num_heads).index_put((heads,), self.gain)
        width = self.gain.new_full((self.num_heads,), self.width)
        if self.log_width is not None:
            width = width.index_put((heads,), self.log_width.exp())

        def bias(score: Any, clip: Any, head: Any, query: Any, key: Any) -> Any:
            # Tokens come frame by frame, the target's frames first.
            in_target = query < frames * cells
            other_in_target = key < frames * cells
            same_time = (query // cells) % frames == (key // cells) % frames
            across = same_time & (in_target != other_in_target)
            squared = squared_distance(tokens, clip, query, key)
            closeness = torch.exp(-squared / (2 * width[head] * width[head]))
            return score + torch.where(across, gain[head] * closeness, 0.0)

        return bias


def squared_distance(tokens: Float[Tensor, "b n 8"], clip: Any, query: Any, key: Any) -> Any:
    """Return the squared distance, in tokens, of two tokens of one time and the two views."""

    def of(token: Any, column: int) -> Any:
        return tokens[clip, token, column]

    gap = of(query, AT.line_x) * of(key, AT.x) + of(query, AT.line_y) * of(key, AT.y) + of(query, AT.line_1)
    steepness = (
        of(query, AT.line_x) ** 2 + of(query, AT.line_y) ** 2 + of(key, AT.line_x) ** 2 + of(key, AT.line_y) ** 2
    )
    sampson = gap**2 / steepness.clamp(min=1e-24)
    # With one centre: one place is where the target shows the reference's token, the other the target's token itself.
    transfer_x = of(query, AT.place_x) - of(key, AT.place_x)
    transfer_y = of(query, AT.place_y) - of(key, AT.place_y)
    transfer = transfer_x**2 + transfer_y**2
    return torch.where(of(query, AT.one_centre) > 0, transfer, sampson)


def _cross_matrix(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the matrix whose product is the cross product with a vector from the left."""
    x, y, z = vector.unbind(dim=-1)
    zero = torch.zeros_like(x)
    first = torch.stack((zero, -z, y), dim=-1)
    second = torch.stack((z, zero, -x), dim=-1)
    third = torch.stack((-y, x, zero), dim=-1)
    return torch.stack([first, second, third], dim=-2)
