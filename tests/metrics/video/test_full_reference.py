import math

import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio

from mvt4g.metrics.video.full_reference import VideoLPIPS, VideoPSNR, VideoSSIM
from mvt4g.metrics.video.masked import MaskedLPIPS, MaskedPSNR, MaskedSSIM
from mvt4g.types import InputError
from tests.reference import image_scores


def videos(seed: int = 0, size=(14, 18)) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames whose errors differ by a factor of ten, so that kinds of means differ."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, 3, *size, generator=generator)
    strength = torch.tensor([0.02, 0.2, 0.05])[:, None, None, None]
    return (target + strength * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().mean(dim=(1, 2, 3))


def distance_map(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().mean(dim=1)


FULL = {"psnr": VideoPSNR, "ssim": VideoSSIM, "lpips": lambda: VideoLPIPS(distance)}
MASKED = {"masked_psnr": MaskedPSNR, "masked_ssim": MaskedSSIM, "masked_lpips": lambda: MaskedLPIPS(distance_map)}


def value_of(metric, name: str) -> float:
    result = metric.compute()
    return float(result[name] if isinstance(result, dict) else result)


def test_mse_of_a_hundredth_is_20_db():
    metric = VideoPSNR()
    target = torch.full((1, 2, 3, 8, 8), 0.5)
    metric.update(target + 0.1, target)
    assert value_of(metric, "psnr") == pytest.approx(20.0, abs=1e-5)


def test_psnr_is_the_mean_of_frames_in_db_and_not_of_pooled_errors():
    pred, target = videos()
    metric, pooled = VideoPSNR(), PeakSignalNoiseRatio(data_range=1.0)
    metric.update(pred, target)
    pooled.update(pred, target)
    frames = [
        image_scores.psnr(pred[b, t].double().numpy(), target[b, t].double().numpy())
        for b in range(2)
        for t in range(3)
    ]
    assert value_of(metric, "psnr") == pytest.approx(sum(frames) / 6, abs=1e-4)
    assert value_of(metric, "psnr") - float(pooled.compute()) > 3


@pytest.mark.parametrize("border", ["padded", "whole"])
def test_ssim_is_its_twin(border):
    pred, target = videos(1)
    metric = VideoSSIM(border)
    metric.update(pred, target)
    frames = [
        image_scores.ssim(pred[b, t].double().numpy(), target[b, t].double().numpy(), padded=border == "padded")
        for b in range(2)
        for t in range(3)
    ]
    assert value_of(metric, "ssim") == pytest.approx(sum(frames) / 6, abs=1e-5)


def test_the_borders_of_ssim_differ():
    pred, target = videos(1)
    values = []
    for border in ("padded", "whole"):
        metric = VideoSSIM(border)
        metric.update(pred, target)
        values.append(value_of(metric, "ssim"))
    assert abs(values[0] - values[1]) > 1e-3


@pytest.mark.parametrize("name", MASKED)
def test_a_full_mask_gives_the_unmasked_metric(name):
    pred, target = videos(2)
    masked = MASKED[name]()
    masked.update(pred, target, torch.ones(2, 3, 14, 18, dtype=torch.bool))
    plain = VideoSSIM("whole") if name == "masked_ssim" else FULL[name.removeprefix("masked_")]()
    plain.update(pred, target)
    assert value_of(masked, name) == pytest.approx(value_of(plain, name.removeprefix("masked_")), rel=1e-5)


def test_identical_frames_are_counted_and_left_out():
    pred, target = videos()
    alone, metric = VideoPSNR(), VideoPSNR()
    alone.update(pred[:, 1:], target[:, 1:])
    pred[:, 0] = target[:, 0]
    metric.update(pred, target)
    assert value_of(metric, "psnr") == pytest.approx(value_of(alone, "psnr"), abs=1e-9)
    assert metric.compute()["num_identical_frames"] == 2


@pytest.mark.parametrize("metric", [VideoPSNR(), MaskedPSNR()], ids=["full", "masked"])
def test_videos_that_equal_their_truth_have_no_psnr_and_are_counted(metric):
    _, target = videos()
    mask = () if isinstance(metric, VideoPSNR) else (torch.ones(2, 3, 14, 18, dtype=torch.bool),)
    metric.update(target, target, *mask)
    name = metric.columns[0]
    assert math.isnan(value_of(metric, name))
    assert metric.compute()["num_identical_frames"] == 6
    assert metric.num_missing(name) == 2


@pytest.mark.parametrize("make", [VideoPSNR, MaskedPSNR])
def test_a_cap_holds_for_identical_and_for_near_frames(make):
    pred, target = videos()
    pred[0] = target[0]
    metric = make(cap_db=10)
    mask = () if make is VideoPSNR else (torch.ones(2, 3, 14, 18, dtype=torch.bool),)
    metric.update(pred, target, *mask)
    assert value_of(metric, metric.columns[0]) == 10
    assert metric.compute()["num_identical_frames"] == 3


@pytest.mark.parametrize("cap", [0, -1, math.nan])
def test_a_cap_that_is_no_positive_number_is_refused(cap):
    for make in (VideoPSNR, MaskedPSNR):
        with pytest.raises(InputError, match="cap_db: got"):
            make(cap_db=cap)


def test_a_psnr_of_some_identical_frames_has_a_finite_gradient():
    pred, target = videos()
    pred[0, 0] = target[0, 0]
    pred.requires_grad_()
    for metric, more in ((VideoPSNR(), ()), (MaskedPSNR(), (torch.ones(2, 3, 14, 18, dtype=torch.bool),))):
        (gradient,) = torch.autograd.grad(metric(pred, target, *more)[metric.columns[0]], pred)
        assert gradient.isfinite().all()
        assert (gradient[0, 0] == 0).all()
        assert (gradient[0, 1] != 0).any()


@pytest.mark.parametrize("name", [*FULL, *MASKED])
def test_frames_that_are_not_valid_do_not_count(name):
    pred, target = videos()
    more = (torch.ones(2, 3, 14, 18, dtype=torch.bool),) if name in MASKED else ()
    make = (FULL | MASKED)[name]
    metric, cut = make(), make()
    valid = torch.tensor([[True, True, False], [False, False, False]])
    metric.update(pred, target, *more, valid_frames=valid)
    cut.update(pred[:1, :2], target[:1, :2], *(part[:1, :2] for part in more))
    assert value_of(metric, name) == pytest.approx(value_of(cut, name), abs=1e-9)
    assert metric.per_video(name).isnan().tolist() == [False, True]
    assert metric.num_missing(name) == 1


@pytest.mark.parametrize("name", MASKED)
def test_empty_masks_have_no_score_and_are_counted(name):
    pred, target = videos()
    mask = torch.zeros(2, 3, 14, 18, dtype=torch.bool)
    mask[0, :2, 2:12, 3:9] = True
    metric, alone = MASKED[name](), MASKED[name]()
    metric.update(pred, target, mask)
    alone.update(pred[:1, :2], target[:1, :2], mask[:1, :2])
    assert value_of(metric, name) == pytest.approx(value_of(alone, name), abs=1e-9)
    assert metric.compute()["num_empty_frames"] == 4
    assert metric.num_missing(name) == 1


def test_dychecks_own_mean_of_ssim_gives_an_empty_mask_1():
    pred, target = videos()
    metric = MaskedSSIM(count_empty_windows=True)
    metric.update(pred, target, torch.zeros(2, 3, 14, 18, dtype=torch.bool))
    assert metric.compute() == {"masked_ssim": 1.0, "num_empty_frames": 6.0}


@pytest.mark.parametrize("name", [*FULL, *MASKED])
@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_input_is_refused_by_name(name):
    pred, target = videos()
    mask = torch.ones(2, 3, 14, 18, dtype=torch.bool)
    metric = (FULL | MASKED)[name]()
    more = (mask,) if name in MASKED else ()
    cases = {
        r"target_video: got shape \(2, 2, 3, 14, 18\), want": (pred, target[:, :2], *more),
        r"video: got shape \(3, 3, 14, 18\), want": (pred[0], target, *more),
        r"video: got shape \(2, 3, 1, 14, 18\), want": (pred[:, :, :1], target, *more),
        r"video: got values from .* to 2.*, want \[0, 1\]": (2 * pred / pred.max(), target, *more),
        r"target_video: got values from 0 to 255, want \[0, 1\]": (pred, 255 * (target > 0.5).float(), *more),
        r"video: got values from nan": (pred * torch.nan, target, *more),
        r"video: got torch.int64": (pred.long(), target, *more),
        r"valid_frames: got shape \(2, 2\), want": (pred, target, *more, torch.ones(2, 2, dtype=torch.bool)),
    }
    if name in MASKED:
        cases |= {
            r"mask: got shape \(2, 3, 14, 17\), want": (pred, target, mask[..., 1:]),
            r"mask: got torch.float32, want torch.bool": (pred, target, mask.float()),
        }
    for message, given in cases.items():
        with pytest.raises(InputError, match=message):
            metric.update(*given)
    assert metric.per_video(name).numel() == 0


@pytest.mark.parametrize("metric", [VideoSSIM(), MaskedSSIM()], ids=["full", "masked"])
def test_frames_smaller_than_ssims_window_are_refused(metric):
    video = torch.rand(1, 1, 3, 10, 12)
    more = (torch.ones(1, 1, 10, 12, dtype=torch.bool),) if isinstance(metric, MaskedSSIM) else ()
    with pytest.raises(InputError, match="got frames of 10 x 12, want at least 11 x 11"):
        metric.update(video, video, *more)


@pytest.mark.usefixtures("without_shape_hook")
def test_an_unknown_border_is_refused():
    with pytest.raises(InputError, match="border: got 'zero'"):
        VideoSSIM("zero")
