"""One sequence over several ranks: each computes a slice of its tokens, and gathers the keys and values of all."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
import torch.distributed as dist
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from mvt4g.models.block_taps import BlockTaps
from mvt4g.models.layers.attention import QueryKey, SelfAttention
from mvt4g.models.video_dit import BlockInputs, DiTBlock, VideoDiT
from mvt4g.types import InputError


class TokenSlices:
    """Slices of equal length of the tokens of a grid, one a rank, in the order of the flattened grid.

    A slice keeps the axes of a grid, ``b n 1 1 ...``, so that what is done to tokens one by one needs no change. Every
    rank of the group holds the same batch and computes the same loss; gradients averaged over the ranks are then those
    of one process, since gathering adds up what comes back from all of them.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.rank = dist.get_rank(group)
        self.ranks = dist.get_world_size(group)

    def own(
        self,
        values: Float[Tensor, " b #f #h #w *rest"],
        grid: torch.Size,
    ) -> Float[Tensor, "b n 1 1 *rest"]:
        """Return this rank's slice.

        Args:
            values: Of all tokens; an axis of 1 is repeated.
            grid: Frames, rows and columns of tokens.

        Raises:
            InputError: If the tokens cannot be shared out evenly.
        """
        if (count := grid.numel()) % self.ranks:
            sides = " x ".join(map(str, grid))
            raise InputError(f"tokens: got {count} ({sides}), want a multiple of {self.ranks} ranks")
        flat = values.expand(-1, *grid, *values.shape[4:]).flatten(1, 3)
        own = flat.chunk(self.ranks, dim=1)[self.rank]
        return rearrange(own, "b n ... -> b n 1 1 ...")

    def whole(self, part: Float[Tensor, "b n 1 1 *rest"]) -> Float[Tensor, "b _ 1 1 *rest"]:
        """Return the tokens of all ranks."""
        return torch.cat(all_gather(part.contiguous(), self.group), dim=1)

    def on_grid(
        self,
        part: Float[Tensor, "b n 1 1 *rest"],
        grid: torch.Size,
    ) -> Float[Tensor, "b f h w *rest"]:
        """Return the tokens of all ranks on their grid."""
        return self.whole(part).reshape(len(part), *grid, *part.shape[4:])


RunBlocks = Callable[
    [Float[Tensor, "b f h w d"], BlockInputs, BlockTaps, int | None], Float[Tensor, "b n h w d"]
]  # fmt: skip
"""``VideoDiT.run_blocks``."""


def share_tokens(dit: VideoDiT, group: dist.ProcessGroup) -> None:
    """Let each rank of ``group``, given the same inputs, compute a slice of the tokens; outputs are whole.

    Args:
        dit: Changed in place: what runs its blocks is wrapped, and its self-attentions gather keys and values.
        group: Of the ranks.

    Raises:
        InputError: If a conditioning biases attention: it knows whole frames of tokens.
    """
    if any(block.attention_biases for block in dit.blocks if isinstance(block, DiTBlock)):
        raise InputError("extra_conditioning: got a bias on attention and ranks that share tokens, want one of them")
    slices = TokenSlices(group)
    for module in dit.modules():
        if isinstance(module, SelfAttention):
            # torch.compile cuts its graph there: what waits for other ranks is none of its operators.
            module.gather = torch.compiler.disable(slices.whole)
    dit.run_blocks = partial(_run_on_slices, slices, dit.run_blocks)  # type: ignore[method-assign]


def _run_on_slices(
    slices: TokenSlices,
    run_blocks: RunBlocks,
    tokens: Float[Tensor, "b f h w d"],
    given: BlockInputs,
    taps: BlockTaps,
    num_frames: int | None,
) -> Float[Tensor, "b n h w d"]:
    """Run the blocks on this rank's slice; every rank then has all tokens, and the taps of all.

    Raises:
        InputError: If attention is to be biased.
    """
    if taps.biases:
        raise InputError("evaluation.guidance.epipolar: got some and ranks that share tokens, want one of them")
    grid = tokens.shape[1:4]
    cameras = {name: slices.own(features, grid) for name, features in given.cameras.items()}
    own = given._replace(angles=slices.own(given.angles, grid), cameras=cameras)

    def take(layer: int, tap: QueryKey) -> None:
        taps.take(layer, QueryKey(*(slices.on_grid(part, grid) for part in tap)))

    # The last block works on the whole slice: the frames that go on are spread over the ranks.
    tokens = run_blocks(slices.own(tokens, grid), own, replace(taps, take=take), None)
    return tokens if taps.stop_after else slices.on_grid(tokens, grid)[:, :num_frames]
