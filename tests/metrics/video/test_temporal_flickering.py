"""Flicker of videos of several lengths: padding, types, and videos that have no value."""

import pytest
import torch

from mvt4g.metrics.video.temporal_flickering import TemporalFlickering
from mvt4g.types import InputError


def scored(video: torch.Tensor, valid_frames: torch.Tensor | None = None) -> TemporalFlickering:
    metric = TemporalFlickering()
    metric.update(video, valid_frames)
    return metric


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_videos_weigh_the_same_however_long():
    still_then_flash = torch.zeros(2, 5, 3, 4, 4)
    still_then_flash[:, 1] = 1.0
    valid = torch.tensor([[True] * 5, [True, True, False, False, False]])
    metric = scored(still_then_flash, valid)
    assert metric.per_video("score").tolist() == [0.5, 0.0]
    assert float(metric.compute()) == 0.25


def test_padding_may_hold_anything():
    video = noise(1, 5, 3, 4, 4).float() / 255
    valid = torch.tensor([[True, True, True, False, False]])
    padded = video.clone()
    padded[:, 3:] = torch.nan
    assert torch.equal(scored(padded, valid).compute(), scored(video[:, :3]).compute())


def test_one_frame_videos_have_no_value_and_are_counted():
    metric = scored(noise(2, 1, 3, 4, 4))
    metric.update(torch.zeros(1, 2, 3, 4, 4))
    assert float(metric.compute()) == 1.0
    assert int(metric.num_missing("score")) == 2


@pytest.mark.parametrize(
    "video", [torch.zeros(2, 3, 4, 4), torch.zeros(1, 2, 1, 4, 4), 255 * torch.ones(1, 2, 3, 4, 4)]
)
@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_videos_are_named(video):
    with pytest.raises(InputError, match=r"^video: got "):
        TemporalFlickering().update(video)


@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_valid_frames_are_named():
    with pytest.raises(InputError, match=r"^valid_frames: got shape \(1, 3\), want \(b, t\) with b=1, t=2"):
        TemporalFlickering().update(torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 3, dtype=torch.bool))
