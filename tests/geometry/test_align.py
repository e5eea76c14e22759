"""A similarity is found exactly where there is one, never mirrored, and never NaN where there is none."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvt4g.geometry.align import nearest_rotation, umeyama
from mvt4g.geometry.pose import quaternion_from_rotation, rotation_from_axis_angle, rotation_from_quaternion
from mvt4g.types import InputError
from tests.reference.umeyama import best_rotation, similarity


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moved(points, scale, turn, shift):
    return scale * points @ rotation_from_axis_angle(turn).mT + shift[..., None, :]


@given(st.integers(0, 10**6), st.floats(0.01, 100), st.integers(4, 20))
def test_a_true_similarity_is_found(seed, scale, num_points):
    source, turn, shift = draw(2, num_points, 3, seed=seed), draw(2, 3, seed=seed + 1), draw(2, 3, seed=seed + 2)
    found = umeyama(source, moved(source, scale, turn, shift))
    torch.testing.assert_close(found.scale, torch.full((2,), scale, dtype=torch.float64), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.rotation, rotation_from_axis_angle(turn), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.translation, shift, rtol=0, atol=1e-9 * max(scale, 1))
    assert found.rotation_fixed.all()


@pytest.mark.parametrize("seed", range(20))
def test_noisy_weighted_points_agree_with_the_twin(seed):
    source, target = draw(7, 3, seed=seed), draw(7, 3, seed=seed + 100)
    weights = torch.rand(7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights[seed % 7] = 0
    found = umeyama(source, target, weights)
    scale, rotation, translation = similarity(source.numpy(), target.numpy(), weights.numpy())
    assert float(found.scale) == pytest.approx(scale, abs=1e-12)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, translation, atol=1e-9)
    unweighted = umeyama(source, target)
    assert abs(float(unweighted.scale - found.scale)) > 1e-3, "weights must matter for the parity to say something"


def test_no_other_similarity_is_nearer():
    source, target = draw(9, 3, seed=1), draw(9, 3, seed=2)
    found = umeyama(source, target)
    best = (found.apply(source) - target).square().sum()
    for seed in range(30):
        turn, shift = 1e-2 * draw(3, seed=seed), 1e-2 * draw(3, seed=seed + 50)
        other = moved(found.apply(source), 1 + 1e-2 * float(draw(1, seed=seed + 90)), turn, shift)
        assert (other - target).square().sum() > best


def test_a_mirror_image_is_not_used():
    source = draw(8, 3)
    mirrored = source * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    found = umeyama(source, mirrored)
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1)
    assert (found.apply(source) - mirrored).norm(dim=-1).mean() > 0.1


def test_a_point_of_weight_0_is_not_there():
    source = draw(6, 3)
    target = moved(source, 2.0, draw(3, seed=1), draw(3, seed=2))
    target[2] = 1e6
    weights = torch.ones(6, dtype=torch.float64)
    weights[2] = 0
    found = umeyama(source, target, weights)
    assert float(found.scale) == pytest.approx(2)


@pytest.mark.parametrize("place", [0.0, 1.0 / 3, 1e6])
def test_a_single_source_point_gives_the_mean_of_the_target(place):
    source, target = torch.full((5, 3), place, dtype=torch.float64), draw(5, 3)
    found = umeyama(source, target)
    assert float(found.scale) == 0
    assert torch.equal(found.rotation, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(found.translation, target.mean(dim=0))
    assert not found.rotation_fixed


def test_a_single_target_point_and_no_points_at_all_are_not_nan():
    found = umeyama(draw(5, 3), torch.ones(5, 3))
    assert float(found.scale) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(found.translation, torch.ones(3, dtype=torch.float64))
    nothing = umeyama(draw(5, 3), draw(5, 3, seed=1), torch.zeros(5))
    assert float(nothing.scale) == 0
    assert nothing.translation.isfinite().all()


def test_points_on_a_line_are_aligned_with_the_rotation_about_it_open():
    along = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)[:, None]
    source, target = along * torch.tensor([1.0, 0.0, 0.0]), 2 * along * torch.tensor([0.0, 0.6, 0.8])
    found = umeyama(source, target)
    torch.testing.assert_close(found.apply(source), target, rtol=0, atol=1e-12)
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1)
    assert not found.rotation_fixed
    assert umeyama(source + 0.1 * draw(3, 3), target + 0.1 * draw(3, 3, seed=1)).rotation_fixed


def test_float32_is_worked_on_in_float64():
    source = draw(5, 3).float()
    found = umeyama(source, 3 * source)
    assert found.scale.dtype == torch.float64
    assert float(found.scale) == pytest.approx(3, abs=1e-6)


def test_shapes_that_differ_are_named(without_shape_hook):
    with pytest.raises(InputError, match=r"source: got shape \(5, 3\), want that of target, \(4, 3\)"):
        umeyama(draw(5, 3), draw(4, 3))


@pytest.mark.parametrize("seed", range(10))
def test_nearest_rotation_agrees_with_the_twin(seed):
    matrix = draw(3, 3, seed=seed)
    rotation = nearest_rotation(matrix)
    np.testing.assert_allclose(rotation, best_rotation(matrix.numpy()), atol=1e-9)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1)
    assert (rotation - matrix).norm() > 0.1


def test_nearest_rotation_keeps_rotations_and_takes_noise_off():
    rotation = rotation_from_axis_angle(draw(50, 3))
    torch.testing.assert_close(nearest_rotation(rotation), rotation, rtol=0, atol=1e-12)
    noisy = rotation + 1e-3 * draw(50, 3, 3, seed=1)
    assert ((nearest_rotation(noisy) - rotation).norm() < (noisy - rotation).norm()).all()


@given(st.integers(0, 10**6))
def test_quaternions_and_rotations_are_two_ways(seed):
    rotation = rotation_from_axis_angle(2 * draw(5, 3, seed=seed))
    torch.testing.assert_close(
        rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 3.14159265, torch.pi])
@pytest.mark.parametrize("axis", range(3))
def test_quaternions_keep_their_digits_at_small_angles_and_half_turns(angle, axis):
    turn = torch.zeros(3, dtype=torch.float64)
    turn[axis] = angle
    quaternion = quaternion_from_rotation(rotation_from_axis_angle(turn))
    assert quaternion.norm() == pytest.approx(1, abs=1e-15)
    assert abs(float(quaternion[1 + axis])) == pytest.approx(torch.sin(turn[axis] / 2).item(), rel=1e-7, abs=0)
