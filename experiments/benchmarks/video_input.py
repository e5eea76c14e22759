"""What making a clip of a video costs: memory over the imports, and frames a second against decoding alone.

    python -m experiments.benchmarks.video_input [--frames 81] [--height 480] [--width 832] [--threads 1]
                                                 [--source 1080 1920] [--workers 1 2] [--rows NAME ...]

The video is H.264, of a picture that moves and a little noise, made by the same program. Each row is a process of its
own. Memory is the peak of resident memory over that after the imports. Frames are of a second of CPU time, all threads
together, so that what else the machine does counts for little; decoding is included. Several workers are as many
processes at once; the column sums up what each does in a second of its own.

"decoding" takes the frames as PyAV stores them, "torchcodec" as RGB, if it is installed; "rgb" is PyAV and the
conversion to RGB; "clip" is what ``predict`` does, "pair" twice that into one tensor; "whole" keeps all frames at full
size before it resizes them, as the reader did before it went frame by frame.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

from experiments.measure import peak_bytes
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import VideoSource
from mvt4g.formats.video import read_video
from mvt4g.formats.video_decoding import decoded_frames, opened_video

ROWS = ("decoding", "rgb", "torchcodec", "clip", "pair", "whole")
OPTIONAL = "torchcodec"


def make_video(path: Path, num_frames: int, source: tuple[int, int]) -> None:
    """Write the source, frame by frame."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 3, source[0] // 16, source[1] // 16), np.float32))
    picture = torch.nn.functional.interpolate(coarse, source, mode="bicubic").clamp(0.05, 0.95)[0].permute(1, 2, 0)
    levels = (picture.numpy() * 255).astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt, stream.options = *source, "yuv420p", {"preset": "veryfast"}
        for frame in range(num_frames):
            noise = rng.integers(-6, 7, source, np.int16)[..., None]
            shown = (np.roll(levels, 4 * frame, axis=1) + noise).clip(0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        out.mux(stream.encode(None))


def decode(path: Path) -> None:
    """Decode every frame and keep none."""
    with opened_video(path) as (container, stream):
        for _ in decoded_frames(path, container, stream):
            pass


def decode_to_rgb(path: Path) -> None:
    """Decode every frame into RGB and keep none."""
    with opened_video(path) as (container, stream):
        for frame in decoded_frames(path, container, stream):
            frame.to_ndarray(format="rgb24")


def decode_by_torchcodec(path: Path) -> None:
    """Decode every frame into RGB by one thread of torchcodec and keep none."""
    # By its name: no part of the project needs it.
    decoders = importlib.import_module(f"{OPTIONAL}.decoders")
    decoder = decoders.VideoDecoder(str(path), num_ffmpeg_threads=1)
    for number in range(len(decoder)):
        decoder[number]


def make_clips(path: Path, size: VideoSize, count: int) -> torch.Tensor:
    """Read the video into as many views of one tensor."""
    video = torch.empty(count, size.num_frames, 3, size.height, size.width)
    for view in video:
        VideoSource(path).read_into(view, range(size.num_frames), size)
    return video


def read_whole(path: Path, size: VideoSize) -> torch.Tensor:
    """Hold all frames at full size, then resize them."""
    video, _ = read_video(path, max_frames=size.num_frames)
    return size.framing((video.shape[-2], video.shape[-1]), str(path)).video(video)


def measure(row: str, path: Path, size: VideoSize) -> tuple[float, float]:
    """Return the peak of memory over that before, in GB, and CPU seconds."""
    calls: dict[str, Callable[[], object]] = {
        "decoding": lambda: decode(path),
        "rgb": lambda: decode_to_rgb(path),
        "torchcodec": lambda: decode_by_torchcodec(path),
        "clip": lambda: make_clips(path, size, 1),
        "pair": lambda: make_clips(path, size, 2),
        "whole": lambda: read_whole(path, size),
    }
    if row == OPTIONAL:
        importlib.import_module(f"{OPTIONAL}.decoders")
    start = time.process_time()
    peak = peak_bytes(calls[row])
    return peak / 1e9, time.process_time() - start


def run_workers(command: list[str], row: str, workers: int, frames: int) -> tuple[float, float]:
    """Return the memory of one of some processes that run at once, GB, and the sum of their frames a CPU second."""
    called = [*command, "--row", row]
    running = [subprocess.Popen(called, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    rate = 0.0
    memory = 0.0
    for process in running:
        told, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{row}: a process ended with {process.returncode}")
        memory, seconds = json.loads(told.splitlines()[-1])
        rate += frames * (2 if row == "pair" else 1) / seconds
    return memory, rate


def main() -> None:
    """Print the table, or with --row one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=832)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--source", type=int, nargs=2, default=(1080, 1920), metavar=("H", "W"))
    parser.add_argument("--workers", type=int, nargs="+", default=[1], choices=(1, 2))
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = VideoSize(arguments.height, arguments.width, arguments.frames)
    if arguments.row is not None:
        print(json.dumps(measure(arguments.row, arguments.video, size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.mp4"
        make_video(path, arguments.frames, tuple(arguments.source))
        command = [sys.executable, "-m", "experiments.benchmarks.video_input", *sys.argv[1:], "--video", str(path)]
        height, width = arguments.source
        print(f"{arguments.frames} frames of {width}x{height} to {arguments.width}x{arguments.height}")
        print("| what | workers | memory over the imports, GB | frames a CPU second | of decoding |")
        print("|---|---:|---:|---:|---:|")
        for workers in arguments.workers:
            alone = 0.0
            for row in arguments.rows:
                if row == OPTIONAL and importlib.util.find_spec(OPTIONAL) is None:
                    continue
                memory, rate = run_workers(command, row, workers, arguments.frames)
                alone = alone or rate
                print(f"| {row} | {workers} | {memory:.2f} | {rate:.1f} | {rate / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
