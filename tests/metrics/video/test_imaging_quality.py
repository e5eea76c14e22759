"""Quality of frames: how they are shrunk, what is averaged, what is refused."""

import pytest
import torch
from torchvision.transforms import v2

from mvt4g.metrics.video.imaging_quality import AS_IS, LONGER, SHORTER, SHORTER_CENTERCROP, ImagingQuality, shrink
from mvt4g.types import InputError


def brightness(images: torch.Tensor) -> torch.Tensor:
    return 100 * images.mean(dim=(1, 2, 3))


@pytest.mark.parametrize(
    ("how", "size", "shrunk"),
    [
        (LONGER, (480, 832), (295, 512)),
        (LONGER, (832, 480), (512, 295)),
        (LONGER, (512, 300), (512, 300)),
        (SHORTER, (480, 832), (480, 832)),
        (SHORTER, (720, 1280), (512, 910)),
        (SHORTER_CENTERCROP, (720, 1280), (512, 512)),
        (SHORTER_CENTERCROP, (480, 832), (480, 832)),
        (AS_IS, (720, 1280), (720, 1280)),
    ],
)
def test_sizes_after_shrinking(how, size, shrunk):
    assert shrink(torch.zeros(1, 3, *size), how).shape[-2:] == shrunk


def test_vbench_cuts_the_longer_side_below_512():
    """int(512 / 561 * 561) = 511: a rounding error in fp64 costs a pixel."""
    assert shrink(torch.zeros(1, 3, 100, 561), LONGER).shape[-2:] == (91, 511)


def test_shrinking_is_that_of_torchvision_without_antialiasing():
    images = torch.rand(2, 3, 480, 832, generator=torch.Generator().manual_seed(0))
    plain, smooth = (v2.functional.resize(images, [295, 512], antialias=how) for how in (False, True))
    torch.testing.assert_close(shrink(images, LONGER), plain, rtol=0, atol=1e-5)
    assert (shrink(images, LONGER) - smooth).abs().max() > 0.1


def test_the_crop_is_that_of_torchvision():
    images = torch.rand(1, 3, 700, 531, generator=torch.Generator().manual_seed(0))
    resized = v2.functional.resize(images, [int(512 / 531 * 700), 512], antialias=False)
    found = shrink(images, SHORTER_CENTERCROP)
    torch.testing.assert_close(found, v2.functional.center_crop(resized, [512, 512]), rtol=0, atol=1e-5)


def test_mean_over_frames_then_videos():
    video = torch.tensor([[0.2, 0.4, 0.9], [0.8, 0.0, 0.0]]).reshape(2, 3, 1, 1, 1).expand(2, 3, 3, 4, 4)
    metric = ImagingQuality(brightness, frames_at_once=2)
    metric.update(video, torch.tensor([[True, True, True], [True, False, False]]))
    assert metric.per_video("score").tolist() == pytest.approx([0.5, 0.8])
    assert float(metric.compute()) == pytest.approx(0.65)


def test_padding_may_hold_anything_and_is_not_scored():
    video = torch.full((2, 2, 3, 4, 4), 0.5)
    video[:, 1] = torch.nan
    metric = ImagingQuality(brightness)
    metric.update(video, torch.tensor([[True, False], [False, False]]))
    assert metric.per_video("score").nan_to_num(-1).tolist() == pytest.approx([0.5, -1])
    assert int(metric.num_missing("score")) == 1


def test_opinions_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"quality: got shape \(2, 1\), want \(n\) with n=2"):
        ImagingQuality(lambda images: brightness(images)[:, None]).update(torch.zeros(1, 2, 3, 4, 4))


def test_no_frames_at_once_is_refused():
    with pytest.raises(InputError, match="frames_at_once: got 0"):
        ImagingQuality(brightness, frames_at_once=0)
