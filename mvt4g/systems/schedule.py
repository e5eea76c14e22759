"""The optimizer, and learning-rate factors as functions of its step."""

import math
from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Adam, AdamW, Optimizer, SparseAdam

from mvt4g.types import InputError


def build_optimizer(
    make: Callable[[Iterable[nn.Parameter]], Optimizer], parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """Return the optimizer of the parameters that train; on a CPU, Adam and AdamW run as one fused operator.

    Raises:
        InputError: If the optimizer refuses its arguments or these parameters.
    """
    trained = [value for value in parameters if value.requires_grad]
    try:
        optimizer = make(trained)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"model.init_args.training.optimizer: {error}") from error
    if isinstance(optimizer, SparseAdam):
        raise InputError("model.init_args.training.optimizer: got SparseAdam, want an optimizer of dense gradients")
    if isinstance(optimizer, Adam | AdamW):
        _fuse(optimizer)
    return optimizer


def _fuse(optimizer: Optimizer) -> None:
    """Fuse what PyTorch runs tensor by tensor on a CPU, at ten operators each."""
    for group in optimizer.param_groups:
        on_cpu = all(value.device.type == "cpu" for value in group["params"])
        # Whoever chose a way keeps it.
        is_open = group["foreach"] is None and group["fused"] is None
        if on_cpu and is_open and not group["capturable"] and not group["differentiable"]:
            group["fused"] = True


def warmup_cosine(warmup_steps: int, decay_steps: int | None) -> Callable[[int], float]:
    """Return a factor in [0, 1] of the step: a linear rise, then 1 or a cosine to 0 at ``decay_steps``."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, warmup_steps))
        # The last decay step is the first at 0, as in torch's CosineAnnealingLR.
        if decay_steps is None or step < warmup_steps:
            return rise
        progress = min(1.0, (step - warmup_steps) / (decay_steps - warmup_steps))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return factor
