"""Learning-rate factors, as functions of the optimizer step."""

import math
from collections.abc import Callable


def warmup_cosine(warmup_steps: int, decay_steps: int | None) -> Callable[[int], float]:
    """Return a factor in [0, 1] of the step: a linear rise, then 1 or a cosine to 0 at ``decay_steps``."""

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, warmup_steps))
        if decay_steps is None or step < warmup_steps:
            return rise
        progress = min(1.0, (step - warmup_steps) / (decay_steps - warmup_steps))
        return 0.5 * (1 + math.cos(math.pi * progress))

    return factor
