"""Metrics of one collection that do the same work, such as one network on the same frames: it is done once."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from torchmetrics import Metric


@runtime_checkable
class SharesWork(Protocol):
    """A metric that can add videos to others of its kind as it adds them to itself.

    Its scores are the same, alone or together.
    """

    def work(self) -> Hashable:
        """Return what is equal for metrics that may be updated together; networks count by identity."""

    def update_together(self, others: Sequence[Any], **known: Any) -> None:
        """Add videos to this metric and to ``others`` of equal ``work``; arguments as of its ``update``."""


def by_work(metrics: Iterable[Metric]) -> list[list[Metric]]:
    """Return metrics in groups that can be updated together, by their first members' order; most are alone."""
    groups: dict[Hashable, list[Metric]] = {}
    for metric in metrics:
        # A metric that shares nothing is a group of its own.
        key = metric.work() if isinstance(metric, SharesWork) else id(metric)
        groups.setdefault(key, []).append(metric)
    return list(groups.values())


def update_group(metrics: Sequence[Metric], known: dict[str, Any]) -> None:
    """Update the metrics of one group with what each takes of what is known."""
    first, *others = metrics
    taken = first._filter_kwargs(**known)
    if others:
        assert isinstance(first, SharesWork), "no others are grouped"
        first.update_together(others, **taken)
    else:
        first.update(**taken)
