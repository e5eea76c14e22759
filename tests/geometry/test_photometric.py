import pytest
import torch

from mvt4g.geometry.photometric import RgbdPicture, align_picture
from mvt4g.geometry.pose import compose, invert_pose, rotation_angle
from mvt4g.synthetic.spec import LookSpec
from mvt4g.types import InputError
from tests.static_scenes import DEPTH, moved_pair


def _align(known, generated, picture=None, start=None, known_picture=None, **known_as):
    camera = known.cameras[0, 0]
    known_picture = known.video[0, 0] if known_picture is None else known_picture
    given = {"depth": known.depth[0, 0]} | known_as
    return align_picture(
        generated.video[0, 0] if picture is None else picture,
        generated.cameras.intrinsics[0, 0],
        RgbdPicture(known_picture, cam_from_world=camera.cam_from_world, intrinsics=camera.intrinsics, **given),
        camera.cam_from_world if start is None else start,
    )


def _errors(fit, generated):
    """Return degrees, and position as a share of the depth."""
    difference = compose(fit.cam_from_world, invert_pose(generated.cameras.cam_from_world[0, 0]).double())
    return float(rotation_angle(difference[:3, :3]).rad2deg()), float(difference[:3, 3].norm()) / DEPTH


@pytest.fixture(scope="module")
def pair():
    return moved_pair(128, 3.0, 0.05)


@pytest.mark.parametrize(("rotation_deg", "share"), [(3.0, 0.05), (3.0, 0.0), (0.0, 0.05), (1.0, 0.01)])
def test_the_bar_three_degrees_and_five_percent_are_found_again(rotation_deg, share):
    for index in (1, 2):
        known, generated = moved_pair(128, rotation_deg, share, index)
        rotation, position = _errors(_align(known, generated), generated)
        assert rotation < 0.1
        assert position < 0.002


def test_the_smooth_looks_of_the_training_clips_at_64_pixels():
    known, generated = moved_pair(64, 3.0, 0.05, 1, LookSpec())
    assert _errors(_align(known, generated), generated)[0] < 0.1


def test_without_alignment_the_error_is_the_motion(pair):
    known, generated = pair
    fit = _align(known, generated)
    still = compose(known.cameras.cam_from_world[0, 0], invert_pose(generated.cameras.cam_from_world[0, 0]))
    assert rotation_angle(still[:3, :3]).rad2deg() == pytest.approx(3.0, rel=1e-3)
    assert _errors(fit, generated)[0] < 0.05
    assert fit.detail_correlation > 0.7
    assert fit.coverage > 0.8


def test_a_pose_that_is_right_stays(pair):
    known, _ = pair
    assert max(_errors(_align(known, known), known)) < 1e-4


def test_light_is_found_with_the_pose(pair):
    known, generated = pair
    fit = _align(known, generated, picture=0.5 * generated.video[0, 0] + 0.2)
    assert _errors(fit, generated)[0] < 0.05
    assert fit.gain == pytest.approx(2 * _align(known, generated).gain, rel=1e-3)


def test_noise_and_a_covered_corner_shift_it_little(pair):
    known, generated = pair
    noise = torch.randn(3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert _errors(_align(known, generated, picture=generated.video[0, 0] + 0.1 * noise), generated)[0] < 0.1
    covered = generated.video[0, 0] + 0.05 * noise
    covered[:, :43, :43] = 0.0
    assert _errors(_align(known, generated, picture=covered), generated)[0] < 0.1


def test_noise_another_scene_and_grey_are_told_from_the_truth(pair):
    known, generated = pair
    noise = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert abs(_align(known, generated, picture=noise).detail_correlation) < 0.1
    other = moved_pair(128, 0.0, 0.0, 5)[0].video[0, 0]
    assert abs(_align(known, generated, picture=other).detail_correlation) < 0.2
    grey = _align(known, generated, picture=torch.full((3, 128, 128), 0.5))
    assert torch.tensor(grey.detail_correlation).isnan()
    assert grey.rotation_deviation_deg > 1e3


def test_stripes_leave_the_pose_open(pair):
    stripes = torch.sin(torch.arange(128) / 4.0).expand(3, 128, 128) * 0.5 + 0.5
    wall = torch.full((128, 128), DEPTH)
    assert _align(*pair, picture=stripes, known_picture=stripes, depth=wall).position_deviation > 1


def test_pixels_left_out_do_not_count(pair):
    known, generated = pair
    usable = torch.ones(128, 128, dtype=torch.bool)
    usable[60:] = False
    spoilt = known.video[0, 0].clone()
    spoilt[:, 60:] = torch.rand(3, 68, 128, generator=torch.Generator().manual_seed(1))
    assert _errors(_align(*pair, known_picture=spoilt, usable=usable), generated)[0] < 0.2


def test_the_same_twice(pair):
    assert torch.equal(_align(*pair).cam_from_world, _align(*pair).cam_from_world)


def test_a_start_that_sees_nothing_of_it_has_no_coverage(pair):
    known, generated = pair
    away = known.cameras.cam_from_world[0, 0].clone()
    away[:3] *= torch.tensor([[-1.0], [1.0], [-1.0]])  # looks the other way
    assert _align(known, generated, start=away).coverage == 0.0


def test_too_few_known_pixels_are_refused(pair):
    with pytest.raises(InputError, match="got 0 usable pixels, want at least 32"):
        _align(*pair, usable=torch.zeros(128, 128, dtype=torch.bool))
