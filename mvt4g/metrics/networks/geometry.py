"""Where the 3D points of a pair of images come from when no depth and cameras are given."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.pose import transform_points
from mvt4g.metrics.functional.consistency import lift_depth


@dataclass(frozen=True)
class PairGeometry:
    """What the pixels of two images show, in one frame.

    Attributes:
        points: Points of both images in the frame of the first camera, scene units (any scale).
        intrinsics: K of the first camera, in pixels of ``points``.
        valid: False where a point is not to be trusted.
    """

    points: Float[Tensor, "2 h w 3"]
    intrinsics: Float[Tensor, "3 3"]
    valid: Bool[Tensor, "2 h w"]

    def trusted_points(self) -> Float[Tensor, "2 h w 3"]:
        """Return the points, NaN where they are not valid."""
        return torch.where(self.valid[..., None], self.points, torch.nan)


@runtime_checkable
class GeometryProvider(Protocol):
    """A 3R model (DUSt3R, MASt3R, VGGT ...) of the user's.

    A symmetric score calls it a second time with the images swapped, for the points in the other camera's frame.
    """

    def __call__(self, images: Float[Tensor, "2 3 h w"]) -> PairGeometry:
        """Return the geometry, at any resolution, of images in [0, 1]."""
        ...


def geometry_from_depth(
    depths: Float[Tensor, "2 h w"],
    intrinsics: Float[Tensor, "2 3 3"],
    first_from_second: Float[Tensor, "4 4"],
) -> PairGeometry:
    """Take a pair's geometry from z-depths (scene units, 0 or non-finite = none) and cameras."""
    first = lift_depth(depths[0], intrinsics[0])
    second = transform_points(first_from_second.float(), lift_depth(depths[1], intrinsics[1]))
    points = torch.stack([first, second])
    return PairGeometry(points, intrinsics[0].float(), points.isfinite().all(dim=-1))


def geometry_from_pointmaps(
    points: Float[Tensor, "2 h w 3"],
    first_from_common: Float[Tensor, "4 4"],
    intrinsics: Float[Tensor, "3 3"],
    confidence: Float[Tensor, "2 h w"] | None = None,
    min_confidence: float | int = 0.0,
) -> PairGeometry:
    """Take a pair's geometry from maps of points in any common frame.

    Args:
        points: Common frame, scene units; non-finite = none.
        first_from_common: Takes the points to the first camera.
        intrinsics: K of the first camera, in pixels of the maps.
        confidence: Of each point, in the model's own unit.
        min_confidence: Least confidence of a point that counts.
    """
    valid = points.isfinite().all(dim=-1)
    if confidence is not None:
        valid &= confidence >= min_confidence
    return PairGeometry(transform_points(first_from_common.float(), points.float()), intrinsics.float(), valid)
