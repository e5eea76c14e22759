"""Memory and time of ``mvt4g benchmark score`` for one video of 81 frames of 480x832, with all that can be known of it.

    python -m experiments.benchmarks.score_memory [--frames 81] [--size 480 832] [--preset mvtrack4gen] [-- OPTION ...]

A clip folder with source, true view, depth, cameras and masks is made up, and one video of the true view is scored in
a process of its own. Its largest resident memory is printed. What follows ``--`` is handed to the command, such as
``--weights.dino_vits16 FILE``.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.npz import write_arrays
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.types import Cameras

CLIP, CAMERA = "clip", "cam01"
KIB = 1024


def waves(frames: int, height: int, width: int, shift: float) -> Float[Tensor, "t 3 h w"]:
    """Return a smooth video in which every frame differs."""
    rows, columns = torch.arange(height)[:, None] / 40, torch.arange(width) / 40
    video = torch.empty(frames, 3, height, width)
    for frame in range(frames):
        for colour in range(3):
            video[frame, colour] = 0.5 + 0.4 * torch.sin(rows + columns + shift + frame / 8 + colour)
    return video


def lay_out(root: Path, frames: int, size: tuple[int, int]) -> None:
    """Write a clip folder and a method's video."""
    clip = root / "sources" / CLIP
    inner = clip / CAMERA
    target = waves(frames, *size, 0.3)
    write_video(clip / "reference.mp4", waves(frames, *size, 0.0), 24)
    write_video(inner / "target.mp4", target, 24)
    write_video(root / "results" / "method" / f"{CLIP}_{CAMERA}.mp4", target, 24)
    path = benchmark_trajectory(CAMERA, frames)
    lens = intrinsics_from_fov(1.0, *size).expand(2, frames, 3, 3)
    cameras = Cameras(torch.stack([torch.eye(4).expand(frames, 4, 4), invert_pose(path)]), lens)
    write_trajectory(inner / "cameras.json", cameras, size)
    depth = np.full((frames, *size), 4.0, np.float32)
    moving = np.zeros((frames, *size), np.uint8)
    moving[:, : size[0] // 3] = 1
    write_arrays(inner / "depth.npz", {"reference": depth, "target": depth})
    write_arrays(inner / "dynamic.npz", {"reference": moving, "target": moving})


def main() -> None:
    """Make the clip up, score its video, print memory and time."""
    parser = argparse.ArgumentParser(description="Memory of scoring one video.")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 832))
    parser.add_argument("--preset", default="mvtrack4gen")
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        lay_out(root, args.frames, tuple(args.size))
        command = [sys.executable, "-m", "mvt4g", "benchmark", "score", str(root / "results")]
        command += ["--out", str(root / "out"), "--sources", str(root / "sources")]
        command += ["--preset", args.preset, *args.options]
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        scores = (root / "out" / "scores.csv").read_text()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KIB
    sys.stdout.write(f"{scores}{peak / 1e9:.2f} GB at most, {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
