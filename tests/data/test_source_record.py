"""What was taken of a source, told so that pixels and cameras of the clip can be told of the source."""

from pathlib import Path

import pytest
import torch

from mvt4g.data.source_record import SourceRecord
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.framing import FitSpec


@pytest.mark.parametrize("mode", ["cover", "letterbox", "squeeze"])
def test_pixels_and_cameras_go_back_to_the_source(mode):
    framing = FitSpec(mode, (0.3, 0.5), (3, 1, 90, 47)).framing((48, 96), (33, 65))
    record = SourceRecord.of(Path("a.mp4"), 24.0, [0, 2], [0.0, 2 / 24], framing)
    xy = torch.rand(7, 2, generator=torch.Generator().manual_seed(0)) * 48
    torch.testing.assert_close(record.pixels(framing.points(xy)[0]), xy, atol=1e-4, rtol=0)
    intrinsics = intrinsics_from_fov(1.0, 48, 96)
    torch.testing.assert_close(record.intrinsics(framing.intrinsics(intrinsics)), intrinsics, atol=1e-4, rtol=1e-5)
    assert (record.size, record.frames, record.times_s) == ((48, 96), (0, 2), (0.0, 2 / 24))


def test_by_hand():
    record = SourceRecord.of(Path("a.mp4"), 24.0, [0], [0.0], FitSpec().framing((480, 854), (480, 832)))
    assert record.crop_xyxy == (11.0, 0.0, 843.0, 480.0)
    assert record.scale_xy == (1.0, 1.0)
    half = SourceRecord.of(Path("a.mp4"), 24.0, [0], [0.0], FitSpec("letterbox").framing((100, 200), (100, 100)))
    assert half.crop_xyxy == (0.0, -50.0, 200.0, 150.0)
    assert half.scale_xy == (0.5, 0.5)
    assert half.pixels(torch.tensor([[50.0, 50.0]])).tolist() == [[100.0, 50.0]]
