"""Videos as players show them, through the datamodules: uneven rates, selections, folders beside videos."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from PIL import Image

from mvt4g.data.davis_datamodule import DAVISDataModule
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.real_clips import RealClip
from mvt4g.data.video_pair_datamodule import VideoPairDataModule
from mvt4g.data.video_size import VideoSize
from mvt4g.geometry.framing import FitSpec
from mvt4g.types import InputError

SLOWING = [*range(0, 24, 2), *range(24, 96, 6)]
"""24 frames, in 1/48 s: 12 at 24 a second, then 12 at 8 a second."""
LOADER = LoaderSpec(batch_size=1, num_workers=0, persistent_workers=False)


def write_film(path: Path, ticks: list[int], height: int = 32, width: int = 32) -> Path:
    """Write grey frames, frame k of level 10 + 8 k, shown at ``ticks`` / 48 s."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 48)
        for number, tick in enumerate(ticks):
            frame = VideoFrame.from_ndarray(np.full((height, width, 3), 10 + 8 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 48)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_folder(path: Path, count: int, step: int = 1) -> Path:
    path.mkdir()
    for number in range(count):
        Image.new("RGB", (32, 32), (10 + 8 * number,) * 3).save(path / f"{number * step}.png")
    return path


def numbers(real: RealClip) -> list[list[int]]:
    """Return which frames of the film each view shows, by their level."""
    return ((real.clip.video[0, :, :, 0, 16, 16] * 255 - 10) / 8).round().int().tolist()


def one(**options: Any) -> RealClip:
    module = DAVISDataModule(loader=LOADER, **options)
    module.setup("predict")
    (clip,) = (module.on_before_batch_transfer(batch, 0) for batch in module.predict_dataloader())
    return clip


def pair(reference: Path, target: Path, **options: Any) -> RealClip:
    module = VideoPairDataModule(reference, target, loader=LOADER, **options)
    module.setup("predict")
    (clip,) = (module.on_before_batch_transfer(batch, 0) for batch in module.predict_dataloader())
    return clip


def size(**options: Any) -> VideoSize:
    return VideoSize(32, 32, 4001, **options)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_selections_of_an_uneven_film_go_by_time(tmp_path: Path, suffix: str) -> None:
    film = write_film(tmp_path / f"film{suffix}", SLOWING)
    whole = one(video=film, size=size())
    assert numbers(whole) == [list(range(24))]
    assert whole.clip.fps[0] == pytest.approx(23 / (90 / 48), rel=0.01)
    even = one(video=film, size=size(frames=FrameSelection(fps=4.0)))
    assert numbers(even) == [[0, 6, 12, 14, 16, 18, 20, 22]]
    assert even.clip.fps[0] == pytest.approx(4.0, rel=1e-2)
    (source,) = even.sources
    assert source.times_s == pytest.approx([k / 4 for k in range(8)], abs=2e-3)
    assert source.frames == (0, 6, 12, 14, 16, 18, 20, 22)
    late = one(video=film, size=size(frames=FrameSelection(start_s=0.5, step=3)))
    assert numbers(late) == [[12, 15, 18, 21]]
    assert late.clip.fps[0] == pytest.approx(8 / 3, rel=1e-2)
    assert "(from 0.5 s, one frame in 3)" in late.rule


def test_films_of_two_rates_are_matched_by_time_stamps(tmp_path: Path) -> None:
    """The even film has 8 frames a second, the slowing one 12.3: the even one sets the moments k / 8 s."""
    slowing = write_film(tmp_path / "slowing.mp4", SLOWING)
    even = write_film(tmp_path / "even.mp4", list(range(0, 96, 6)))
    want = [[0, 3, 6, 9, *range(12, 24)], list(range(16))]
    assert numbers(pair(slowing, even, size=size())) == want
    swapped = pair(even, slowing, size=size())
    assert numbers(swapped) == want[::-1]
    assert [source.path.name for source in swapped.sources] == ["even.mp4", "slowing.mp4"]
    for times in (source.times_s for source in swapped.sources):
        assert times == pytest.approx([k / 8 for k in range(16)], abs=2e-3)


def test_a_folder_beside_a_film_has_its_rate_if_it_has_its_frames(tmp_path: Path) -> None:
    film, folder = write_film(tmp_path / "film.mp4", list(range(0, 48, 4))), write_folder(tmp_path / "frames", 12)
    for real in (pair(film, folder, size=size()), pair(folder, film, size=size())):
        assert numbers(real) == [list(range(12))] * 2
        assert real.clip.fps == pytest.approx((12.0,))
        assert [source.fps for source in real.sources] == pytest.approx([12.0, 12.0])


def test_a_folder_of_other_frames_needs_its_rate_told(tmp_path: Path) -> None:
    film, folder = write_film(tmp_path / "film.mp4", list(range(0, 48, 4))), write_folder(tmp_path / "frames", 6)
    with pytest.raises(InputError, match=r"frames: got 12 and 6 frames of .*want the folder's rate: .*folder_fps"):
        pair(film, folder, size=size())
    real = pair(film, folder, size=size(frames=FrameSelection(folder_fps=6.0)))
    assert numbers(real) == [[0, 2, 4, 6, 8, 10], list(range(6))]


def test_a_folders_rate_is_that_of_its_images(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "frames", 12, step=5)
    plain, told = one(video=folder, size=size()), one(video=folder, size=size(frames=FrameSelection(folder_fps=6.0)))
    assert (plain.clip.fps, told.clip.fps) == ((24.0,), (6.0,))
    halved = one(video=folder, size=size(frames=FrameSelection(folder_fps=6.0, fps=3.0)))
    assert numbers(halved) == [[0, 2, 4, 6, 8, 10]]
    (folder / "10.png").unlink()
    gap = one(video=folder, size=size(frames=FrameSelection(folder_fps=6.0)))
    assert "1 of 12 frame numbers are not there" in gap.rule
    assert gap.sources[0].times_s[:4] == pytest.approx((0, 1 / 6, 3 / 6, 4 / 6))
    assert gap.clip.fps == pytest.approx((10 / (11 / 6),))


@pytest.mark.parametrize("fit", [FitSpec("letterbox"), FitSpec("squeeze"), FitSpec(box=(8, 4, 40, 36))])
def test_every_fit_goes_through_with_cameras_and_points(tmp_path: Path, fit: FitSpec) -> None:
    film = write_film(tmp_path / "film.mp4", [0, 2, 4, 6], height=48, width=96)
    (tmp_path / "q.json").write_text(json.dumps([[1, 20.0, 10.0]]))
    real = one(video=film, size=size(fit=fit), queries=str(tmp_path / "q.json"))
    framing = fit.framing((48, 96), (32, 32))
    assert numbers(real) == [[0, 1, 2, 3]]
    want = framing.points(torch.tensor([[20.0, 10.0]]))[0]
    torch.testing.assert_close(real.queries[0, :, 2:], want)
    (source,) = real.sources
    assert (source.crop_xyxy, source.scale_xy, source.size) == (framing.crop_xyxy, framing.scale_xy, (48, 96))
    back = source.intrinsics(real.clip.cameras.intrinsics[0, 0, 0])
    assert back[:2, 2].tolist() == pytest.approx([48.0, 24.0], abs=1e-3)
    assert float(back[0, 0]) == pytest.approx(float(back[1, 1]), rel=1e-5)
    assert framing.sentence() in real.rule


def test_a_frame_that_stands_twice_is_read_once_and_shown_twice(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", SLOWING)
    real = one(video=film, size=size(frames=FrameSelection(fps=12.0)))
    assert numbers(real)[0] == list(real.sources[0].frames)
    assert len(set(real.sources[0].frames)) < len(real.sources[0].frames)
    assert "of them once more" in real.rule
