"""What ranks tell one another at the end of a list."""

from typing import Any

import torch.distributed
from torch import nn

from mvt4g.systems.metric_shares import metrics_of


def gathered(value: Any) -> list[Any]:
    """Return the value of every rank, in their order; all ranks must call it."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def agree_on_updates(module: nn.Module) -> None:
    """Let every rank count a metric as updated that any rank has updated: computing one is for all ranks or for none.

    A rank that has no item of its own, or whose items were all bad, has updated none. All ranks must call it.

    Args:
        module: Whose metrics, at any depth.
    """
    metrics = list(metrics_of(module).values())
    # One exchange for all metrics: a rank's answers in the order of the modules, which is the same on every rank.
    by_rank = gathered([metric.update_called for metric in metrics])
    for metric, updated in zip(metrics, zip(*by_rank, strict=True), strict=True):
        if any(updated):
            metric._update_count = max(1, metric._update_count)
