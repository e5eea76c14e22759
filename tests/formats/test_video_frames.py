"""Which stream of a video file is read, which of its frames, and when they are shown."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from av.packet import Packet

from mvt4g.formats.video import iterate_video, probe_video, read_video
from mvt4g.formats.video_times import rate_of, shown_times
from mvt4g.types import InputError
from tests.formats.made_videos import add_video, encode, level, pictures, remux, write_frames

MANY = [  # container and codec, by pixel format
    ("a.mp4", "libx264", "yuv420p", {}),
    ("a.mov", "mjpeg", "yuvj420p", {}),
    ("a.m4v", "mpeg4", "yuv420p", {"bf": "2"}),
    ("a.mkv", "libx264", "yuv444p", {"bf": "3"}),
    ("b.mkv", "ffv1", "bgr0", {}),
    ("a.webm", "libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "8"}),
    ("b.webm", "libvpx-vp9", "yuv420p", {"lag-in-frames": "8"}),
    ("a.avi", "mpeg4", "yuv420p", {"bf": "2"}),
    ("b.avi", "libx264", "yuv420p", {"bf": "2"}),
    ("a.flv", "libx264", "yuv420p", {"bf": "2"}),
    ("a.ts", "mpeg2video", "yuv420p", {"bf": "2"}),
    ("b.ts", "libx264", "yuv420p", {"bf": "2"}),
    ("a.mpg", "mpeg1video", "yuv420p", {}),
    ("a.nut", "ffv1", "yuv420p", {}),
    ("a.gif", "gif", "rgb8", {}),
    ("a.y4m", "wrapped_avframe", "yuv420p", {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), MANY)
def test_every_container_gives_all_frames_in_order(
    tmp_path: Path, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    rate = 25 if codec in ("mpeg2video", "mpeg1video") else 12  # MPEG-1 and 2 know no 12

    def set_rate(stream: av.VideoStream) -> None:
        stream.codec_context.framerate = Fraction(rate)

    encode(path, codec, pictures(12), pixel_format=pixel_format, options=options, ticks=rate, prepare=set_rate)
    info = probe_video(path)
    video, fps = read_video(path)
    assert info.num_frames == len(video) == 12
    assert fps == info.fps
    assert fps == pytest.approx(rate, rel=1e-2 if name == "a.gif" else 1e-6)  # a GIF counts hundredths of a second
    wanted = torch.tensor([level(number) for number in range(12)]) / 255
    tolerance = 0.15 if name == "a.gif" else 0.02  # eight levels of red
    assert (video.mean(dim=(1, 2, 3)) - wanted).abs().max() < tolerance
    assert_agrees(path)


def assert_agrees(path: Path) -> None:
    """Check that probing, reading, iterating and picking give the same frames."""
    info = probe_video(path)
    video, _ = read_video(path)
    assert len(video) == info.num_frames
    assert tuple(video.shape[2:]) == info.image_size
    shown = list(iterate_video(path))
    assert [frame.number for frame in shown] == list(range(info.num_frames))
    assert [frame.time_s for frame in shown] == list(info.times_s)
    assert torch.equal(torch.stack([frame.rgb for frame in shown]), video)
    spread = sorted({0, info.num_frames // 2, info.num_frames - 1})
    picked, fps = read_video(path, frames=spread)
    assert torch.equal(picked, video[spread])
    assert fps == info.rate(spread)
    assert all(after > before for before, after in itertools.pairwise(info.times_s))


def test_hidden_vp8_frames_do_not_count(tmp_path: Path) -> None:
    encode(tmp_path / "plain.webm", "libvpx", pictures(20))
    remux(tmp_path / "plain.webm", tmp_path / "hidden.webm", _hide)
    info = probe_video(tmp_path / "hidden.webm")
    assert info.num_frames == 18
    video, _ = read_video(tmp_path / "hidden.webm")
    shown = [number for number in range(20) if number not in (7, 13)]
    assert video.mean(dim=(1, 2, 3)).mul(255) == pytest.approx([level(number) for number in shown], abs=3)
    assert info.times_s == pytest.approx([number / 12 for number in shown], abs=1e-3)
    assert_agrees(tmp_path / "hidden.webm")


def _hide(packets: list[Packet]) -> Iterator[Packet]:
    """Clear the bit by which VP8 shows a frame, in two frames."""
    for number, packet in enumerate(packets):
        data = bytearray(bytes(packet))
        if number in (7, 13):
            data[0] &= ~0x10
        changed = Packet(bytes(data))
        changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
        changed.is_keyframe = packet.is_keyframe
        yield changed


@pytest.mark.parametrize("name", ["trimmed.mkv", "trimmed.mp4"])
def test_leading_frames_that_cannot_be_decoded_do_not_count(tmp_path: Path, name: str) -> None:
    options = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0"}
    encode(tmp_path / "whole.mkv", "libx264", pictures(36), options=options)
    with av.open(str(tmp_path / "whole.mkv")) as whole:
        packets = [(packet.pts, packet.is_keyframe) for packet in whole.demux(video=0) if packet.size]
    start = [number for number, (_, is_key) in enumerate(packets) if is_key][1]
    lost = sum(pts < packets[start][0] for pts, _ in packets[start:])
    assert lost > 0
    remux(tmp_path / "whole.mkv", tmp_path / name, lambda packets: packets[start:])
    assert probe_video(tmp_path / name).num_frames == len(packets) - start - lost
    assert_agrees(tmp_path / name)


def test_frames_before_the_start_of_an_edit_list_do_not_count(tmp_path: Path) -> None:
    def five_early(packets: list[Packet]) -> Iterator[Packet]:
        for packet in packets:
            packet.pts -= round(Fraction(5, 12) / packet.time_base)
            packet.dts -= round(Fraction(5, 12) / packet.time_base)
            yield packet

    encode(tmp_path / "whole.mp4", "libx264", pictures(24), options={"bf": "3"})
    remux(tmp_path / "whole.mp4", tmp_path / "a.mp4", five_early)
    video, fps = read_video(tmp_path / "a.mp4")
    assert video.mean(dim=(1, 2, 3)).mul(255) == pytest.approx([level(number) for number in range(5, 24)], abs=3)
    assert fps == pytest.approx(12)
    assert_agrees(tmp_path / "a.mp4")


TIMES = [*range(0, 24, 2), *range(24, 96, 6)]  # 12 frames at 24 a second, 12 at 8, in 1/48 s


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"bf": "0"}),
        ("b.mp4", "libx264", {"bf": "3"}),
        ("a.mkv", "libx264", {"bf": "3"}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.ts", "libx264", {"bf": "3"}),
        ("a.flv", "libx264", {}),
    ],
)
def test_the_rate_is_that_of_the_frames_kept_by_their_times(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / name
    encode(path, codec, pictures(24), options=options, times=TIMES, ticks=48)
    info = probe_video(path)
    assert info.times_s == pytest.approx([time / 48 for time in TIMES], abs=1.1e-3)
    assert info.fps == pytest.approx(23 / 1.875, rel=2e-3)
    assert read_video(path, max_frames=12)[1] == pytest.approx(24, rel=5e-3)
    assert read_video(path, frames=range(12, 24))[1] == pytest.approx(8, rel=5e-3)
    assert read_video(path, frames=(0, 23))[1] == pytest.approx(1 / 1.875, rel=5e-3)
    assert_agrees(path)


def test_stamps_that_are_missing_or_run_backwards_are_replaced() -> None:
    second, rate = Fraction(1, 10), Fraction(5)
    assert shown_times([0, 2, 4], second, rate) == pytest.approx((0, 0.2, 0.4))
    assert shown_times([100, 102, 106], second, rate) == pytest.approx((0, 0.2, 0.6))
    assert shown_times([0, None, 4, 6], second, rate) == pytest.approx((0, 0.2, 0.4, 0.6))
    assert shown_times([0, 2, 2, 6], second, rate) == pytest.approx((0, 0.2, 0.4, 0.6))  # shown at one time twice
    assert shown_times([0, 2, 4, 1, 3], second, rate) == pytest.approx((0, 0.2, 0.4, 0.6, 0.8))  # starts again
    assert shown_times([None, None, 4, 6], second, rate) == pytest.approx((0, 0.2, 0.4, 0.6))
    assert shown_times([None, None, None], second, rate) == pytest.approx((0, 0.2, 0.4))
    assert shown_times([7], second, rate) == (0.0,)


def test_a_stated_rate_that_the_times_allow_is_exact() -> None:
    milliseconds = [round(1000 * number / 24) / 1000 for number in range(81)]
    assert rate_of(milliseconds, range(81), 0.001, 24.0) == 24.0
    assert rate_of(milliseconds, range(0, 81, 3), 0.001, 24.0) == 8.0
    assert rate_of(milliseconds, (0, 1, 3), 0.001, 24.0) == 16.0
    assert rate_of(milliseconds, (5,), 0.001, 24.0) == 24.0
    assert rate_of([number / 30 for number in range(81)], range(81), 0.001, 24.0) == pytest.approx(30)  # control


@pytest.mark.parametrize(
    ("codec", "options"), [("libx264", {"bf": "2"}), ("mpeg4", {"bf": "2"}), ("libx264", {"bf": "0"})]
)
def test_frames_of_an_avi_are_shown_at_their_packets_places(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    encode(tmp_path / "a.avi", codec, pictures(14), options=options, ticks=12)
    assert probe_video(tmp_path / "a.avi").times_s == pytest.approx([number / 12 for number in range(14)])
    assert_agrees(tmp_path / "a.avi")


def test_a_frame_that_a_coarse_clock_leaves_out_counts_in_the_rate(tmp_path: Path) -> None:
    encode(tmp_path / "a.avi", "mpeg4", pictures(8), times=(0, 1, 2, 4, 5, 6, 7, 8), ticks=24)
    info = probe_video(tmp_path / "a.avi")
    assert info.tick_s == pytest.approx(1 / 24), "a tick is a whole frame"
    assert info.rate(range(3)) == 24.0
    assert info.rate(range(5)) == pytest.approx(4 / (5 / 24))
    assert info.fps == pytest.approx(7 / (8 / 24))


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.mp4"])
@pytest.mark.parametrize("cover_first", [True, False])
def test_a_cover_picture_is_no_video(tmp_path: Path, name: str, cover_first: bool) -> None:
    cover, video = ("mjpeg", (32, 32), "yuvj420p"), ("libx264", (64, 64), "yuv420p")
    with av.open(str(tmp_path / name), "w") as out:
        for stream in [add_video(out, *kind) for kind in ((cover, video) if cover_first else (video, cover))]:
            size = (stream.height, stream.width)
            write_frames(out, stream, pictures(12 if size == (64, 64) else 1, size))
    assert probe_video(tmp_path / name).image_size == (64, 64)
    assert probe_video(tmp_path / name).num_frames == 12
    assert_agrees(tmp_path / name)


def write_two_videos(path: Path, first: tuple[int, int], second: tuple[int, int]) -> None:
    with av.open(str(path), "w") as out:
        for stream in [add_video(out, "libx264", size) for size in (first, second)]:
            write_frames(out, stream, pictures(12, (stream.height, stream.width)))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_small_preview_is_not_the_video(tmp_path: Path, name: str) -> None:
    write_two_videos(tmp_path / name, (32, 32), (64, 64))
    assert probe_video(tmp_path / name).image_size == (64, 64)


def test_of_several_videos_one_is_read_and_named(tmp_path: Path) -> None:
    write_two_videos(tmp_path / "a.mkv", (64, 48), (64, 64))
    with pytest.warns(UserWarning, match=r"a.mkv: has the video streams 0 \(48x64\), 1 \(64x64\); stream 0 is read"):
        assert probe_video(tmp_path / "a.mkv").image_size == (64, 48)


def test_a_file_of_sound_alone_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame(format="s16", layout="mono", samples=800)
        sound.sample_rate = 8000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    with pytest.raises(InputError, match=r"a.mkv: got no video stream"):
        probe_video(tmp_path / "a.mkv")


def test_a_file_that_was_replaced_is_probed_again(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", "libx264", pictures(5))
    assert probe_video(tmp_path / "a.mp4").num_frames == 5
    encode(tmp_path / "a.mp4", "libx264", pictures(7))
    assert probe_video(tmp_path / "a.mp4").num_frames == 7


@pytest.mark.parametrize("frames", [(3, 1), (1, 1), (-1, 2), (4, 12)])
def test_frame_numbers_must_increase_and_exist(tmp_path: Path, frames: tuple[int, int]) -> None:
    encode(tmp_path / "a.mp4", "libx264", pictures(12))
    with pytest.raises(InputError, match=r"a.mp4: got .* want (increasing ones from 0|frames up to 12)"):
        read_video(tmp_path / "a.mp4", frames=frames)
