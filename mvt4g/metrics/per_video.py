"""What most metrics of video share: one value a video, a mean over videos, and nothing dropped unseen."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class PerVideoMetric(Metric):
    """Keeps the values of every video and averages them; NaN says that a video has no such value, and is counted.

    A value a video is kept, not a running sum: means do not depend on batches or ranks, and a table of all videos
    with confidence intervals needs no second pass. Every column has one entry for every video, in one order.

    Args:
        columns: Names of the values; each is a state, a 1-D float64 tensor.
    """

    full_state_update = False

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        for name in self.columns:
            assert not hasattr(self, name), f"{name} is an attribute already"
            self.add_state(name, [], dist_reduce_fx="cat")
        self.set_dtype(torch.float64)  # of the empty tensor that a rank without videos contributes

    def add_videos(self, **values: Float[Tensor, " b"] | Int[Tensor, " b"]) -> None:
        """Append one entry to every column for each of b videos."""
        assert values.keys() == set(self.columns), f"want {self.columns}"
        for name, entries in values.items():
            getattr(self, name).append(entries.to(torch.float64))

    def add_missing(self, count: int) -> None:
        """Append ``count`` videos that have no value at all, so that columns of several metrics stay in step."""
        missing = torch.full((count,), torch.nan, dtype=torch.float64, device=self.device)
        self._update_count, self._computed = self._update_count + 1, None  # as torchmetrics' own update does
        self.add_videos(**dict.fromkeys(self.columns, missing))

    def per_video(self, name: str) -> Float[Tensor, " videos"]:
        """Return a column: all videos so far (of all ranks, where they were synchronised)."""
        state = getattr(self, name)
        if isinstance(state, Tensor):
            return state
        return dim_zero_cat(state) if state else torch.zeros(0, dtype=torch.float64, device=self.device)

    def table(self) -> dict[str, Float[Tensor, " videos"]]:
        """Return every column."""
        return {name: self.per_video(name) for name in self.columns}

    def mean(self, name: str) -> Float[Tensor, ""]:
        """Return a column's mean over the videos that have the value; NaN if none has."""
        return self.per_video(name).nanmean()

    def total(self, name: str) -> Float[Tensor, ""]:
        """Return a column's sum over the videos that have the value."""
        return self.per_video(name).nansum()

    def num_missing(self, name: str) -> Int[Tensor, ""]:
        """Return how many videos do not have the value."""
        return self.per_video(name).isnan().sum()
