"""The names of the videos that the other metrics of a collection have values of, and a note on each."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor
from torchmetrics import Metric

END = 0
"""Character that ends a name."""


class VideoNames(Metric):
    """Keeps names and notes as tensors of characters, so that they cross ranks in the order of the values.

    Example:
        >>> names = VideoNames()
        >>> names.update(["dog", "car-shadow"])
        >>> names.names()
        ['dog', 'car-shadow']
        >>> names.first_rows()
        [0, 1]
    """

    key = "num_videos"
    full_state_update = False
    higher_is_better = None
    is_differentiable = False
    characters: list[Tensor]
    note_characters: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("characters", [], dist_reduce_fx="cat")
        self.add_state("note_characters", [], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Of the empty tensor that a rank without videos contributes; torchmetrics' own is lost with ``to(device)``."""
        return torch.int64

    def update(self, names: Sequence[str], notes: Sequence[str] | None = None) -> None:
        """Append names, and what is to be told of each video."""
        self.characters.append(self._codes(names))
        self.note_characters.append(self._codes([""] * len(names) if notes is None else notes))

    def compute(self) -> dict[str, Int[Tensor, ""]]:
        """Return how many videos there are, each counted once."""
        return {"num_videos": torch.tensor(len(self.first_rows()), device=self.device)}

    def names(self) -> list[str]:
        """Return the names (of all ranks, where they were synchronised)."""
        return _texts(self.characters)

    def notes(self) -> list[str]:
        """Return the notes, in the same order."""
        return _texts(self.note_characters)

    def first_rows(self) -> list[int]:
        """Return where each name comes first; videos without a name are all different ones."""
        first: dict[str | int, int] = {}
        for row, name in enumerate(self.names()):
            first.setdefault(name or row, row)
        return list(first.values())

    def _codes(self, texts: Sequence[str]) -> Int[Tensor, " codes"]:
        codes: list[int] = []
        for text in texts:
            # An END within a text would cut it in two.
            codes += [*map(ord, text.replace(chr(END), "")), END]
        return torch.tensor(codes, dtype=torch.int64, device=self.device)


def _texts(state: Int[Tensor, " codes"] | list[Int[Tensor, " _"]]) -> list[str]:
    # After a synchronisation the list of a rank's parts is one tensor of all ranks.
    parts = [state] if isinstance(state, Tensor) else state
    codes: list[int] = []
    for part in parts:
        codes += part.tolist()
    return "".join(map(chr, codes)).split(chr(END))[:-1]
