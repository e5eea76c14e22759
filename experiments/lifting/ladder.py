"""How much depth errors cost a warp: quality of the training-free baseline over ladders of damaged depth.

    python -m experiments.lifting.ladder [--clips 1] [--size 256] [--liftings mesh,points,...] [--noise-only] [--csv F]

Clips are held-out scenes of the recipes ``movi_e`` and ``recam``, three seeds each, five frames. Every rung damages the
reference's true depth, lifts the reference, renders it from the target's cameras and fills holes by the nearest pixel.
PSNR is over a clip's pixels of a region: all, or those static or moving target pixels whose surface the reference truly
sees, which are the same at every rung. Warp error is ``metrics.functional.warp_error`` by true geometry, in per cent.
Intervals are 95 % bootstrap intervals over clips; a rung is held against the one before it clip by clip. The first of
the liftings alone climbs the ladders of other damage than noise.
"""

import argparse
import csv
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments.benchmark.worlds import SEEDS, movi_e_world, recam_world
from mvt4g.data.kubric import FIRST_INDEX
from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.geometry.warp import warp_by_depth
from mvt4g.inference.lifting.reference_depth import ReferenceDepth, ReferenceDepthSpec
from mvt4g.inference.lifting.video_warper import VideoWarper
from mvt4g.metrics.functional.bootstrap import bootstrap_interval
from mvt4g.metrics.functional.warp_error import warp_error
from mvt4g.synthetic.generate import generate_clip
from mvt4g.types import REFERENCE, TARGET, MultiViewClip, ViewRecord

NOISE = ("noise:0", "noise:1", "noise:2", "noise:5", "noise:10", "noise:20")
"""The axis of the experiment."""
OTHERS = (
    ("noise:0", "grain:2", "grain:10"),
    ("noise:0", "bias:5", "bias:20"),
    ("noise:0", "drift:10", "drift:40"),
    ("noise:0", "flicker:2", "flicker:10"),
    ("noise:0", "edge_blur:1", "edge_blur:4"),
    ("noise:0", "holes:10", "holes:40"),
    ("noise:0", "moving:10", "moving:40"),
)
"""No damage, whatever its kind, is the lowest rung of each."""
LIFTINGS = {
    "mesh": LiftingSpec("mesh"),
    "points": LiftingSpec("points", edge_filter=False),
    "points_filtered": LiftingSpec("points"),
    "mesh_static": LiftingSpec("mesh", accumulate=True),
    "points_static": LiftingSpec("points", accumulate=True, edge_filter=False),
}
SCORES = ("psnr", "psnr_static", "psnr_moving", "warp_error", "warp_error_moving")
FALLS = {"psnr": -1, "psnr_static": -1, "psnr_moving": -1, "warp_error": 1, "warp_error_moving": 1}
"""Sign of a change for the worse."""
BACKWARD = "true depth of the target, read backward"

Ladder = Sequence[str]
Scores = dict[str, float]


def draw_clips(size: int, count: int) -> Iterator[MultiViewClip]:
    """Yield held-out clips of two views."""
    for recipe, scene in (("movi_e", movi_e_world(size)), ("recam", recam_world(size))):
        for seed in SEEDS:
            for index in range(count):
                clip = generate_clip(scene, seed, FIRST_INDEX["test"] + index).select_views([REFERENCE, TARGET])
                yield MultiViewClip(
                    clip.video, clip.cameras, f"{recipe}-s{seed}-{index}", depth=clip.depth, dynamic=clip.dynamic
                )


def read_backward(clip: MultiViewClip) -> tuple[Float[Tensor, "t 3 h w"], Bool[Tensor, "t h w"]]:
    """Return the reference read bilinearly where the target's true depth says, and where both views see a surface."""
    assert clip.depth is not None
    return warp_by_depth(
        source=clip.video[REFERENCE],
        source_depth=clip.depth[REFERENCE],
        depth=clip.depth[TARGET],
        cam_from_world=clip.cameras.cam_from_world[TARGET],
        intrinsics=clip.cameras.intrinsics[TARGET],
        source_cam_from_world=clip.cameras.cam_from_world[REFERENCE],
        source_intrinsics=clip.cameras.intrinsics[REFERENCE],
    )


def psnr_within(
    video: Float[Tensor, "t 3 h w"], truth: Float[Tensor, "t 3 h w"], region: Bool[Tensor, "t h w"]
) -> float:
    """Return the PSNR over all pixels of a region, dB; NaN where there are none."""
    square = (video - truth).double().square().mean(dim=1)
    return float(-10 * square[region].mean().log10())


def score(clip: MultiViewClip, video: Float[Tensor, "t 3 h w"], seen: Bool[Tensor, "t h w"]) -> Scores:
    """Return all scores of a target view.

    Args:
        clip: Its truth.
        video: The view.
        seen: Target pixels whose surface the reference truly sees.
    """
    assert clip.dynamic is not None
    truth = clip.video[TARGET]
    moving = clip.dynamic[TARGET]
    target = record(clip, TARGET)
    reference = record(clip, REFERENCE)
    return {
        "psnr": psnr_within(video, truth, torch.ones_like(moving)),
        "psnr_static": psnr_within(video, truth, seen & ~moving),
        "psnr_moving": psnr_within(video, truth, seen & moving),
        "warp_error": 100 * float(warp_error(video[None], target, reference)),
        "warp_error_moving": 100 * float(warp_error(video[None], target, reference, reference.dynamic)),
    }


def record(clip: MultiViewClip, view: int) -> ViewRecord:
    """Return the truth of one view as a batch of one."""
    assert clip.depth is not None
    assert clip.dynamic is not None
    cameras = clip.cameras[view]
    return ViewRecord(
        clip.video[view][None],
        clip.depth[view][None],
        cameras.cam_from_world[None],
        cameras.intrinsics[None],
        clip.dynamic[view][None],
    )


def measure(clip: MultiViewClip, climbed: Mapping[str, Sequence[Ladder]]) -> dict[tuple[str, str], Scores]:
    """Return the scores of a clip by (lifting, rung).

    Args:
        clip: With its truth.
        climbed: The ladders of each lifting.
    """
    backward, seen = read_backward(clip)
    found = {(BACKWARD, ""): score(clip, backward, seen)}
    for lifting, ladders in climbed.items():
        for rung in dict.fromkeys(itertools.chain(*ladders)):
            depth = ReferenceDepth(ReferenceDepthSpec(damage=(rung,)))
            warp = VideoWarper(depth, LIFTINGS[lifting], "nearest")
            found[lifting, rung] = score(clip, warp(clip).image, seen)
    return found


def interval(values: Sequence[float], digits: int = 2) -> str:
    """Return mean and interval as a table shows them."""
    numbers = torch.tensor(values, dtype=torch.float64)
    low, high = bootstrap_interval(numbers)
    return f"{float(numbers.nanmean()):.{digits}f} [{float(low):.{digits}f}, {float(high):.{digits}f}]"


def is_worse(now: Sequence[float], before: Sequence[float], sign: int) -> bool:
    """Say whether the interval of the clips' changes lies wholly on the side of the worse."""
    low, _ = bootstrap_interval(sign * (torch.tensor(now) - torch.tensor(before)).double())
    return bool(low > 0)


def print_row(name: str, here: Sequence[Scores], before: Sequence[Scores] | None = None) -> None:
    """Print the scores of all clips; a star stands at one that is worse than before."""
    cells = []
    for key in SCORES:
        values = [scores[key] for scores in here]
        cell = interval(values)
        if before is not None and is_worse(values, [scores[key] for scores in before], FALLS[key]):
            cell += " *"
        cells.append(cell)
    print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Measure all rungs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1, help="of each recipe and seed")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--liftings", default="mesh,points,points_filtered")
    parser.add_argument("--noise-only", action="store_true", help="climb no other ladder")
    parser.add_argument("--csv", type=Path, default=Path("runs/lifting_ladder.csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    climbed: dict[str, tuple[Ladder, ...]] = {}
    for lifting in args.liftings.split(","):
        climbed[lifting] = (NOISE,) if climbed or args.noise_only else (NOISE, *OTHERS)
    found: dict[tuple[str, str], list[Scores]] = {}
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("clip", "lifting", "rung", *SCORES))
        for clip in draw_clips(args.size, args.clips):
            for (lifting, rung), scores in measure(clip, climbed).items():
                found.setdefault((lifting, rung), []).append(scores)
                rows.writerow((clip.name, lifting, rung, *(f"{scores[name]:.5f}" for name in SCORES)))
            file.flush()
            print(f"measured {clip.name}", flush=True)
    count = len(found[BACKWARD, ""])
    print(f"\n{count} clips of {args.size} px\n\n| | {' | '.join(SCORES)} |\n|---|{'---:|' * len(SCORES)}")
    print_row(BACKWARD, found[BACKWARD, ""])
    for lifting, ladders in climbed.items():
        for ladder in ladders:
            before = None
            for rung in ladder:
                here = found[lifting, rung]
                print_row(f"{lifting}, {rung}", here, before)
                before = here


if __name__ == "__main__":
    main()
