"""The Fréchet distance between two sets of features, each taken as a Gaussian."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def frechet_distance(
    mean_a: Float[Tensor, " d"],
    covariance_a: Float[Tensor, "d d"],
    mean_b: Float[Tensor, " d"],
    covariance_b: Float[Tensor, "d d"],
) -> Float[Tensor, ""]:
    """Return |mean_a - mean_b|² + tr(A + B - 2 (A B)^½), squared feature units, in float64.

    The trace of the root is the sum of roots of the eigenvalues of A B. These are those of A^½ B A^½ too, which is
    symmetric: its eigenvalues are real whatever the rank, and those that rounding made negative are taken as 0.

    Source: Dowson & Landau 1982; Heusel et al. 2017 (FID), Eq. 6; Unterthiner et al. 2018 (FVD).
    """
    covariance_a = covariance_a.double()
    covariance_b = covariance_b.double()
    values, vectors = torch.linalg.eigh(covariance_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
    root_trace = torch.linalg.eigvalsh(root_a @ covariance_b @ root_a).clamp(min=0).sqrt().sum()
    shift = (mean_a.double() - mean_b.double()).square().sum()
    return (shift + covariance_a.trace() + covariance_b.trace() - 2 * root_trace).clamp(min=0)


def gaussian_from_sums(
    total: Float[Tensor, " d"], outer: Float[Tensor, "d d"], number: Int[Tensor, ""]
) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Return mean and unbiased covariance of ``number`` features from their sum and their sum of outer products.

    Args:
        number: At least 2; the covariance of fewer is NaN or infinite.
    """
    mean = total / number
    return mean, (outer - number * torch.outer(mean, mean)) / (number - 1)
