"""A list of novel views that are asked for: which of them are read, from which seeds, and in which job."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from torch.utils.data import DataLoader, Dataset, Sampler

from mvt4g.data.loading import LoaderSpec, goes_on, raise_if_error
from mvt4g.data.real_clips import RealClip
from mvt4g.data.shares import ClaimSampler, share_of
from mvt4g.types import InputError


@runtime_checkable
class Request(Protocol):
    """One item of a list that ``predict`` leaves a folder of results for."""

    @property
    def clip(self) -> str:
        """Name of the video."""

    @property
    def camera(self) -> str:
        """Name of the target cameras."""

    def inputs(self) -> dict[str, Any]:
        """Return all of the data that the result depends on, as JSON holds it, files by their SHA-256.

        Raises:
            InputError: If a file cannot be read.
        """


@runtime_checkable
class GivesRequests(Protocol):
    """A datamodule whose items can be known, and left out, before they are read."""

    def requests(self) -> Sequence[Request]:
        """Return all items, once ``setup`` has run."""

    def keep(self, places: Iterable[int]) -> None:
        """Leave out all items but these."""


@runtime_checkable
class AskedView(Request, Protocol):
    """A novel view that can be read, or told why not; a frozen dataclass with the fields ``seed`` and ``several``."""

    @property
    def seed(self) -> int | None:
        """Of the noise; None = the model's own."""

    @property
    def several(self) -> bool:
        """Whether other views of the list are of the same video."""

    @property
    def item(self) -> str:
        """What lists and tables call it."""

    def convention(self) -> str:
        """What the target cameras are relative to: source_start, source_frames or world."""

    def read(self) -> RealClip | InputError:
        """Return the clip, or what is wrong with it."""


View = TypeVar("View", bound=AskedView)


class AskedViews(Dataset[RealClip | InputError], Generic[View]):
    """Views in order; what is wrong with one comes back as an ``InputError`` item that names it.

    Args:
        requests: Any number.
    """

    def __init__(self, requests: Sequence[View]) -> None:
        self.requests = tuple(requests)

    def only(self, places: Iterable[int]) -> "AskedViews[View]":
        """Return some of the views, perhaps none."""
        some = copy.copy(self)
        some.requests = tuple(self.requests[place] for place in places)
        return some

    def from_seeds(self, seeds: Sequence[int]) -> "AskedViews[View]":
        """Return each view once for each seed, those of a view one after the other."""
        many = copy.copy(self)
        drawn = []
        for request in self.requests:
            several = request.several or len(seeds) > 1
            drawn += [replace(request, seed=seed, several=several) for seed in seeds]  # type: ignore[type-var]
        many.requests = tuple(drawn)
        return many

    def __len__(self) -> int:
        """Return the number of views."""
        return len(self.requests)

    def __getitem__(self, index: int) -> RealClip | InputError:
        """Return a clip, or what is wrong with it."""
        return self.requests[index].read()


class AsksForViews(Generic[View]):
    """What a datamodule of novel views does beside ``setup``, which sets ``clips``.

    Attributes:
        clips: The views; None before ``setup``.
        claim: Asked when a view's turn comes, in one process alone: whether this process is to make it. None = yes.
        loader: Settings of the loader.
        trainer: Lightning's; None where a loader is read without one.
    """

    clips: AskedViews[View] | None = None
    claim: Callable[[View], bool] | None = None
    loader: LoaderSpec
    trainer: Any

    def requests(self) -> Sequence[View]:
        """Return all views, once ``setup`` has run."""
        return self.asked_views().requests

    def keep(self, places: Iterable[int]) -> None:
        """Leave out all views but these."""
        self.clips = self.asked_views().only(places)

    def draw(self, seeds: Sequence[int]) -> None:
        """Ask for each view once for each seed."""
        self.clips = self.asked_views().from_seeds(seeds)

    def asked_views(self) -> AskedViews[View]:
        """Return the list."""
        assert self.clips is not None, "setup comes first"
        return self.clips

    def view_loader(self) -> DataLoader[RealClip | InputError]:
        """Return the views in order, each to one rank, those of other jobs left out."""
        views = self.asked_views()
        options: dict[str, Any] = {**self.loader.worker_options(), "collate_fn": RealClip.batch_of_one}
        sampler: Sampler[int] | None = share_of(views, 1, self.trainer)
        if sampler is None and self.claim is not None:
            sampler = ClaimSampler(views.requests, self.claim)
        return DataLoader(views, batch_size=1, shuffle=False, sampler=sampler, **options)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Hand on what a worker found wrong, after which test and predict go on.

        Raises:
            InputError: The worker's, where there is no trainer to go on.
        """
        return batch if goes_on(self.trainer) else raise_if_error(batch)
