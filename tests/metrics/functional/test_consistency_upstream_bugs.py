"""The faults of the authors' code (metrics.md, section 1), each where it shows: theirs has it, ours has not."""

import pytest
import torch

from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.functional.consistency import lift_depth, met3r, met3r_one_way, met3r_reference_compat
from tests.metrics.made_up_pairs import RandomPair, camera, constant, points_in_a, shifted, textured_plane


def test_upstream_bug_1_not_symmetric():
    pair = RandomPair(2)
    swapped = (
        pair.features_b, pair.features_a, pair.depth_b, pair.depth_a, pair.intrinsics_b, pair.intrinsics_a,
        invert_pose(pair.b_from_a),
    )  # fmt: skip
    torch.testing.assert_close(met3r(*pair.arguments()), met3r(*swapped))
    one_way, back = met3r(*pair.arguments(), symmetric=False), met3r(*swapped, symmetric=False)
    assert abs(one_way[0] - back[0]) > 1e-3


@pytest.mark.parametrize(("focal", "side"), [(16.0, 8), (32.0, 6)])
def test_upstream_bug_2_focal(focal, side):
    """A square of 8x8 pixels is rendered (1 + f / w) / (2 f / w) times as large: right for f = w alone."""
    square = torch.full((16, 16), torch.nan)
    square[4:12, 4:12] = 1.0
    intrinsics, features = camera(focal, 16, 16), constant(1.0, size=(16, 16))
    points = points_in_a(square, intrinsics)
    _, theirs = met3r_reference_compat(features, features, points, points, intrinsics, radius_ndc=0.1)
    _, ours = met3r(features, features, square, square, intrinsics, intrinsics, torch.eye(4))
    assert theirs == side**2 / 16**2
    assert ours == 8**2 / 16**2


def test_upstream_bug_3_half_pixel():
    """Points lifted from pixel corners come to lie on the border of pixels; from centres they cannot slip."""
    features, depths, intrinsics, _ = textured_plane()
    ray = lift_depth(torch.ones(48, 48), intrinsics)
    corners = ray - torch.tensor([0.5, 0.5, 0.0]) / intrinsics[0, 0]
    right = met3r_one_way(features[0], features[0], ray * depths[0, ..., None], depths[0], intrinsics)
    biased = met3r_one_way(features[0], features[0], corners * depths[0, ..., None], depths[0], intrinsics)
    assert right[0].abs() < 1e-6
    assert biased[0] > 1e-3


def hidden_wall() -> tuple:
    """A plate that only view a shows hides a wall that view b shows: b's wall lands on the plate's pixels."""
    intrinsics, depths, maps = camera(24.0, 24, 24), [], []
    for x in (1.0, 0.0):
        ray = lift_depth(torch.ones(24, 24), intrinsics)
        on_plate = (2 * ray[..., 0] + x - 1.8).abs() < 0.4
        depths.append(torch.where(on_plate, 2.0, 6.0))
        maps.append(torch.where(on_plate[..., None], torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])))
    assert (depths[1] == 6).all()
    return (*maps, *depths, intrinsics, intrinsics, shifted(1.0))


def test_upstream_bugs_4_and_5_hidden_surfaces_bleed_and_occlusion_counts():
    pair = hidden_wall()
    ours, _ = met3r(*pair)
    without_test, _ = met3r(*pair, occlusion_tolerance=float("inf"))
    theirs, _ = met3r_reference_compat(
        *pair[:2], points_in_a(pair[2], pair[4]), points_in_a(pair[3], pair[4], pair[6]), pair[4]
    )
    assert ours.abs() < 1e-6
    assert without_test > 0.05
    assert theirs > 0.05


def test_upstream_bug_8_no_overlap_is_perfect():
    flat, intrinsics, features = torch.full((4, 8), 2.0), camera(100.0, 4, 8), constant(1.0, 0.0)
    points = points_in_a(flat, intrinsics)
    assert met3r_reference_compat(features, -features, points, points + 50.0, intrinsics) == (0.0, 0.0)
    assert met3r(features, -features, flat, flat, intrinsics, intrinsics, shifted(50.0))[0].isnan()


def test_the_authors_score_of_one_view_with_itself_is_all_but_zero():
    features, depths, intrinsics, _ = textured_plane()
    points = points_in_a(depths[0], intrinsics)
    score, coverage = met3r_reference_compat(features[0], features[0], points, points, intrinsics)
    assert 0 <= score < 1e-5
    assert coverage > 0.99
