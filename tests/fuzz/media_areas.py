"""What is fed with broken input: pictures, videos, trees and pairs of them."""

import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mvt4g.data.davis_datamodule import DAVISDataModule
from mvt4g.data.video_pair_datamodule import VideoPairDataModule
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.images import read_frames, read_mask
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import probe_video, read_video, write_video
from mvt4g.types import InputError
from tests.fuzz.area import Area, files, moving_video, raised, two_cameras, write_queries
from tests.fuzz.harness import Case
from tests.fuzz.mutations import mutate_bytes
from tests.made_up_davis import make_davis


def _write_images(folder: Path) -> None:
    (folder / "frames").mkdir()
    for number, suffix in enumerate(("png", "jpg", "webp", "bmp")):
        picture = (moving_video(number, 1)[0].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(picture).save(folder / "frames" / f"{number:03d}.{suffix}")
    mask = Image.fromarray(np.eye(32, 48, dtype=np.uint8)).convert("P")
    mask.save(folder / "mask.png")


def _read_images(folder: Path) -> None:
    found = read_frames(folder / "frames")
    if len(found) != 4:
        raise InputError("frames: one is gone")
    read_mask(folder / "mask.png")


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it has this size, and has next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _odd_image(draw: random.Random, folder: Path) -> str:
    path = folder / draw.choice(["frames/000.png", "frames/001.jpg", "mask.png"])
    kinds: dict[str, Callable[[], Any]] = {
        "PNG of 30000x30000": lambda: path.write_bytes(_png_of(30000, 30000)),
        "PNG of 2**31 rows": lambda: path.write_bytes(_png_of(4, 2**31 - 1)),
        "PNG of 0x0": lambda: path.write_bytes(_png_of(0, 0)),
        "a whole PNG of 12000x12000": lambda: Image.new("1", (12000, 12000)).save(path, "PNG"),
        "PostScript": lambda: path.write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 32\n(ran.mark) (w) file closefile\nshowpage\n"
        ),
        "GIF": lambda: Image.new("P", (48, 32)).save(path, "GIF"),
        "16 bits": lambda: Image.fromarray(np.zeros((32, 48), np.uint16)).save(path, "PNG"),
        "another size": lambda: Image.new("RGB", (8, 8)).save(path, "PNG"),
    }
    kind = draw.choice(sorted(kinds))
    kinds[kind]()
    return f"{path.name}: {kind}"


_VIDEOS = ("a.mp4", "a.mkv", "a.mov", "a.avi", "a.webm")


def _write_videos(folder: Path) -> None:
    import av

    codecs = {"a.mp4": "libx264", "a.mkv": "ffv1", "a.mov": "mpeg4", "a.avi": "mjpeg", "a.webm": "libvpx-vp9"}
    for name, codec in codecs.items():
        with av.open(folder / name, "w") as container:
            stream = container.add_stream(codec, rate=8)
            stream.width, stream.height = 48, 32
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.thread_count = 1
            for picture in (moving_video(1).permute(0, 2, 3, 1) * 255).byte().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())


def _make_video(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    name = draw.choice(_VIDEOS)
    path = folder / name
    shutil.copy(base / name, path)
    told = "" if valid else f"{name}: {mutate_bytes(draw, path)}"
    return Case(told, lambda: (probe_video(path), read_video(path)))


def _write_davis(folder: Path) -> None:
    make_davis(folder / "davis", {"bear": (5, 32, 48), "walk": (5, 32, 48)}, palette=True)
    (folder / "davis" / "ImageSets" / "2017").mkdir(parents=True)
    (folder / "davis" / "ImageSets" / "2017" / "val.txt").write_text("bear\nwalk\n")


def _read_davis(folder: Path) -> None:
    size = VideoSize(height=32, width=32, num_frames=5)
    data = DAVISDataModule(root=folder / "davis", queries="mask:4", size=size, sequences=("val",))
    data.setup("predict")
    assert data.clips is not None
    for index in range(len(data.clips)):
        raised(data.clips[index])


def _write_pair(folder: Path) -> None:
    write_video(folder / "a.mp4", moving_video(1), 8)
    write_video(folder / "b.mp4", moving_video(2), 8)
    write_trajectory(folder / "cameras.json", two_cameras(), (32, 48))
    write_queries(folder)


def _read_pair(folder: Path) -> None:
    size = VideoSize(height=32, width=32, num_frames=5)
    for queries in ("q.csv", "q.json"):
        data = VideoPairDataModule(
            folder / "a.mp4", folder / "b.mp4", folder / "cameras.json", str(folder / queries), size
        )
        data.setup("predict")
        assert data.pair is not None
        raised(data.pair[0])


MEDIA_AREAS = (
    files("images", 100, _write_images, _read_images, special=_odd_image),
    Area("videos", 120, _write_videos, _make_video),
    files("DAVIS trees", 70, _write_davis, _read_davis),
    files("pairs", 60, _write_pair, _read_pair),
)
