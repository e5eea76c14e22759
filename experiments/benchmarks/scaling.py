"""How a training step grows: time, arithmetic and memory against frames, pixels, query points, tapped layers and clips.

    python -m experiments.benchmarks.scaling [--axes frames pixels ...] [--repeats 2]
    python -m experiments.benchmarks.scaling --full [--dit wan_14b] [--ranks 8 64] [--shared 1 8]

A small model trains with head and L_corr (6 layers x 128, one clip of 5 frames of 64x64, 32 points) but for one size
that is doubled again and again. CPU seconds are measured, of one thread, the least of some repeats; FLOP and the bytes
of living tensors are counted. An exponent is the slope in logarithms over the upper half of the sizes. Points and taps
count what they add to a step without them.

What exponents should be: arithmetic grows as 1 + the share of what is quadratic in tokens, which is attention's, as
counted at both ends of the fit; memory as 1, for no attention matrix is kept; points, taps and clips as 1.

``--full`` counts a step of ReCamMaster at full size on fake ranks of FSDP2, of which groups may share the tokens of one
clip: GiB a rank, TFLOP, and the bytes that a rank receives.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from experiments.benchmarks.full_scaling import print_full
from mvt4g.commands.step_memory import BatchSize, LatentsOnly, LiveBytes, step_batch, step_loss, without_numbers
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import LatentGrid

LAYERS = 6
HEAD_LAYER = 3
GRID = LatentGrid(temporal_stride=1, spatial_stride=4, channels=16)


@dataclass(frozen=True)
class Case:
    """The sizes of one step.

    Attributes:
        frames: Of the video.
        side: Pixels on each side of a picture.
        points: Query points; 0 = neither head nor L_corr.
        taps: Layers that L_corr looks at; with points the head's too.
        clips: Of the batch.
    """

    frames: int = 5
    side: int = 64
    points: int = 32
    taps: int = 1
    clips: int = 1


@dataclass(frozen=True)
class Cost:
    """What one step takes.

    Attributes:
        seconds: CPU time, measured.
        flop: Counted.
        quadratic: The share of it that is attention's.
        bytes: Of living tensors at the peak over those before the step, counted.
    """

    seconds: float
    flop: float
    quadratic: float
    bytes: float


@dataclass(frozen=True)
class Axis:
    """What is doubled.

    Attributes:
        sizes: As the axis counts them.
        case: From a size to a step.
        without: The step whose cost is taken off; None = none is.
        tokens: The number of tokens grows with it, so that attention's share tells the exponent.
    """

    sizes: Sequence[int]
    case: Callable[[int], Case]
    without: Case | None = None
    tokens: bool = False


AXES = {
    "frames": Axis((5, 9, 17, 33), lambda frames: Case(frames=frames), tokens=True),
    "pixels": Axis(
        (64**2, 96**2, 128**2, 192**2), lambda pixels: Case(side=math.isqrt(pixels)), tokens=True
    ),
    "query points": Axis((64, 256, 1024), lambda points: Case(points=points), Case(points=0, taps=0)),
    "tapped layers": Axis((1, 2, 4), lambda taps: Case(points=256, taps=taps), Case(points=256, taps=0)),
    "clips": Axis((1, 2, 4, 8), lambda clips: Case(clips=clips)),
}  # fmt: skip


def build(case: Case) -> NovelViewModel:
    """Build the model of a step."""
    torch.manual_seed(0)
    sizes = VideoDiTConfig(dim=128, ffn_dim=512, num_heads=4, num_layers=LAYERS)
    backbone = ReCamMaster(sizes, GRID, [PluckerConditioning()])
    head = TrackingHead(backbone.tap_shape, HEAD_LAYER) if case.points else None
    return NovelViewModel(backbone, LatentsOnly(GRID), FlowMatching(), head)


def step(model: NovelViewModel, case: Case) -> Callable[[], None]:
    """Return what runs one step, forward and backward, on random numbers."""
    batch = step_batch(model, BatchSize(case.clips, case.frames, (case.side, case.side), max(1, case.points)))
    supervised = tuple(range(case.taps))
    layers = {*supervised, HEAD_LAYER} if case.points else set()
    corr = CorrespondenceLoss(layers=list(supervised)) if case.taps else None

    def run() -> None:
        step_loss(model, batch, sorted(layers), corr).backward()

    return run


def measure(case: Case, repeats: int) -> Cost:
    """Return what one step takes."""
    with without_numbers():
        run = step(build(case), case)
        seconds = []
        for _ in range(repeats):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
        flop, quadratic, peak = count(case)
    return Cost(min(seconds), flop, quadratic, peak)


def count(case: Case) -> tuple[float, float, float]:
    """Return FLOP of a step, attention's share of it, and the bytes at its peak over those before it."""
    seen = LiveBytes()
    model = build(case)
    with FakeTensorMode(allow_non_fake_inputs=True), seen:
        model.to_empty(device="cpu")
        run = step(model, case)
        before = seen.total
        with FlopCounterMode(display=False) as counter:
            run()
        peak = seen.peak - before
    total = counter.get_total_flops()
    attention = sum(flop for name, flop in counter.flop_counts["Global"].items() if "attention" in str(name))
    return total, attention / total, peak


def without(cost: Cost, less: Cost | None) -> Cost:
    """Return the cost over that of another step."""
    if less is None:
        return cost
    return replace(cost, seconds=cost.seconds - less.seconds, flop=cost.flop - less.flop, bytes=cost.bytes - less.bytes)


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope in logarithms between the middle and the largest size; NaN where a value is not positive."""
    middle = len(sizes) // 2 - (len(sizes) % 2 == 0)
    if min(values[middle], values[-1]) <= 0:
        return math.nan
    return math.log(values[-1] / values[middle]) / math.log(sizes[-1] / sizes[middle])


def print_axis(name: str, axis: Axis, repeats: int) -> None:
    """Measure one axis and print its rows, its exponents and what they should be."""
    less = None if axis.without is None else measure(axis.without, repeats)
    costs = []
    for size in axis.sizes:
        cost = without(measure(axis.case(size), repeats), less)
        costs.append(cost)
        print(f"| {name} {size} | {cost.seconds:.3f} | {cost.flop / 1e9:.2f} | {cost.bytes / 2**20:.1f} |", flush=True)
    of_time, of_flop, of_bytes = (
        slope(axis.sizes, [getattr(cost, part) for cost in costs]) for part in ("seconds", "flop", "bytes")
    )
    middle = len(costs) // 2 - (len(costs) % 2 == 0)
    quadratic = (costs[middle].quadratic + costs[-1].quadratic) / 2
    wanted = 1 + quadratic if axis.tokens else 1.0
    print(f"| exponent | {of_time:.2f} | {of_flop:.2f} | {of_bytes:.2f} |")
    print(f"| should be | {wanted:.2f} | {wanted:.2f} | 1.00 |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=tuple(AXES), default=list(AXES))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--dit", choices=("wan_1_3b", "wan_14b"), default="wan_14b")
    parser.add_argument("--ranks", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--shared", type=int, nargs="+", default=[1, 8])
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.full:
        with without_numbers():
            print_full(args.dit, args.ranks, args.shared)
        return
    print("| what | CPU s | GFLOP | MiB |\n|---|---:|---:|---:|")
    for name in args.axes:
        print_axis(name, AXES[name], args.repeats)


if __name__ == "__main__":
    main()
