"""How sure a mean over few videos is."""

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.types import InputError

SEED = 20_260_626
"""Of the resampling: the same values give the same interval in every run."""


def bootstrap_interval(
    values: Float[Tensor, " n"], level: float = 0.95, resamples: int = 2000
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the percentile bootstrap interval of the mean over videos.

    Args:
        values: One a video; NaN entries are left out, as they are of the mean. Their order changes nothing, so that
            the interval does not depend on how videos were shared out among ranks.
        level: Share of resampled means inside the interval, in (0, 1).
        resamples: Times that as many videos are drawn with replacement.

    Returns:
        Lower and upper end; NaN with fewer than two values, whose spread nobody knows.

    Raises:
        InputError: If ``level`` is not in (0, 1).

    Example:
        >>> import torch
        >>> low, high = bootstrap_interval(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        >>> bool(low < 2.5 < high)
        True

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """
    if not 0 < level < 1:
        raise InputError(f"level: got {level}, want a share in (0, 1)")
    # Sorted, so that the draws meet the same values whatever order ranks brought them in.
    values = values[~values.isnan()].double().sort().values
    if len(values) < 2:
        return values.new_tensor(torch.nan), values.new_tensor(torch.nan)
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randint(len(values), (resamples, len(values)), generator=generator).to(values.device)
    means = values[drawn].mean(dim=1)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=means.dtype, device=means.device)
    low, high = torch.quantile(means, ends)
    return low, high
