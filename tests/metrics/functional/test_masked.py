import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from mvt4g.metrics.functional.masked import masked_lpips, masked_mean, masked_psnr, masked_ssim
from tests.reference import image_scores


def pair(seed: int, size=(17, 20)) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, *size, generator=generator)
    pred = (target + 0.2 * torch.randn(2, 3, *size, generator=generator)).clamp(0, 1)
    corner = torch.zeros(2, *size, dtype=torch.bool)
    corner[0, 3:9, 2:7] = True
    corner[1] = torch.rand(size, generator=generator) < 0.1
    return pred, target, corner


def test_mse_of_a_hundredth_is_20_db():
    target = torch.zeros(3, 4, 5)
    assert masked_psnr(target + 0.1, target, torch.ones(4, 5, dtype=torch.bool)) == pytest.approx(20.0, abs=1e-5)


def test_masked_mean_of_an_empty_mask_is_nan():
    mask = torch.zeros(2, 3, 3, dtype=torch.bool)
    mask[1, 0, :2] = True
    values = torch.arange(18.0).reshape(2, 3, 3)
    found = masked_mean(values, mask)
    assert found[0].isnan()
    assert found[1] == 9.5


@pytest.mark.parametrize("seed", range(3))
def test_psnr_is_its_twin(seed):
    pred, target, mask = pair(seed)
    found = masked_psnr(pred, target, mask)
    for n in range(2):
        wanted = image_scores.psnr(pred[n].double().numpy(), target[n].double().numpy(), mask[n].numpy())
        assert float(found[n]) == pytest.approx(wanted, abs=1e-4)
        unmasked = image_scores.psnr(pred[n].double().numpy(), target[n].double().numpy())
        assert abs(unmasked - wanted) > 0.01


@pytest.mark.parametrize("count_empty_windows", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_ssim_is_its_twin(seed, count_empty_windows):
    pred, target, mask = pair(seed)
    found = masked_ssim(pred, target, mask, count_empty_windows)
    other = masked_ssim(pred, target, mask, not count_empty_windows)
    for n in range(2):
        wanted = image_scores.masked_ssim(
            pred[n].double().numpy(), target[n].double().numpy(), mask[n].numpy(), count_empty_windows
        )
        assert float(found[n]) == pytest.approx(wanted, abs=2e-4)
    assert (found - other).abs().max() > 0.01, "the option would do nothing here"


def test_a_full_mask_gives_plain_ssim_of_whole_windows():
    pred, target, _ = pair(0)
    _, windows = structural_similarity_index_measure(
        pred.double(), target.double(), data_range=1.0, reduction="none", return_full_image=True
    )
    full = torch.ones(2, 17, 20, dtype=torch.bool)
    wanted = windows[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)).float()
    torch.testing.assert_close(masked_ssim(pred, target, full), wanted, atol=1e-5, rtol=0)
    assert (windows.mean(dim=(1, 2, 3)) - wanted).abs().max() > 1e-3, "the border would not matter here"


def test_dychecks_mean_counts_windows_without_a_pixel_as_1():
    pred, target, _ = pair(1, size=(40, 40))
    mask = torch.zeros(2, 40, 40, dtype=torch.bool)
    mask[:, 18:22, 18:22] = True
    ours, theirs = masked_ssim(pred, target, mask), masked_ssim(pred, target, mask, count_empty_windows=True)
    torch.testing.assert_close(1 - theirs, (1 - ours) * (14 / 30) ** 2, atol=1e-5, rtol=0)
    assert (theirs - ours > 0.03).all()
    nothing = torch.zeros(2, 40, 40, dtype=torch.bool)
    assert masked_ssim(pred, target, nothing).isnan().all()
    assert (masked_ssim(pred, target, nothing, count_empty_windows=True) == 1).all()


def distance_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Looks at neighbours, as a network does."""
    return torch.nn.functional.avg_pool2d((a - b).abs(), 3, stride=1, padding=1).mean(dim=1)


@pytest.mark.parametrize("score", [masked_psnr, masked_ssim, lambda *given: masked_lpips(distance_map, *given)])
def test_what_lies_outside_the_mask_reaches_no_score(score):
    pred, target, mask = pair(2)
    wanted = score(pred, target, mask)
    spoilt = torch.where(mask[:, None], pred, torch.rand_like(pred))
    nan = torch.where(mask[:, None], pred, torch.nan)
    assert torch.equal(score(spoilt, target, mask), wanted)
    assert torch.equal(score(nan, target, mask), wanted)
    inside = torch.where(mask[:, None], torch.rand_like(pred), pred)
    assert not torch.isclose(score(inside, target, mask), wanted).any()


def test_lpips_sees_images_that_are_black_outside_the_mask():
    pred, target, mask = pair(0)
    seen = []

    def record(a, b):
        seen.extend([a, b])
        return torch.ones(2, 17, 20)

    assert masked_lpips(record, pred, target, mask).tolist() == [1.0, 1.0]
    for shown, image in zip(seen, (pred, target), strict=True):
        assert torch.equal(shown, image * mask[:, None])


def test_identical_images_are_infinite_and_their_gradient_is_0():
    _, target, mask = pair(0)
    pred = target.clone().requires_grad_()
    value = masked_psnr(pred, target, mask)
    assert value.tolist() == [math.inf, math.inf]
    (gradient,) = torch.autograd.grad(torch.where(value.isfinite(), value, 0).sum(), pred)
    assert (gradient == 0).all()


def test_ssim_of_flat_images_has_a_finite_gradient():
    pred = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, 4:8, 4:8] = True
    (gradient,) = torch.autograd.grad(masked_ssim(pred, torch.full_like(pred, 0.25), mask).sum(), pred)
    assert gradient.isfinite().all()
    assert (gradient[..., 10:, 10:] == 0).all()


def test_ssims_gradient_is_that_of_finite_differences():
    pred, target, mask = pair(3, size=(13, 13))
    pred.requires_grad_()
    direction = torch.randn_like(pred)
    (gradient,) = torch.autograd.grad(masked_ssim(pred, target, mask).sum(), pred)
    step = 1e-3 * direction
    rise = masked_ssim(pred + step, target, mask).sum() - masked_ssim(pred - step, target, mask).sum()
    np.testing.assert_allclose(float((gradient * direction).sum()), float(rise.detach()) / 2e-3, rtol=0.02)
