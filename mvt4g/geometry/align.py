"""Least-squares alignment: points to points by a similarity, a noisy matrix to the nearest rotation.

Works in float64 whatever comes in: an alignment feeds errors that are compared with 0.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.pose import rotate
from mvt4g.types import InputError

COINCIDENT = 1e-12
"""Spread of points, as a share of their distance from 0, under which they are one point: what rounding leaves."""
FLAT = 1e-6
"""Second singular value of the cross-covariance, as a share of the first, under which the points are on a line."""


@dataclass(frozen=True)
class Similarity:
    """``target = scale * rotation @ source + translation``.

    Attributes:
        scale: At least 0.
        rotation: Determinant +1.
        translation: In units of the target.
        rotation_fixed: False where points on a line (or one point, or none) leave the rotation about it open.
    """

    scale: Float[Tensor, " *b"]
    rotation: Float[Tensor, "*b 3 3"]
    translation: Float[Tensor, "*b 3"]
    rotation_fixed: Bool[Tensor, " *b"]

    def apply(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Take points of the source to the target."""
        rotation = rearrange(self.rotation, "... i j -> ... 1 i j")
        turned = rotate(rotation, points.double())
        translation = rearrange(self.translation, "... i -> ... 1 i")
        return self.scale[..., None, None] * turned + translation


def umeyama(
    source: Float[Tensor, "*b n 3"],
    target: Float[Tensor, "*b n 3"],
    weights: Float[Tensor, "*b n"] | None = None,
) -> Similarity:
    """Return the similarity that takes source points nearest to target points, by weighted squared distance.

    Args:
        source: Points, each matched to the target point of the same index.
        target: Where they should go.
        weights: At least 0, 0 = the point is not there; None = all alike.

    Returns:
        A mirror image is never used. Where the source is a single point (or all weights are 0) no rotation or scale
        is known: scale 0, the identity, and the mean of the target. Nothing is NaN.

    Raises:
        InputError: If the shapes differ.

    Source: Umeyama, Least-squares estimation of transformation parameters between two point patterns, PAMI 1991,
        eq. 40-42.
    """
    if source.shape != target.shape:
        want = f"that of target, {tuple(target.shape)}"
        raise InputError(f"source: got shape {tuple(source.shape)}, want {want}")
    source = source.double()
    target = target.double()
    weights = torch.ones_like(source[..., 0]) if weights is None else weights.double()
    total = weights.sum(dim=-1)
    share = weights / torch.where(total > 0, total, 1.0)[..., None]
    source_mean = einsum(share, source, "... n, ... n i -> ... i")
    target_mean = einsum(share, target, "... n, ... n i -> ... i")
    from_mean = source - source_mean[..., None, :]
    to_mean = target - target_mean[..., None, :]
    variance = einsum(share, from_mean.square(), "... n, ... n i -> ...")
    size = einsum(share, source.square(), "... n, ... n i -> ...")
    covariance = einsum(share, to_mean, from_mean, "... n, ... n i, ... n j -> ... i j")

    known = variance > COINCIDENT**2 * size
    # Of one point the covariance is rounding: what it would turn to is noise.
    covariance = torch.where(known[..., None, None], covariance, 0.0)
    left, singular, right = torch.linalg.svd(covariance)
    signs = _handedness(left, right)
    rotation = (left * signs[..., None, :]) @ right
    scale = (singular * signs).sum(dim=-1) / torch.where(known, variance, 1.0)
    identity = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
    turned = singular[..., 0] > 0
    rotation = torch.where(turned[..., None, None], rotation, identity)
    translation = target_mean - scale[..., None] * rotate(rotation, source_mean)
    rotation_fixed = singular[..., 1] > FLAT * singular[..., 0]
    return Similarity(scale, rotation, translation, rotation_fixed)


def nearest_rotation(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """Return the rotation (float64) with the least squared difference of entries.

    A reflection has a nearest rotation too, which is far from it: check the determinant first.

    Source: Arun et al., Least-squares fitting of two 3-D point sets, PAMI 1987.
    """
    left, _, right = torch.linalg.svd(matrix.double())
    return (left * _handedness(left, right)[..., None, :]) @ right


def _handedness(
    left: Float[Tensor, "*b 3 3"],
    right: Float[Tensor, "*b 3 3"],
) -> Float[Tensor, "*b 3"]:
    """Return the signs (1, 1, ±1) of singular directions with which ``left @ right`` does not mirror."""
    sign = torch.linalg.det(left) * torch.linalg.det(right)
    one = torch.ones_like(sign)
    return torch.stack([one, one, sign.sign()], dim=-1)
