import numpy as np
import pytest
import torch

from mvt4g.metrics.functional.frechet import frechet_distance, gaussian_from_sums
from tests.reference import frechet as twin


def gaussian(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return gaussian_from_sums(samples.sum(0), samples.mT @ samples, torch.tensor(len(samples)))


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(frechet_distance(*gaussian(a.double()), *gaussian(b.double())))


def draw(seed: int, number: int = 20, size: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.randn(number, size, generator=generator, dtype=torch.float64) @ mix + seed


def test_known_distances():
    assert distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]])) == pytest.approx(9.0, abs=1e-12)
    assert distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [6.0]])) == pytest.approx(12.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_its_twin(seed):
    a, b = draw(seed), draw(seed + 1, number=33)
    found = distance(a, b)
    assert found == pytest.approx(twin.frechet(a.numpy(), b.numpy()), rel=1e-9)
    assert abs(found - float((a.mean(0) - b.mean(0)).square().sum())) > 0.1, "covariances would not matter here"


def test_sums_give_mean_and_unbiased_covariance():
    samples = draw(3)
    mean, covariance = gaussian(samples)
    np.testing.assert_allclose(mean, samples.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(samples.numpy(), rowvar=False), rtol=1e-10)


def test_it_is_a_symmetric_distance_that_rigid_motions_keep():
    a, b = draw(0), draw(1, number=30)
    wanted = distance(a, b)
    assert distance(a, a) == pytest.approx(0, abs=1e-9)
    assert distance(b, a) == pytest.approx(wanted, rel=1e-10)
    turn = torch.linalg.qr(draw(2, number=5)).Q
    assert distance(a @ turn + 7, b @ turn + 7) == pytest.approx(wanted, rel=1e-9)
    assert distance(3 * a, 3 * b) == pytest.approx(9 * wanted, rel=1e-10)
    assert distance(a, b + 7) != pytest.approx(wanted, rel=0.1)


def test_it_grows_with_the_shift_and_is_that_shift_for_equal_shapes():
    a = draw(0)
    for shift in (0.1, 1.0, 10.0):
        assert distance(a, a + shift) == pytest.approx(5 * shift**2, rel=1e-6)


def test_rank_deficient_covariances_give_real_finite_values():
    """Fewer samples than features: the product has eigenvalues that rounding makes negative or complex."""
    a, b = draw(0, number=4, size=12), draw(1, number=5, size=12)
    product = gaussian(a)[1] @ gaussian(b)[1]
    assert torch.linalg.eigvals(product).real.min() < 0, "nothing to clamp here"
    found = distance(a, b)
    wanted = float((a.mean(0) - b.mean(0)).square().sum() + gaussian(a)[1].trace() + gaussian(b)[1].trace())
    roots = torch.linalg.svdvals((a - a.mean(0)) @ (b - b.mean(0)).mT / (3 * 4) ** 0.5)
    assert found == pytest.approx(wanted - 2 * float(roots.sum()), rel=1e-6)


def test_a_single_sample_has_no_covariance():
    assert not gaussian(draw(0, number=1))[1].isfinite().any()
