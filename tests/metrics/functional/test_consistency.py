"""MEt3R of given geometry: goldens, an independent twin, what it must not change with, and the authors' faults."""

import numpy as np
import pytest
import torch

from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.metrics.functional.consistency import (
    ROWS_AT_ONCE,
    lift_depth,
    met3r,
    met3r_from_points,
    met3r_one_way,
    met3r_reference_compat,
    rgb_patches,
    upsample_features,
)
from mvt4g.types import InputError
from tests.metrics.made_up_pairs import RandomPair, camera, constant, points_in_a, shifted, textured_plane, turned
from tests.reference import met3r as reference

FLAT = torch.full((4, 8), 2.0)
K = camera(100.0, 4, 8)
A, B = constant(1.0, 0.0), constant(0.6, 0.8)


def doubles(*tensors: torch.Tensor) -> list[np.ndarray]:
    return [tensor.double().numpy() for tensor in tensors]


def plane_score(**changes) -> float:
    features, depths, intrinsics, b_from_a = textured_plane()
    given = {
        "features_a": features[0], "features_b": features[1], "depth_a": depths[0], "depth_b": depths[1],
        "intrinsics_a": intrinsics, "intrinsics_b": intrinsics, "b_from_a": b_from_a,
    }  # fmt: skip
    return float(met3r(**(given | changes))[0])


# ---------------------------------------------------------------- goldens of metrics.md, section 1


@pytest.mark.parametrize(("features_b", "score"), [(B, 0.4), (-A, 2.0), (A, 0.0), (constant(0.0, 1.0), 1.0)])
def test_golden_g1_identity_camera(features_b, score):
    found, coverage = met3r(A, features_b, FLAT, FLAT, K, K, torch.eye(4))
    torch.testing.assert_close(found, torch.tensor(score), rtol=0, atol=1e-6)
    assert coverage == 1.0


def test_golden_g2_a_shift_by_two_pixels():
    score, coverage = met3r(A, B, FLAT, FLAT, K, K, shifted(0.04))
    torch.testing.assert_close((score, coverage), (torch.tensor(0.4), torch.tensor(0.75)))


@pytest.mark.parametrize("near_first", [True, False])
def test_golden_g3_the_nearer_feature_wins_whatever_the_order(near_first):
    """Two pixels of a 1x2 view land on one of a 1x1 view; the far one would score 2."""
    z = torch.tensor([[1.0, 2.0]] if near_first else [[2.0, 1.0]])
    points = torch.tensor([0.0, 0.0, 1.0]) * z[..., None]
    features = torch.where(z[..., None] == 1.0, torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]))
    seen = met3r_one_way(features, A[:1, :1], points, torch.ones(1, 1), camera(1.0, 1, 1))
    torch.testing.assert_close(seen, (torch.tensor(0.0), torch.tensor(1.0)))


def test_golden_g4_no_overlap_has_no_score():
    score, coverage = met3r(A, A, FLAT, FLAT, K, K, shifted(50.0))
    assert score.isnan()
    assert coverage == 0.0


# ---------------------------------------------------------------- the twin


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("regions", [(), ("region_a",), ("region_b",), ("region_a", "region_b")], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_loops_over_pixels_give(seed, regions, symmetric):
    pair = RandomPair(seed)
    given = {name: getattr(pair, name) for name in regions}
    found = met3r(*pair.arguments(), **given, occlusion_tolerance=0.02, symmetric=symmetric)
    wanted = reference.met3r(*doubles(*pair.arguments()), **given, tolerance=0.02, symmetric=symmetric)
    np.testing.assert_allclose([float(value) for value in found], wanted, rtol=0, atol=2e-6)
    other = reference.met3r(*doubles(*pair.arguments()), **given, tolerance=0.2, symmetric=symmetric)
    assert abs(other[1] - wanted[1]) > 0.01, "the occlusion test makes no difference here"


@pytest.mark.parametrize("seed", range(2))
def test_the_authors_code_is_what_loops_over_pixels_give(seed):
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(2, 9, 12, 5, generator=draw)
    points = lift_depth(2 + torch.rand(9, 12, generator=draw), camera(9.0, 9, 12))
    points = torch.stack([points, points + 0.4 * torch.randn(points.shape, generator=draw)])
    points[1, :, 8:] += 20.0
    points[0, 1, 1] = torch.nan
    intrinsics = camera(9.0, 9, 12)
    found = met3r_reference_compat(*features, *points, intrinsics, radius_ndc=0.3, points_per_pixel=3)
    lists = [[[None if np.isnan(p).any() else p for p in row] for row in view] for view in points.double().numpy()]
    wanted = reference.authors_code(*features.double().numpy(), *lists, intrinsics.double().numpy(), 0.3, 3)
    np.testing.assert_allclose([float(value) for value in found], wanted, rtol=0, atol=2e-6)
    assert 0 < wanted[1] < 1


# ---------------------------------------------------------------- properties


def test_a_consistent_pair_scores_under_the_bar_and_errors_raise_it():
    assert plane_score() < 0.002
    rotations = [
        plane_score(b_from_a=compose(turned(0.0, angle, 0.0), shifted(-0.13))) for angle in (0, 0.01, 0.03, 0.1)
    ]
    features = textured_plane()[0]
    blends = [plane_score(features_b=features[1].lerp(features[1].flip(0), share)) for share in (0, 0.2, 0.4, 0.6)]
    for scores in (rotations, blends):
        assert scores == sorted(scores)
        assert scores[-1] > 50 * scores[0]


def test_a_common_scale_of_depths_and_translation_changes_nothing():
    pair = RandomPair(0)
    wanted = met3r(*pair.arguments())
    for scale in (2.0**-12, 2.0**12):
        pair = RandomPair(0)
        pair.depth_a, pair.depth_b = scale * pair.depth_a, scale * pair.depth_b
        pair.b_from_a[:3, 3] *= scale
        torch.testing.assert_close(met3r(*pair.arguments()), wanted)
    pair.b_from_a[:3, 3] /= 2
    assert abs(met3r(*pair.arguments())[0] - wanted[0]) > 0.01


def test_the_frame_of_pointmaps_changes_nothing():
    pair = RandomPair(1)
    wanted = met3r(*pair.arguments(), pair.region_a, pair.region_b)
    a_from_common = turned(0.7, -1.2, 0.4, translation=(3.0, -5.0, 2.0))
    b_from_common = compose(pair.b_from_a, a_from_common)
    points = [
        lift_depth(depth, intrinsics) @ invert_pose(from_common)[:3, :3].T + invert_pose(from_common)[:3, 3]
        for depth, intrinsics, from_common in (
            (pair.depth_a, pair.intrinsics_a, a_from_common), (pair.depth_b, pair.intrinsics_b, b_from_common),
        )
    ]  # fmt: skip
    found = met3r_from_points(
        pair.features_a, pair.features_b, *points, pair.intrinsics_a, pair.intrinsics_b, a_from_common, b_from_common,
        pair.region_a, pair.region_b,
    )  # fmt: skip
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    one_way = met3r_from_points(
        pair.features_a, pair.features_b, *points, pair.intrinsics_a, pair.intrinsics_b, a_from_common, b_from_common,
        symmetric=False,
    )  # fmt: skip
    torch.testing.assert_close(one_way, met3r(*pair.arguments(), symmetric=False), rtol=0, atol=1e-5)


def test_a_region_leaves_the_rest_out():
    """Features agree on the left half of the plane and oppose on the right."""
    features, depths, intrinsics, b_from_a = textured_plane()
    left = torch.zeros(48, 48, dtype=torch.bool)
    left[:, :20] = True
    features_b = torch.where(left[..., None], features[1], -features[1])
    given = (features[0], features_b, *depths, intrinsics, intrinsics, b_from_a)
    everywhere, coverage = met3r(*given)
    inside, part = met3r(*given, region_b=left)
    outside, rest = met3r(*given, region_b=~left)
    assert inside < 0.01
    assert outside > 1.9
    assert inside < everywhere < outside
    torch.testing.assert_close(part + rest, coverage)
    both = met3r(*given, region_a=left, region_b=left)
    assert both[1] < part
    nothing = torch.zeros_like(left)
    assert met3r(*given, region_a=nothing)[0].isnan()


def test_more_rows_than_one_part():
    """The loop over rows joins its parts in order: halves of the image with scores of their own."""
    side = int((2.5 * ROWS_AT_ONCE) ** 0.5) + 1
    features_b = torch.where(torch.arange(side)[:, None, None] < side // 2, 1.0, -1.0) * constant(
        1.0, 0.0, size=(side, side)
    )
    depth, intrinsics = torch.ones(side, side), camera(side, side, side)
    score, _ = met3r(
        constant(1.0, 0.0, size=(side, side)), features_b, depth, depth, intrinsics, intrinsics, torch.eye(4)
    )
    torch.testing.assert_close(score, torch.tensor(2 * (side - side // 2) / side))


# ---------------------------------------------------------------- degenerate inputs, metrics.md section 10


def test_features_without_length_count_as_unrelated():
    features = A.clone()
    features[0] = 0.0
    score, coverage = met3r(features, A, FLAT, FLAT, K, K, torch.eye(4))
    torch.testing.assert_close((score, coverage), (torch.tensor(0.25), torch.tensor(1.0)))


@pytest.mark.parametrize("depth", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("view", ["depth_a", "depth_b"])
def test_pixels_without_depth_are_left_out(view, depth):
    depths = {"depth_a": FLAT.clone(), "depth_b": FLAT.clone()}
    depths[view][0] = depth
    features_b = torch.where(torch.arange(4)[:, None, None] == 0, -A, A)
    score, coverage = met3r(A, features_b, *depths.values(), K, K, torch.eye(4))
    torch.testing.assert_close((score, coverage), (torch.tensor(0.0), torch.tensor(0.75)))


@pytest.mark.parametrize("depth", [0.0, float("nan")])
def test_no_depth_at_all_and_points_behind_the_camera_have_no_score(depth):
    nothing = torch.full_like(FLAT, depth)
    assert met3r(A, A, nothing, FLAT, K, K, torch.eye(4))[0].isnan()
    behind = turned(0.0, torch.pi, 0.0)
    assert met3r(A, A, FLAT, FLAT, K, K, behind)[0].isnan()


def test_gradients_reach_both_features_and_stay_finite():
    pair = RandomPair(0)
    leaves = [features.clone().requires_grad_() for features in (pair.features_a, pair.features_b)]
    score, _ = met3r(*leaves, *pair.arguments()[2:])
    for gradient in torch.autograd.grad(score, leaves):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0
    points = points_in_a(FLAT, K)
    leaf = B.clone().requires_grad_()
    score, _ = met3r_reference_compat(A, leaf, points, points, K, radius_ndc=0.6)
    assert torch.autograd.grad(score, leaf)[0].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_and_strides_are_promoted(dtype):
    pair = RandomPair(0)
    rounded = [features.to(dtype) for features in (pair.features_a, pair.features_b)]
    wanted = met3r(*[features.float() for features in rounded], *pair.arguments()[2:])
    strided = [features.repeat_interleave(2, dim=-1)[..., ::2] for features in rounded]
    torch.testing.assert_close(met3r(*strided, *pair.arguments()[2:]), wanted)


def test_autocast_changes_nothing():
    pair = RandomPair(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = met3r(*pair.arguments())
    torch.testing.assert_close(found, met3r(*pair.arguments()), rtol=0, atol=0)


def test_nan_features_are_refused():
    features = A.clone()
    features[1, 1, 0] = torch.nan
    with pytest.raises(InputError, match="features: got NaN or infinity"):
        met3r(features, A, FLAT, FLAT, K, K, torch.eye(4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features_b": constant(1.0, 0.0, 0.0)}, "features_b: got shape"),
        ({"depth_a": torch.ones(4, 7)}, "depth_a: got shape"),
        ({"depth_b": torch.ones(8, 4)}, "depth_b: got shape"),
        ({"region_a": torch.ones(8, 4, dtype=torch.bool)}, "region_a: got shape"),
        ({"region_b": torch.ones(1, 8, dtype=torch.bool)}, "region_b: got shape"),
    ],
)
def test_sizes_that_disagree_are_refused_by_name(without_shape_hook, change, message):
    given = {"features_a": A, "features_b": B, "depth_a": FLAT, "depth_b": FLAT, "intrinsics_a": K, "intrinsics_b": K}
    with pytest.raises(InputError, match=message):
        met3r(**(given | {"b_from_a": torch.eye(4)} | change))


# ---------------------------------------------------------------- features


def test_features_between_cell_centres_are_bilinear():
    cells = torch.tensor([[0.0, 1.0]])[None, ..., None]  # one row of two cells
    found = upsample_features(cells, 2, 8)[0, 0, :, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]))
    assert upsample_features(cells.half(), 1, 2).dtype == torch.float32


def test_half_size_features_stand_for_the_whole_views():
    features, depths, intrinsics, b_from_a = textured_plane()
    small = torch.nn.functional.avg_pool2d(features.movedim(-1, 1), 2).movedim(1, -1)
    score, _ = met3r(*upsample_features(small, 48, 48), *depths, intrinsics, intrinsics, b_from_a)
    assert score < 0.01
    halved = scale_intrinsics(intrinsics, 0.5, 0.5)
    low, _ = met3r(*small, *depths[:, ::2, ::2], halved, halved, b_from_a)
    assert low < 0.05


def test_patches_hold_the_colours_around_a_pixel_less_their_mean():
    images = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    patches = rgb_patches(images).numpy()
    padded = np.pad(images.double().numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    for n, y, x in np.ndindex(2, 6, 7):
        window = padded[n, :, y : y + 5, x : x + 5]
        wanted = (window - window.mean()).ravel()
        np.testing.assert_allclose(patches[n, y, x], wanted / np.linalg.norm(wanted), rtol=1e-4, atol=1e-6)


def test_patches_ignore_brightness_and_contrast_and_grey_ones_are_zero():
    images = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rgb_patches(0.5 * images + 0.2), rgb_patches(images), rtol=0, atol=1e-5)
    assert (rgb_patches(torch.full((1, 3, 6, 6), 0.5)) == 0).all()
