"""Batches of clips in any datamodule: loader settings, the collate function, errors that cross workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mvt4g.data.worker_signals import leave_signals_to_parent
from mvt4g.ranges import Depth, Few, Side, check_ranges
from mvt4g.types import InputError, LatentClip, MultiViewClip

T = TypeVar("T")
Clip = TypeVar("Clip", MultiViewClip, LatentClip)


@dataclass(frozen=True)
class LoaderSpec:
    """Loader settings that every datamodule shares.

    Attributes:
        batch_size: Clips a micro-batch of one rank.
        num_workers: Worker processes; 0 loads in the main process. No value changes a sample.
        pin_memory: Pin batches in host memory, worth it with a GPU only.
        prefetch_factor: Batches each worker prepares ahead.
        persistent_workers: Keep the workers between epochs and validations.
    """

    batch_size: Side = 8
    num_workers: Few = 0
    pin_memory: bool = False
    prefetch_factor: Depth = 2
    persistent_workers: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a count is out of range.
        """
        check_ranges(self, "loader")

    def worker_options(self) -> dict[str, Any]:
        """Return the DataLoader arguments beside batch and order; what needs workers is left out without them."""
        options: dict[str, Any] = {"num_workers": self.num_workers, "pin_memory": self.pin_memory}
        if self.num_workers:
            options["prefetch_factor"] = self.prefetch_factor
            options["persistent_workers"] = self.persistent_workers
            options["worker_init_fn"] = leave_signals_to_parent
        return options


def collate(items: Sequence[Clip | InputError]) -> Clip | InputError:
    """Stack clips of one kind, or hand on the first error among them: raising in a worker would lose its type."""
    clips: list[Clip] = []
    for item in items:
        if isinstance(item, InputError):
            return item
        clips.append(item)
    try:
        return type(clips[0]).stack(clips)
    except InputError as error:
        return error


@dataclass(frozen=True)
class Survivors:
    """A batch of the clips of a list that could be read, and what is wrong with those that could not.

    Attributes:
        batch: None where there is none.
        errors: At least one.
    """

    batch: MultiViewClip | LatentClip | None
    errors: tuple[InputError, ...]


def collate_survivors(items: Sequence[Clip | InputError]) -> Clip | InputError | Survivors:
    """Stack the clips among some items; what is wrong with the others goes with them."""
    errors: list[InputError] = []
    whole: list[Clip] = []
    for item in items:
        if isinstance(item, InputError):
            errors.append(item)
        else:
            whole.append(item)
    if not errors:
        return collate(items)
    batch = collate(whole) if whole else None
    if isinstance(batch, InputError):
        return Survivors(None, (*errors, batch))
    return Survivors(batch, tuple(errors))


def goes_on(trainer: Any) -> bool:
    """Say whether a command goes on after a bad item of its list and lists it at its end: test and predict do.

    Args:
        trainer: None where a loader is read without one.
    """
    return trainer is not None and bool(trainer.testing or trainer.predicting)


def raise_if_error(batch: T | InputError) -> T:
    """Return the batch, or raise the error that came in its place; call it in the main process.

    Raises:
        InputError: The one a worker returned.
    """
    if isinstance(batch, InputError):
        raise batch
    return batch
