"""One sequence over several ranks: each computes a slice of its tokens, and gathers the keys and values of all."""

import torch
import torch.distributed as dist
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from mvt4g.types import InputError


class TokenSlices:
    """Slices of equal length of the tokens of a grid, one a rank, in the order of the flattened grid.

    A slice keeps the axes of a grid, ``b n 1 1 ...``, so that what is done to tokens one by one needs no change. Every
    rank of the group holds the same batch and computes the same loss; gradients averaged over the ranks are then those
    of one process, since gathering adds up what comes back from all of them.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.rank, self.ranks = dist.get_rank(group), dist.get_world_size(group)

    def own(self, values: Float[Tensor, " b #f #h #w *rest"], grid: torch.Size) -> Float[Tensor, "b n 1 1 *rest"]:
        """Return this rank's slice.

        Args:
            values: Of all tokens; an axis of 1 is repeated.
            grid: Frames, rows and columns of tokens.

        Raises:
            InputError: If the tokens cannot be shared out evenly.
        """
        if (count := grid.numel()) % self.ranks:
            raise InputError(
                f"tokens: got {count} ({' x '.join(map(str, grid))}), want a multiple of {self.ranks} ranks"
            )
        flat = values.expand(-1, *grid, *values.shape[4:]).flatten(1, 3)
        return rearrange(flat.chunk(self.ranks, dim=1)[self.rank], "b n ... -> b n 1 1 ...")

    def whole(self, part: Float[Tensor, "b n 1 1 *rest"]) -> Float[Tensor, "b _ 1 1 *rest"]:
        """Return the tokens of all ranks."""
        return torch.cat(all_gather(part.contiguous(), self.group), dim=1)

    def on_grid(self, part: Float[Tensor, "b n 1 1 *rest"], grid: torch.Size) -> Float[Tensor, "b f h w *rest"]:
        """Return the tokens of all ranks on their grid."""
        return self.whole(part).reshape(len(part), *grid, *part.shape[4:])
