"""The plane that stands in for a scene whose depth nobody knows."""

from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.depth_maps import plane_depth
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras

PLANE_AT_LEAST = 1.0
"""Distance of the plane, scene units, where neither tracks nor the cameras' way tell a better one."""
PLANE_BY_WAY = 4.0
"""Distance of the plane in ways of the camera: an arc of presets goes about its subject from about that far."""


def distance_by_way(reference: Cameras, other: Cameras) -> float:
    """Return how far the plane stands by the way between two cameras.

    Args:
        reference: (t), in the world of the other.
        other: (t), of the other view.
    """
    here = invert_pose(reference.cam_from_world)[:, :3, 3]
    there = invert_pose(other.cam_from_world)[:, :3, 3]
    return max(PLANE_AT_LEAST, PLANE_BY_WAY * float((there - here).norm(dim=-1).max()))


def facing_plane_depth(
    cameras: Cameras,
    size: tuple[int, int],
    facing: Float[Tensor, "4 4"],
    distance: float | int,
) -> Float[Tensor, "t h w"]:
    """Return the z-depth of a plane that one camera faces.

    Args:
        cameras: (t) that look at it.
        size: (height, width) of their pictures.
        facing: cam_from_world of the camera that faces it.
        distance: Of the plane from that camera, scene units.
    """
    world_from_cam = invert_pose(facing)
    normal = world_from_cam[:3, 2]
    return plane_depth(cameras, size, world_from_cam[:3, 3] + distance * normal, normal)
