"""The synthetic benchmark: videos of truth, controls and trained arms, scored as anybody's would be.

    python -m experiments.benchmark.run [--worlds nano,tiny,256] [--out runs/benchmark]

It goes on where it was stopped: sources and videos that are there are kept, and so are their scores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.benchmark.arms import WITHOUT_MODEL, Arm, model_arm, trained_arms
from experiments.benchmark.worlds import CAMERA, WORLDS, World, frame_rate, write_sources
from mvt4g.benchmark import page, score, table
from mvt4g.formats.video import write_video
from mvt4g.types import MultiViewClip

POSES = "mvt4g.metrics.pose_estimators.photometric.PhotometricAlignment"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the worlds that are asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--worlds", default=",".join(WORLDS))
    options.add_argument("--out", type=Path, default=Path("runs/benchmark"))
    given = options.parse_args(argv)
    torch.set_num_threads(1)
    for name in given.worlds.split(","):
        run_world(WORLDS[name], given.out / name)


def run_world(world: World, folder: Path) -> None:
    """Write one world's videos, and score, table and page of them."""
    clips = dict(world.draw())
    for name, clip in clips.items():
        write_sources(folder / "sources", name, clip)
    for method, arm in WITHOUT_MODEL.items():
        write_method(folder / "videos" / method, arm, clips)
    for method, read in trained_arms(world.name):
        if missing := unwritten(folder / "videos" / method, clips):
            write_method(folder / "videos" / method, model_arm(read()), missing)
    out = str(folder / "out")
    sources = str(folder / "sources")
    score.main([str(folder / "videos"), "--out", out, "--sources", sources, "--preset", "synthetic",
                "--layout", "plain", "--pose_estimator", POSES,
                f"--pose_estimator.init_args.finest_stride={world.stride}"])  # fmt: skip
    backbones = []
    if world.name == "nano":
        for trained in ("prior", "corr_gone300", "prior_corr_gone300"):
            backbones += ["--backbone", f"nano_{trained}=nano_none"]
    table.main([out, "--truth", "truth", *backbones])
    page.main([out, "--truth", "truth", *backbones])


def unwritten(folder: Path, clips: dict[str, MultiViewClip]) -> dict[str, MultiViewClip]:
    """Return the clips of which a method has no video yet."""
    return {name: clip for name, clip in clips.items() if not (folder / f"{name}_{CAMERA}.mp4").is_file()}


def write_method(folder: Path, arm: Arm, clips: dict[str, MultiViewClip]) -> None:
    """Write the videos of a method that are not there."""
    for name, clip in unwritten(folder, clips).items():
        write_video(folder / f"{name}_{CAMERA}.mp4", arm(name, clip), frame_rate(clip))


if __name__ == "__main__":
    main()
