"""Scale and shift of inverse depth: exact without noise, unmoved by outliers, and modest where nothing can be told."""

import pytest
import torch

from mvt4g.geometry.inverse_depth import InverseDepthFit, fit_inverse_depth


def made_depths(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return depths of scale 1.3 and shift 0.02 too much in inverse depth, and the true ones."""
    true = 2 + 8 * torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return 1 / (1.3 / true + 0.02), true


def test_it_is_exact_without_noise():
    given, true = made_depths(50)
    fit = fit_inverse_depth(given, true)
    assert fit.scale == pytest.approx(1 / 1.3, rel=1e-6)
    assert fit.shift == pytest.approx(-0.02 / 1.3, rel=1e-5)
    assert (fit.inliers, fit.num_points) == (1.0, 50)
    torch.testing.assert_close(fit.apply(given), true)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wrong", [0.1, 0.4])
def test_wrong_points_do_not_move_it(wrong, seed):
    """Points of another surface are nearer or farther by up to six times; least squares alone would be far off."""
    given, true = made_depths(200, seed)
    noise = torch.Generator().manual_seed(seed)
    true = true * (1 + 0.002 * torch.randn(200, dtype=torch.float64, generator=noise))
    count = int(wrong * 200)
    given[:count] *= 0.2 + torch.rand(count, dtype=torch.float64, generator=noise)
    fit = fit_inverse_depth(given, true)
    ours = fit.scale / given[count:] + fit.shift
    assert ((ours * true[count:] - 1).abs().median()) < 0.004
    assert fit.scale == pytest.approx(1 / 1.3, rel=0.02)
    rows = torch.stack([1 / given, torch.ones_like(given)], dim=-1)
    plain = torch.linalg.lstsq(rows, 1 / true[:, None]).solution[0, 0]
    assert abs(plain * 1.3 - 1) > 0.1


def test_depths_all_alike_give_a_scale_alone():
    fit = fit_inverse_depth(torch.full((30,), 2.0), torch.full((30,), 5.0))
    assert (fit.scale, fit.shift) == (pytest.approx(0.4), 0.0)


def test_few_points_give_a_scale_alone_and_fewer_nothing():
    given, true = made_depths(6)
    fit = fit_inverse_depth(given, true)
    assert fit.shift == 0
    assert fit.scale == pytest.approx(float((given / true).median()), rel=0.2)
    assert fit_inverse_depth(given[:3], true[:3]).apply(given).tolist() == given.tolist()
    assert not fit_inverse_depth(given[:3], true[:3]).is_known


def test_points_without_a_depth_are_left_out():
    given, true = made_depths(40)
    given[0], given[1], given[2], true[3] = torch.nan, 0, -1, torch.inf
    fit = fit_inverse_depth(given, true)
    assert fit.num_points == 36
    assert fit.scale == pytest.approx(1 / 1.3)


def test_what_a_shift_puts_beyond_infinity_has_no_depth():
    fit = InverseDepthFit(scale=1.0, shift=-0.5, num_points=1)
    depth = torch.tensor([1.0, 2.0, 4.0, 0.0, torch.nan, -1.0])
    assert fit.apply(depth).tolist() == [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
