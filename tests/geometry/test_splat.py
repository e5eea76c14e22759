"""Which points pixels show: the nearest, whatever the order; and fading discs, blended front to back."""

import pytest
import torch

from mvt4g.geometry.splat import NO_POINT, splat_discs, splat_nearest

INTRINSICS = torch.tensor([[10.0, 0.0, 3.0], [0.0, 10.0, 2.0], [0.0, 0.0, 1.0]])


def at(x: float, y: float, z: float) -> list[float]:
    """The point that K projects to pixel position (x, y)."""
    return [(x - 3) / 10 * z, (y - 2) / 10 * z, z]


def nearest(points: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    return splat_nearest(torch.tensor(points), INTRINSICS, 4, 6)


def test_a_point_falls_into_the_pixel_around_it():
    index, depth = nearest([at(2.01, 1.99, 2.0), at(5.9, 3.9, 1.0)])
    wanted = torch.full((4, 6), NO_POINT)
    wanted[1, 2], wanted[3, 5] = 0, 1
    assert torch.equal(index, wanted)
    assert depth[1, 2] == 2.0
    assert depth[index == NO_POINT].isinf().all()


@pytest.mark.parametrize("order", [(1.0, 2.0), (2.0, 1.0)])
def test_golden_g3_the_nearer_of_two_wins_in_any_order(order):
    index, depth = nearest([at(2.3, 1.4, order[0]), at(2.6, 1.7, order[1])])
    assert int(index[1, 2]) == order.index(1.0)
    assert float(depth[1, 2]) == 1.0


def test_of_equally_near_points_the_first_wins_every_time():
    points = torch.tensor([at(2.5, 1.5, 2.0)] * 500)
    points[:3, 2] = 3.0
    indices = {int(splat_nearest(points, INTRINSICS, 4, 6)[0][1, 2]) for _ in range(20)}
    assert indices == {3}


@pytest.mark.parametrize(
    "point",
    [at(2.5, 1.5, -1.0), [0.0, 0.0, 0.0], [float("nan"), 0.0, 1.0], [0.0, 0.0, float("nan")], [0.0, float("inf"), 1.0],
     [0.0, 0.0, float("inf")], at(-0.01, 1.5, 1.0), at(6.0, 1.5, 1.0), at(2.5, 4.0, 1.0), [1e30, 0.0, 1.0]],
)  # fmt: skip
def test_points_behind_outside_or_not_finite_are_left_out(point):
    index, depth = nearest([point])
    assert (index == NO_POINT).all()
    assert depth.isinf().all()


def test_no_points_give_an_empty_image():
    index, _ = splat_nearest(torch.zeros(0, 3), INTRINSICS, 4, 6)
    assert (index == NO_POINT).all()
    index, weights = splat_discs(torch.zeros(0, 3), INTRINSICS, 4, 6, 1.5, 3)
    assert (index == NO_POINT).all()
    assert (weights == 0).all()


def test_a_disc_covers_the_centres_within_its_radius_and_fades():
    index, weights = splat_discs(torch.tensor([at(2.5, 1.5, 2.0)]), INTRINSICS, 4, 6, 1.25, 2)
    covered = torch.zeros(4, 6, dtype=torch.bool)
    covered[1, 1:4] = covered[0, 2] = covered[2, 2] = True
    assert torch.equal(index[..., 0] == 0, covered)
    assert (index[..., 1] == NO_POINT).all()
    torch.testing.assert_close(weights[1, 2, 0], torch.tensor(1.0))
    torch.testing.assert_close(weights[1, 3, 0], torch.tensor(1 - 1 / 1.25**2))


def test_discs_blend_front_to_back_and_only_the_nearest_few():
    x = [2.5 + 0.5, 2.5 + 0.25, 2.5]
    points = torch.tensor([at(x[2], 1.5, 3.0), at(x[0], 1.5, 1.0), at(x[1], 1.5, 2.0)])
    index, weights = splat_discs(points, INTRINSICS, 4, 6, 1.0, 2)
    assert index[1, 2].tolist() == [1, 2]
    front, back = 1 - 0.5**2, 1 - 0.25**2
    torch.testing.assert_close(weights[1, 2], torch.tensor([front, (1 - front) * back]))


def test_a_disc_whose_point_is_outside_still_covers_the_border():
    index, _ = splat_discs(torch.tensor([at(-0.3, 1.5, 2.0)]), INTRINSICS, 4, 6, 1.25, 1)
    assert index[1, 0, 0] == 0
