"""What a batch adds to the metrics of a module, told apart from what the batches before it have added."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat, dim_zero_max, dim_zero_min, dim_zero_sum

from mvt4g.types import InputError

MERGED = frozenset((dim_zero_sum, dim_zero_cat, dim_zero_max, dim_zero_min))
"""Reductions whose result does not depend on how batches are grouped, but for rounding."""


@runtime_checkable
class LeavesNotes(Protocol):
    """A module whose batches leave something beside metrics, such as what a picture shows."""

    def take_notes(self) -> dict[str, Any]:
        """Return what the batches so far have left, as tensors and plain values, and forget it."""

    def add_notes(self, notes: dict[str, Any]) -> None:
        """Take what batches have left that come after those seen so far."""


@dataclass(frozen=True)
class MetricShare:
    """What some batches have added to a module.

    Attributes:
        states: Sums and lists of every metric, by its path in the module.
        updates: How often each was updated.
        notes: What modules keep beside metrics, likewise.
    """

    states: dict[str, dict[str, Tensor | list[Tensor]]]
    updates: dict[str, int]
    notes: dict[str, dict[str, Any]]

    @staticmethod
    def take(module: nn.Module) -> "MetricShare":
        """Return what was added so far, and reset the metrics."""
        states = {}
        updates = {}
        for path, metric in metrics_of(module).items():
            states[path] = _copy_state(metric)
            updates[path] = metric._update_count
            metric.reset()
        notes = {path: part.take_notes() for path, part in _note_keepers(module).items()}
        return MetricShare(states, updates, notes)

    def add_to(self, module: nn.Module) -> None:
        """Add this to what a module holds, as that of later batches."""
        for path, metric in metrics_of(module).items():
            before = metric.metric_state
            count = metric._update_count
            for name, value in self.states[path].items():
                setattr(metric, name, _to(value, metric.device))
            # torchmetrics adds the states it is given in front of its own: the order of batches decides the last digit.
            metric._reduce_states(before)
            metric._update_count = count + self.updates[path]
            metric._computed = None
        for path, part in _note_keepers(module).items():
            part.add_notes(self.notes[path])

    def fits(self, module: nn.Module) -> bool:
        """Say whether this is of a module with these metrics: what is read from a file may be anything."""
        metrics = metrics_of(module)
        if not (self.states.keys() == self.updates.keys() == metrics.keys()):
            return False
        for path, metric in metrics.items():
            if not _are_states_of(metric, self.states[path]):
                return False
        return self.notes.keys() == _note_keepers(module).keys()

    def as_content(self) -> dict[str, Any]:
        """Return this as plain values and tensors of their own on the CPU, as ``torch.save`` takes them."""
        return _to(vars(self), "cpu", own=True)


def metrics_of(module: nn.Module) -> dict[str, Metric]:
    """Return the metrics of a module at any depth, by path."""
    return {path: part for path, part in module.named_modules() if isinstance(part, Metric)}


def _note_keepers(module: nn.Module) -> dict[str, LeavesNotes]:
    return {path: part for path, part in module.named_modules() if isinstance(part, LeavesNotes)}


def are_mergeable(module: nn.Module) -> bool:
    """Say whether what batches add to the metrics of a module may be added up: some need to see all that was before."""
    for metric in metrics_of(module).values():
        if metric.full_state_update is not False or not MERGED.issuperset(metric._reductions.values()):
            return False
    return True


def added_alone(module: nn.Module, step: Callable[[], Any]) -> tuple[Any, MetricShare]:
    """Run a step on metrics that start from nothing, then add what it has added to what was there.

    Args:
        module: Whose metrics; they must be mergeable.
        step: May raise, which leaves the metrics as they were.

    Returns:
        Its output, and what it has added.
    """
    before = MetricShare.take(module)
    try:
        output = step()
        share = MetricShare.take(module)
    except BaseException:
        MetricShare.take(module)
        before.add_to(module)
        raise
    before.add_to(module)
    share.add_to(module)
    return output, share


@contextmanager
def undone(module: nn.Module, only_if_it_fails: bool = False) -> Iterator[None]:
    """Leave all metrics of a module as they were before the block.

    Args:
        module: Whose metrics, at any depth.
        only_if_it_fails: Only when the block raises an ``InputError``.
    """
    kept = []
    for metric in metrics_of(module).values():
        kept.append((metric, _copy_state(metric), metric._update_count))
    failed = False
    try:
        yield
    except InputError:
        failed = True
        raise
    finally:
        if failed or not only_if_it_fails:
            for metric, state, count in kept:
                metric._update_count = count
                metric._computed = None
                for name, value in state.items():
                    setattr(metric, name, value)


def _copy_state(metric: Metric) -> dict[str, Any]:
    """Return a copy of a metric's sums and lists; the entries of lists are never written into."""
    copies: dict[str, Any] = {}
    for name, value in metric.metric_state.items():
        copies[name] = value.clone() if isinstance(value, Tensor) else list(value)
    return copies


def _are_states_of(metric: Metric, states: dict[str, Any]) -> bool:
    """Say whether states are those of a metric: sums as they start, and lists of tensors."""
    if metric._defaults.keys() != states.keys():
        return False
    for name, default in metric._defaults.items():
        state = states[name]
        if isinstance(default, list):
            fits = isinstance(state, list) and all(isinstance(entry, Tensor) for entry in state)
        else:
            fits = isinstance(state, Tensor) and (state.shape, state.dtype) == (default.shape, default.dtype)
        if not fits:
            return False
    return True


def _to(tree: Any, device: torch.device | str, own: bool = False) -> Any:
    """Return nested mappings and lists with their tensors on a device; ``own``: none is a view of a larger one."""
    if isinstance(tree, Tensor):
        moved = tree.detach().to(device)
        return moved.clone() if own else moved
    if isinstance(tree, dict):
        return {key: _to(value, device, own) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_to(value, device, own) for value in tree)
    return tree
