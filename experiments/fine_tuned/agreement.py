"""How well the gradients of two losses agree, from their inner products over batches.

A cosine of two gradients of one batch is low where both are noisy, whatever their means do. So the cosine of the
expected gradients stands beside it: products of *different* batches alone have no noise in their mean.
"""

import math
from dataclasses import dataclass, fields

from jaxtyping import Float
from torch import Tensor

from mvt4g.metrics.functional.bootstrap import bootstrap_interval


@dataclass(frozen=True)
class Products:
    """Inner products of the gradients of two losses; ``[i, j]`` is of batch i and batch j.

    Attributes:
        first: The first loss with itself.
        mixed: The first loss of batch i with the second of batch j.
        second: The second loss with itself.
    """

    first: Float[Tensor, "n n"]
    mixed: Float[Tensor, "n n"]
    second: Float[Tensor, "n n"]

    def without(self, batch: int) -> "Products":
        """Return the products without a batch."""
        left = [index for index in range(len(self.first)) if index != batch]
        return Products(*(getattr(self, field.name)[left][:, left] for field in fields(self)))


@dataclass(frozen=True)
class Agreement:
    """What a row of the table says.

    Attributes:
        cosine: Of both gradients of one batch, mean over batches.
        low: Lower end of its 95 % bootstrap interval over batches.
        high: Upper end.
        expected: Cosine of the expected gradients; NaN where the batches do not tell one of them from zero.
        error: Its standard error (jackknife over batches).
        steady_first: Cosine of the first loss's gradients of two batches: how much of one is not noise.
        steady_second: The same of the second loss.
        norm: Of the first gradient, root mean square over batches.
        ratio: The second's by the first's.
        expected_ratio: The same of the expected gradients.
    """

    cosine: float
    low: float
    high: float
    expected: float
    error: float
    steady_first: float
    steady_second: float
    norm: float
    ratio: float
    expected_ratio: float


def agree(products: Products) -> Agreement:
    """Return how well two losses agree."""
    first = products.first.diagonal()
    second = products.second.diagonal()
    cosines = products.mixed.diagonal() / (first * second).sqrt()
    low, high = bootstrap_interval(cosines)
    count = len(cosines)
    left_out = [expected_cosine(products.without(batch)) for batch in range(count)]
    mean = sum(left_out) / count
    variance = (count - 1) / count * sum((value - mean) ** 2 for value in left_out)
    return Agreement(
        cosine=float(cosines.mean()),
        low=float(low),
        high=float(high),
        expected=expected_cosine(products),
        error=math.sqrt(variance),
        steady_first=between_batches(products.first),
        steady_second=between_batches(products.second),
        norm=math.sqrt(first.mean()),
        ratio=_root_ratio(float(second.mean()), float(first.mean())),
        expected_ratio=_root_ratio(across(products.second), across(products.first)),
    )


def across(products: Float[Tensor, "n n"]) -> float:
    """Return the mean product of different batches, which is that of the two expected gradients without bias.

    NaN of a single batch.
    """
    count = len(products)
    if count < 2:
        return math.nan
    total = products.sum() - products.diagonal().sum()
    return float(total) / (count * (count - 1))


def expected_cosine(products: Products) -> float:
    """Return the cosine of the expected gradients; NaN where a squared norm comes out negative.

    The estimates of product and norms are unbiased, their ratio is not: it may lie outside [-1, 1].
    """
    squares = across(products.first), across(products.second)
    if min(squares) <= 0:
        return math.nan
    return across(products.mixed) / math.sqrt(squares[0] * squares[1])


def between_batches(products: Float[Tensor, "n n"]) -> float:
    """Return the mean cosine of one loss's gradients of different batches."""
    norms = products.diagonal().sqrt()
    return across(products / (norms[:, None] * norms[None]))


def _root_ratio(above: float, below: float) -> float:
    return math.sqrt(above / below) if above >= 0 and below > 0 else math.nan
