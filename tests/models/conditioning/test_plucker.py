import pytest
import torch

from mvt4g.models.conditioning.plucker import PluckerConditioning, PluckerEncoder
from mvt4g.types import Cameras, LatentGrid
from tests.models.small_backbones import small_cameras, small_config
from tests.reference.recammaster import plucker_token


@torch.no_grad()
@pytest.mark.parametrize("grid", [LatentGrid(2, 2, 5), LatentGrid(1, 4, 5), LatentGrid(4, 1, 5)])
def test_features_equal_the_twin(grid):
    cameras = small_cameras(batch=1, frames=5)
    encoder = PluckerEncoder(small_config(), grid)
    torch.nn.init.normal_(encoder.pack.bias)
    features = encoder(cameras, 4, 6)
    weights = {
        f"camera_encoders.plucker.{name}": value.double().numpy() for name, value in encoder.state_dict().items()
    }
    pose, intrinsics = cameras.cam_from_world[0].double().numpy(), cameras.intrinsics[0].double().numpy()
    assert features.shape == (1, 2, grid.latent_frames(5), 2, 3, 48)
    for view, latent, row, column in ((0, 0, 0, 0), (1, 0, 1, 2), (0, 1, 1, 0), (1, grid.latent_frames(5) - 1, 0, 1)):
        want = torch.from_numpy(plucker_token(weights, grid, pose, intrinsics, view, latent, row, column))
        got = features[0, view, latent, row, column].double()
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_translations_count_as_given():
    cameras = small_cameras(batch=1)
    scaled = cameras.cam_from_world.clone()
    scaled[..., :3, 3] *= 10
    encoder = PluckerEncoder(small_config(), LatentGrid(2, 2, 5))
    features, larger = (encoder(Cameras(pose, cameras.intrinsics), 4, 6) for pose in (cameras.cam_from_world, scaled))
    moments = PluckerEncoder(small_config(), LatentGrid(2, 2, 5))
    moments.load_state_dict(encoder.state_dict())
    moments.pack.weight[:, 24:] = 0  # the first 3 of 6 components, times 2 frames and 2 x 2 pixels
    moments.pack.bias.zero_()
    torch.testing.assert_close(larger - features, 9 * moments(cameras, 4, 6), rtol=1e-3, atol=1e-3)


def test_inputs_start_at_zero():
    linear = PluckerConditioning().build_input(small_config())
    assert not linear.weight.any()
    assert not linear.bias.any()
