import torch

from mvt4g.models.conditioning.relative_pose import RelativePoseEncoder
from mvt4g.types import Cameras
from tests.models.small_backbones import small_cameras


def test_poses_by_hand():
    """Reference at x = 1; target at x = 1 + t, turned by 90 degrees about its y axis."""
    world_from_cam = torch.eye(4).repeat(1, 2, 5, 1, 1)
    world_from_cam[:, 0, :, 0, 3] = 1
    world_from_cam[:, 1, :, 0, 3] = 1 + torch.arange(5)
    world_from_cam[:, 1, :, :3, :3] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    cameras = Cameras(torch.linalg.inv(world_from_cam), torch.eye(3).expand(1, 2, 5, 3, 3))
    features = RelativePoseEncoder(temporal_stride=2)(cameras, 4, 6)
    assert features.shape == (1, 2, 3, 1, 1, 12)
    for latent, x in enumerate((0.0, 2.0, 4.0)):
        want = torch.tensor([0, 0, 1, x, 0, 1, 0, 0, -1, 0, 0, 0])
        for view in range(2):
            torch.testing.assert_close(features[0, view, latent, 0, 0], want)


def test_a_target_on_the_reference_is_the_identity():
    cameras = small_cameras(batch=1)
    cameras.cam_from_world[:, 1, 0] = cameras.cam_from_world[:, 0, 0]
    features = RelativePoseEncoder(2)(cameras, 4, 6)[0, 0, 0, 0, 0]
    torch.testing.assert_close(features, torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]), atol=1e-6, rtol=0)
