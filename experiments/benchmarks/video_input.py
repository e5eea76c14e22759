"""What making a clip of a full-HD video costs: memory over the imports, and frames a second against decoding alone.

    python -m experiments.benchmarks.video_input [--frames 81] [--height 480] [--width 832] [--threads 1]

The video is H.264 of 1920x1080, of a picture that moves and a little noise, made by the same program. Each row is a
process of its own. Memory is the peak of resident memory over that after the imports. Frames are of a second of CPU
time, all threads together, so that what else the machine does counts for little; decoding is included.

"decoding" takes the frames as they are stored; "clip" is what ``predict`` does, "pair" twice that into one tensor;
"whole" keeps all frames at full size before it resizes them, as the reader did before it went frame by frame.
"""

import argparse
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

SOURCE = (1080, 1920)
ROWS = ("decoding", "clip", "pair", "whole")


def make_video(path: Path, num_frames: int) -> None:
    """Write the source, frame by frame."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 3, 68, 120), np.float32))
    picture = torch.nn.functional.interpolate(coarse, SOURCE, mode="bicubic").clamp(0.05, 0.95)[0].permute(1, 2, 0)
    levels = (picture.numpy() * 255).astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt, stream.options = *SOURCE, "yuv420p", {"preset": "veryfast"}
        for frame in range(num_frames):
            noise = rng.integers(-6, 7, SOURCE, np.int16)[..., None]
            shown = (np.roll(levels, 4 * frame, axis=1) + noise).clip(0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        out.mux(stream.encode(None))


def decode(path: Path) -> None:
    """Decode every frame and keep none."""
    with opened_video(path) as (container, stream):
        for _ in decoded_frames(path, container, stream):
            pass


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
        "clip": lambda: make_clips(path, size, 1),
        "pair": lambda: make_clips(path, size, 2),
        "whole": lambda: read_whole(path, size),
    }
    start = time.process_time()
    peak = peak_bytes(calls[row])
    return peak / 1e9, time.process_time() - start


def main() -> None:
    """Print the table, or with --row one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=832)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    size = VideoSize(arguments.height, arguments.width, arguments.frames)
    if arguments.row is not None:
        print(json.dumps(measure(arguments.row, arguments.video, size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hd.mp4"
        make_video(path, arguments.frames)
        command = [sys.executable, "-m", "experiments.benchmarks.video_input", *sys.argv[1:], "--video", str(path)]
        print(f"{arguments.frames} frames of 1920x1080 to {arguments.width}x{arguments.height}")
        print("| what | memory over the imports, GB | frames a CPU second | of decoding |\n|---|---:|---:|---:|")
        alone = 0.0
        for row in ROWS:
            found = subprocess.run([*command, "--row", row], check=True, stdout=subprocess.PIPE, text=True).stdout
            memory, seconds = json.loads(found.splitlines()[-1])
            rate = arguments.frames * (2 if row == "pair" else 1) / seconds
            alone = alone or rate
            print(f"| {row} | {memory:.2f} | {rate:.1f} | {rate / alone:.2f} |")


if __name__ == "__main__":
    main()
