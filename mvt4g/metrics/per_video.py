"""What most metrics of video share: one value a video, a mean over videos, and nothing dropped unseen."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mvt4g.metrics.compute_groups import keep_apart


class PerVideoMetric(Metric):
    """Keeps the values of every video and averages them; NaN says that a video has no such value, and is counted.

    A value a video is kept, not a running sum: means do not depend on batches or ranks, and a table of all videos
    with confidence intervals needs no second pass. Every column has one entry for every video, in one order.

    Args:
        columns: Names of the values; each is a state, a 1-D float64 tensor.
    """

    full_state_update = False
    row: str = "video"
    """What an entry of the columns stands for."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        for name in self.columns:
            assert not hasattr(self, name), f"{name} is an attribute already"
            self.add_state(name, [], dist_reduce_fx="cat")
        keep_apart(self)
        self._rows: Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Of the empty tensor that a rank without videos contributes; torchmetrics' own is lost with ``to(device)``."""
        return torch.float64

    def add_videos(self, **values: Float[Tensor, " b"] | Int[Tensor, " b"]) -> None:
        """Append one entry to every column for each of b videos."""
        assert values.keys() == set(self.columns), f"want {self.columns}"
        for name, entries in values.items():
            # float64 whatever the values came in: a mean over many videos keeps its digits.
            getattr(self, name).append(entries.to(self.device, torch.float64))

    def add_video(self, values: Mapping[str, Float[Tensor, ""]]) -> None:
        """Append one entry to every column for one video."""
        self.add_videos(**{name: value[None] for name, value in values.items()})

    def add_missing(self, count: int) -> None:
        """Append ``count`` videos that have no value at all, so that columns of several metrics stay in step."""
        missing = torch.full((count,), torch.nan, dtype=torch.float64, device=self.device)
        self.add_scored(**dict.fromkeys(self.columns, missing))

    def add_scored(self, **values: Float[Tensor, " b"] | Int[Tensor, " b"]) -> None:
        """Add b videos whose values were found outside of ``update``, as it would."""
        # As torchmetrics' own update does: what was computed before is out of date.
        self._update_count += 1
        self._computed = None
        self.add_videos(**values)

    def per_video(self, name: str) -> Float[Tensor, " videos"]:
        """Return a column: all videos so far (of all ranks, where they were synchronised)."""
        state = getattr(self, name)
        empty = torch.zeros(0, dtype=torch.float64, device=self.device)
        values = state if isinstance(state, Tensor) else dim_zero_cat([empty, *state])
        return values if self._rows is None else values[self._rows]

    @contextmanager
    def only_rows(self, rows: Int[Tensor, " kept"]) -> Iterator[None]:
        """Let columns hold these videos alone for the length of a block, so that nobody counts one twice."""
        self._rows = rows.to(self.device)
        self._computed = None
        try:
            yield
        finally:
            self._rows = None
            self._computed = None

    def _reduce_states(self, incoming_state: dict[str, Any]) -> None:
        """Add states up, without the graph of a batch that ``forward`` gave a gradient: it would never be freed."""
        for name in self.columns:
            state = getattr(self, name)
            if isinstance(state, Tensor):
                setattr(self, name, state.detach())
            else:
                setattr(self, name, [part.detach() for part in state])
        super()._reduce_states(incoming_state)

    def table(self) -> dict[str, Float[Tensor, " videos"]]:
        """Return every column."""
        return {name: self.per_video(name) for name in self.columns}

    def mean(self, name: str) -> Float[Tensor, ""]:
        """Return a column's mean over the videos that have the value; NaN if none has."""
        return self.per_video(name).nanmean()

    def means(self, names: Sequence[str]) -> dict[str, Float[Tensor, ""]]:
        """Return the means of several columns, by name."""
        return {name: self.mean(name) for name in names}

    def total(self, name: str) -> Float[Tensor, ""]:
        """Return a column's sum over the videos that have the value."""
        return self.per_video(name).nansum()

    def num_missing(self, name: str) -> Int[Tensor, ""]:
        """Return how many videos do not have the value."""
        return self.per_video(name).isnan().sum()
