"""Whether a loader keeps a GPU busy at full size: CPU seconds of one sample against the seconds of a step.

    python -m experiments.benchmarks.feeding [--frames 81] [--step_tflop 4139] [--peak_tflops 989] [--share 0.4]

A sample is two views of 81 frames of 480x832: decoded from two H.264 files of that size, from two of 1080p, or read as
latents. CPU seconds are of one thread. The step is not measured but assumed: ReCamMaster's, as
``experiments.benchmarks.memory_count`` counts it, on a GPU that reaches a share of its peak. NVIDIA's data sheet gives
an H100 or H200 SXM 989 TFLOP/s in dense bf16; 0.4 is what large trainings report.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from experiments.benchmarks.video_input import make_clips, make_video
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.latent_file import read_latents, write_latents
from mvt4g.types import Cameras, LatentClip

HEIGHT, WIDTH = 480, 832
WAN_CHANNELS = 16
WAN_STRIDES = (4, 8)
"""In time and in space."""
SOURCES = {"two videos of 480x832": (480, 832), "two videos of 1080p": (1080, 1920)}


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call, all threads together."""
    start = time.process_time()
    call()
    return time.process_time() - start


def put_latents(path: Path, frames: int) -> None:
    """Write latents of two views as ``precompute`` keeps them, in bf16."""
    in_time, in_space = WAN_STRIDES
    size = ((frames - 1) // in_time + 1, HEIGHT // in_space, WIDTH // in_space)
    cameras = Cameras(torch.eye(4).repeat(2, frames, 1, 1), torch.eye(3).repeat(2, frames, 1, 1))
    write_latents(path, LatentClip(torch.randn(2, WAN_CHANNELS, *size), cameras, codec="wan"), torch.bfloat16)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--step_tflop", type=float, default=4139.0)
    parser.add_argument("--peak_tflops", type=float, default=989.0)
    parser.add_argument("--share", type=float, default=0.4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    step = args.step_tflop / (args.peak_tflops * args.share)
    print(f"a step of {args.step_tflop:.0f} TFLOP at {args.share:g} of {args.peak_tflops:.0f} TFLOP/s: {step:.1f} s")
    print("| sample | CPU s | of a step | workers a GPU |\n|---|---:|---:|---:|")
    size = VideoSize(HEIGHT, WIDTH, args.frames)
    calls: dict[str, Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, source) in enumerate(SOURCES.items()):
            path = Path(folder) / f"{number}.mp4"
            make_video(path, args.frames, source)
            calls[name] = partial(make_clips, path, size, 2)
        latents = Path(folder) / "latents.safetensors"
        put_latents(latents, args.frames)
        calls["latents"] = lambda: read_latents(latents)
        for name, call in calls.items():
            seconds = cpu_seconds(call)
            workers = max(1, math.ceil(seconds / step))
            print(f"| {name} | {seconds:.2f} | {seconds / step:.3f} | {workers} |", flush=True)


if __name__ == "__main__":
    main()
