"""The names of the videos that the other metrics of a collection have values of."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

END = 0
"""Character that ends a name."""


class VideoNames(Metric):
    """Keeps names as a tensor of characters, so that they cross ranks in the order of the values.

    Example:
        >>> names = VideoNames()
        >>> names.update(["dog", "car-shadow"])
        >>> names.names()
        ['dog', 'car-shadow']
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    characters: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("characters", [], dist_reduce_fx="cat")
        self.set_dtype(torch.int64)

    def update(self, names: Sequence[str]) -> None:
        """Append names."""
        codes = [code for name in names for code in (*map(ord, name.replace(chr(END), "")), END)]
        self.characters.append(torch.tensor(codes, dtype=torch.int64, device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """Return how many there are."""
        return {"num_videos": (self._codes() == END).sum()}

    def names(self) -> list[str]:
        """Return the names (of all ranks, where they were synchronised)."""
        return "".join(map(chr, self._codes().tolist())).split(chr(END))[:-1]

    def _codes(self) -> Tensor:
        state = self.characters
        empty = torch.zeros(0, dtype=torch.int64, device=self.device)
        return state if isinstance(state, Tensor) else torch.cat([empty, *state])
