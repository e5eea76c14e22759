"""Where two rays meet."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.camera import pixel_rays, points_depth
from mvt4g.types import Cameras


@dataclass(frozen=True)
class RayMeeting:
    """The nearest points of two rays, in float64.

    Attributes:
        ends: On each ray, the point that is nearest to the other ray, world frame; meaningless on parallel rays.
        along: How far along each ray that is, scene units, negative behind the camera.
        squared_sine: Of the angle between the rays.
        baseline: Between the camera centres, scene units.
    """

    ends: Float[Tensor, "2 t n 3"]
    along: Float[Tensor, "2 t n"]
    squared_sine: Float[Tensor, "t n"]
    baseline: Float[Tensor, "t n"]

    @property
    def point(self) -> Float[Tensor, "t n 3"]:
        """The middle of the shortest way between the rays."""
        return self.ends.mean(dim=0)


def meet_rays(pixels: Float[Tensor, "2 t n 2"], cameras: Cameras) -> RayMeeting:
    """Return where the rays of the same point in two views meet, frame by frame.

    Args:
        pixels: (x, y) of each view.
        cameras: Of the views (2 t), in one world.
    """
    pose, intrinsics = (
        rearrange(matrix.double(), "v t i j -> v t 1 i j") for matrix in (cameras.cam_from_world, cameras.intrinsics)
    )
    origin, direction = pixel_rays(pixels.double(), pose, intrinsics)
    apart = origin[1] - origin[0]
    cosine = (direction[0] * direction[1]).sum(dim=-1)
    squared_sine = torch.linalg.cross(direction[0], direction[1]).square().sum(dim=-1)
    along_first = (apart * direction[0]).sum(dim=-1)
    along_second = (apart * direction[1]).sum(dim=-1)
    divisor = torch.where(squared_sine > 0, squared_sine, 1.0)
    # Each ray's point is where the other ray is perpendicular to the way between them.
    first = (along_first - cosine * along_second) / divisor
    second = (cosine * along_first - along_second) / divisor
    along = torch.stack([first, second])
    baseline = torch.linalg.vector_norm(apart, dim=-1)
    return RayMeeting(origin + along[..., None] * direction, along, squared_sine, baseline)


def depth_of_meeting(meeting: RayMeeting, cameras: Cameras) -> Float[Tensor, "2 t n"]:
    """Return the z-depth of the meeting points in both views, scene units."""
    pose = rearrange(cameras.cam_from_world.double(), "v t i j -> v t 1 i j")
    return points_depth(meeting.point, pose)
