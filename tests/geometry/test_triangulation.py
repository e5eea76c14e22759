import torch

from mvt4g.geometry.camera import project_points
from mvt4g.geometry.triangulation import depth_of_meeting, meet_rays
from mvt4g.types import Cameras

LENS = torch.tensor([[20.0, 0.0, 10.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]])


def cameras_apart(x: float) -> Cameras:
    pose = torch.eye(4).repeat(2, 3, 1, 1)
    pose[1, :, 0, 3] = -x  # the second camera stands to the right
    return Cameras(pose, LENS.expand(2, 3, 3, 3))


def test_rays_of_a_point_meet_there():
    cameras = cameras_apart(0.5)
    points = torch.tensor([[0.0, 0.0, 4.0], [1.0, -1.0, 5.0]]).expand(3, 2, 3)
    pixels, _ = project_points(points, cameras.cam_from_world[:, :, None], cameras.intrinsics[:, :, None])
    meeting = meet_rays(pixels, cameras)
    torch.testing.assert_close(meeting.point, points.double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        depth_of_meeting(meeting, cameras), points[..., 2].expand(2, 3, 2).double(), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(meeting.baseline, torch.full((3, 2), 0.5, dtype=torch.float64))


def test_parallel_rays_have_no_angle_and_rays_apart_meet_behind():
    pixels = torch.tensor([[12.0, 8.0], [8.0, 8.0]]).expand(2, 3, 2, 2).clone()
    meeting = meet_rays(pixels, cameras_apart(0.5))
    assert float(meeting.squared_sine.max()) < 1e-30
    assert meeting.ends.isfinite().all()
    pixels[0, ..., 0] -= 4
    assert (meet_rays(pixels, cameras_apart(0.5)).along < 0).all()
