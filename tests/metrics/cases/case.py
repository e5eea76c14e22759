"""What the contract test needs to know of a metric; the files beside this one list every metric of the package."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torchmetrics import Metric


@dataclass(frozen=True)
class MetricCase:
    """A metric and what to feed it.

    Attributes:
        make: Builds the metric anew; a module-level function or partial, so that it crosses to other processes.
        updates: Keyword arguments of several updates, whose results differ.
        split: Arguments whose first axis is a batch that may be cut anywhere; () = the metric takes one item at a time.
        half: Floating arguments that may come as bf16 or fp16.
        differentiable: Arguments that a gradient must reach through ``forward``; () = not claimed.
        arguments: Makes the arguments of ``update`` of what ``updates`` hold, where these are parts of an argument.
    """

    make: Callable[[], Metric]
    updates: tuple[dict[str, Any], ...]
    split: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    differentiable: tuple[str, ...] = ()
    arguments: Callable[[dict[str, Any]], dict[str, Any]] = dict
