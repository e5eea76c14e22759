import pytest
import torch

from mvt4g.geometry.camera import intrinsics_from_fov, unproject_pixels
from mvt4g.geometry.pnp import absolute_pose, refine_pose
from mvt4g.geometry.pose import pose_from, rotation_from_axis_angle
from mvt4g.geometry.twist import apply_twist
from mvt4g.types import InputError
from tests.reference.reprojection import num_agreeing, position_error, rotation_error_deg

F64 = torch.float64
SIZE = 256


def _clip(frames=6, points=100, noise_px=0.5, outliers=0.2, seed=0):
    """Return pixels, points, intrinsics and true cameras; depths 6 to 10, the points as far apart as the frustum."""
    generator = torch.Generator().manual_seed(seed)
    turn, shift = torch.randn(2, frames, 3, generator=generator, dtype=F64)
    truth = pose_from(rotation_from_axis_angle(turn), shift)
    intrinsics = intrinsics_from_fov(0.8, SIZE, SIZE).double().expand(frames, 3, 3)
    exact = torch.rand(frames, points, 2, generator=generator, dtype=F64) * SIZE
    depth = 6 + 4 * torch.rand(frames, points, generator=generator, dtype=F64)
    points_world = unproject_pixels(exact, depth, truth[:, None], intrinsics[:, None])
    pixels = exact + noise_px * torch.randn(exact.shape, generator=generator, dtype=F64)
    wrong = torch.rand(frames, points, generator=generator) < outliers
    anywhere = torch.rand(frames, points, 2, generator=generator, dtype=F64) * SIZE
    return torch.where(wrong[..., None], anywhere, pixels), points_world, intrinsics, truth


def _fit(pixels, points_world, intrinsics, usable=None, seed=0, **options):
    usable = torch.ones(pixels.shape[:2], dtype=torch.bool) if usable is None else usable
    return absolute_pose(pixels, points_world, usable, intrinsics, torch.Generator().manual_seed(seed), **options)


def _errors(fit, truth):
    pairs = [(a.numpy(), b.numpy()) for a, b in zip(fit.cam_from_world, truth, strict=True)]
    return max(rotation_error_deg(a, b) for a, b in pairs), max(position_error(a, b) for a, b in pairs) / 8


def test_the_bar_at_20_percent_outliers_and_half_a_pixel_of_noise():
    pixels, points_world, intrinsics, truth = _clip()
    rotation, position = _errors(_fit(pixels, points_world, intrinsics), truth)
    assert rotation < 0.2  # degrees
    assert position < 0.01  # of the mean depth


def test_more_outliers_than_inliers_and_none():
    pixels, points_world, intrinsics, truth = _clip(outliers=0.6)
    assert _errors(_fit(pixels, points_world, intrinsics), truth)[0] < 0.4
    pixels, points_world, intrinsics, truth = _clip(noise_px=0.0, outliers=0.0)
    assert max(_errors(_fit(pixels, points_world, intrinsics), truth)) < 2e-6  # the trace's precision near 0


def test_inliers_and_residuals_are_those_counted_one_by_one():
    pixels, points_world, intrinsics, _ = _clip(frames=2)
    fit = _fit(pixels, points_world, intrinsics, threshold_px=1.5)
    for frame in range(2):
        data = (pixels[frame].tolist(), points_world[frame].tolist())
        count = num_agreeing(*data, fit.cam_from_world[frame].tolist(), intrinsics[frame].tolist(), 1.5)
        assert count == int(fit.inliers[frame].sum()) > 60
    assert 0.3 < fit.residual_px.min() <= fit.residual_px.max() < 1.0


def test_the_stated_spread_is_the_spread_of_the_errors():
    pixels, points_world, intrinsics, truth = _clip(frames=60, points=60, outliers=0.0)
    fit = _fit(pixels, points_world, intrinsics, threshold_px=3.0)
    errors = torch.tensor([rotation_error_deg(a, b) for a, b in zip(fit.cam_from_world, truth, strict=True)])
    assert errors.square().mean().sqrt() == pytest.approx(fit.rotation_deviation_deg.mean().item(), rel=0.2)


def test_the_same_seed_gives_the_same_poses():
    pixels, points_world, intrinsics, _ = _clip(outliers=0.5)
    first, again = (_fit(pixels, points_world, intrinsics, seed=3).cam_from_world for _ in range(2))
    assert torch.equal(first, again)


def test_random_tracks_agree_with_no_camera():
    _, points_world, intrinsics, _ = _clip()
    pixels = torch.rand(6, 100, 2, generator=torch.Generator().manual_seed(9), dtype=F64) * SIZE
    assert _fit(pixels, points_world, intrinsics).inliers.sum(dim=-1).max() < 12


def test_nan_pixels_and_points_are_left_out():
    pixels, points_world, intrinsics, truth = _clip()
    pixels[:, ::5] = torch.nan
    points_world[:, 1::5] = torch.inf
    fit = _fit(pixels, points_world, intrinsics)
    assert max(_errors(fit, truth)) < 0.3
    assert not fit.inliers[:, ::5].any()
    assert not fit.inliers[:, 1::5].any()


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_points_give_no_inlier(count):
    pixels, points_world, intrinsics, _ = _clip(frames=1)
    usable = torch.arange(100)[None] < count
    fit = _fit(pixels, points_world, intrinsics, usable)
    assert not fit.inliers.any()
    assert fit.rotation_deviation_deg.isinf().all()
    assert torch.equal(fit.cam_from_world[0], torch.eye(4, dtype=F64))


def test_an_empty_track_set_gives_no_inlier():
    nothing = torch.zeros(2, 0, 2), torch.zeros(2, 0, 3), torch.eye(3).expand(2, 3, 3)
    assert _fit(*nothing).inliers.shape == (2, 0)


def test_points_on_a_line_leave_the_pose_open():
    _, _, intrinsics, truth = _clip(frames=1)
    along = torch.linspace(0, 1, 50, dtype=F64)[None, :, None]
    start, end = torch.tensor([[[-2.0, -1.0, 7.0]], [[2.0, 1.5, 9.0]]], dtype=F64)
    points_cam = start + along * (end - start)
    pixels = points_cam[..., :2] / points_cam[..., 2:] * intrinsics[0, 0, 0] + SIZE / 2
    points_world = unproject_pixels(pixels, points_cam[..., 2], truth[:, None], intrinsics[:, None])
    fit = _fit(
        pixels + 0.1 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)), points_world, intrinsics
    )
    assert not fit.inliers.any() or fit.rotation_deviation_deg > 5


def test_points_behind_the_camera_are_no_inliers():
    pixels, points_world, intrinsics, truth = _clip(frames=1, outliers=0.0, noise_px=0.0)
    centre = torch.linalg.inv(truth[0])[:3, 3]
    fit = _fit(pixels, 2 * centre - points_world, intrinsics)  # every point mirrored through the camera's centre
    assert fit.inliers.sum() < 20


def test_refinement_never_makes_it_worse_and_reaches_the_truth():
    pixels, points_world, intrinsics, truth = _clip(noise_px=0.0, outliers=0.0)
    start = apply_twist(truth, torch.tensor([0.01, -0.01, 0.01, 0.05, 0.05, -0.05], dtype=F64))
    usable = torch.ones(pixels.shape[:2], dtype=torch.bool)
    done = refine_pose(start, pixels, points_world, usable, intrinsics, 4.0)
    assert max(rotation_error_deg(a, b) for a, b in zip(done, truth, strict=True)) < 1e-4
    assert torch.equal(refine_pose(done, pixels, points_world, torch.zeros_like(usable), intrinsics, 4.0), done)


def test_bad_settings_are_refused():
    pixels, points_world, intrinsics, _ = _clip(frames=1)
    with pytest.raises(InputError, match="threshold_px"):
        _fit(pixels, points_world, intrinsics, threshold_px=0.0)
    with pytest.raises(InputError, match="num_hypotheses"):
        _fit(pixels, points_world, intrinsics, num_hypotheses=0)
