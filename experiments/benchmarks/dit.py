"""Our DiT beside diffusers' WanTransformer3DModel: same weights, same inputs, taking turns in one process on the CPU.

    python -m experiments.benchmarks.dit [--repeats 5] [--threads 1] [--sizes deep small long wide] [--compile]

Both are built of one random state dict and given 512 text tokens; their answers are compared before anything is timed.
Ours builds its rotary angles in every call, theirs reads them off a table. Times are CPU seconds, medians of the
repeats, whose order turns from round to round; ratios are ours over theirs. "kernels" is the share of their forward
that PyTorch's matrix products and attention kernel take by its profiler: no other way of writing the same network on
the same kernels comes below it. "tap" is the forward that hands out queries and keys of one layer over the one that
does not. ``--compile`` compiles the blocks of both, by ``compile: blocks`` and by ``compile_repeated_blocks``; forward
alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from diffusers import WanTransformer3DModel
from torch.profiler import ProfilerActivity, profile

from mvt4g.models.block_taps import BlockTaps
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.models.weight_names import to_diffusers

TEXT_TOKENS = 512
KERNELS = ("addmm", "conv3d", "scaled_dot_product")
"""Parts of the names of operators that are matrix products or attention."""


class Size(NamedTuple):
    """Layers of some width on a grid of tokens."""

    num_heads: int
    head_dim: int
    ffn_dim: int
    grid: tuple[int, int, int]
    num_layers: int = 2


SIZES = {
    "deep": Size(6, 64, 1536, (8, 16, 16), num_layers=12),
    "small": Size(4, 24, 384, (8, 16, 16)),
    "long": Size(4, 24, 384, (8, 32, 32)),
    "wide": Size(12, 128, 8960, (8, 16, 16)),
}


RATIOS = (
    ("ours", "theirs"),
    ("ours, trained", "theirs, trained"),
    ("tapped", "ours"),
    ("ours, compiled", "ours"),
    ("ours, compiled", "theirs"),
    ("ours, compiled", "theirs, compiled"),
)
"""What is set against what."""


def build(size: Size, compiled: bool) -> tuple[VideoDiT, WanTransformer3DModel]:
    """Return both models with the same weights."""
    torch.manual_seed(0)
    dim = size.num_heads * size.head_dim
    config = VideoDiTConfig(
        dim=dim,
        ffn_dim=size.ffn_dim,
        text_len=TEXT_TOKENS,
        num_heads=size.num_heads,
        num_layers=size.num_layers,
    )
    ours = VideoDiT(replace(config, compile="blocks") if compiled else config)
    torch.nn.init.normal_(ours.head.head.weight, std=0.02)
    theirs = WanTransformer3DModel(
        num_attention_heads=size.num_heads,
        attention_head_dim=size.head_dim,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=size.ffn_dim,
        num_layers=size.num_layers,
    )
    theirs.load_state_dict({to_diffusers(name): value for name, value in ours.state_dict().items()})
    if compiled:
        theirs.compile_repeated_blocks(fullgraph=True)
    return ours, theirs


def cases(size: Size, compiled: bool = False) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name, after checking that both models answer alike.

    Raises:
        RuntimeError: If they do not.
    """
    ours, theirs = build(size, compiled)
    frames, rows, columns = size.grid
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 16, frames, 2 * rows, 2 * columns, generator=generator)
    text = torch.randn(1, TEXT_TOKENS, 64, generator=generator)
    sigma = torch.tensor([0.25])

    def run_ours(taps: BlockTaps = BlockTaps()) -> torch.Tensor:
        angles = rotary_angles(size.head_dim, torch.arange(frames), rows, columns)[None, :, :, :, None]
        return ours(latents, sigma, text, angles, {}, taps=taps).latents

    def run_theirs() -> torch.Tensor:
        return theirs(latents, 1000 * sigma, text, return_dict=False)[0]

    def training(run: Callable[[], torch.Tensor], model: torch.nn.Module) -> None:
        model.zero_grad()
        run().square().mean().backward()

    with torch.no_grad():
        difference = (run_ours() - run_theirs()).norm() / run_theirs().norm()
    if difference > 1e-4:
        raise RuntimeError(f"the models differ by {difference:.1e}: nothing to compare")
    forward = {"ours": torch.no_grad()(run_ours), "theirs": torch.no_grad()(run_theirs)}
    if compiled:
        return {f"{name}, compiled": run for name, run in forward.items()}
    return forward | {
        "tapped": torch.no_grad()(lambda: run_ours(BlockTaps((0,)))),
        "ours, trained": lambda: training(run_ours, ours),
        "theirs, trained": lambda: training(run_theirs, theirs),
    }


def median_seconds(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return each case's median CPU time over rounds in which all take their turn, after one that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in work}
    names = [*work]
    for turn in range(repeats + 1):
        # Another one comes first each time, so that none always runs in the other's wake.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.process_time()
            work[name]()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def kernel_share(run: Callable[[], object]) -> float:
    """Return the share of its time that a run spends in matrix products and attention."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    times = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    return sum(value for name, value in times.items() if any(part in name for part in KERNELS)) / sum(times.values())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=[*SIZES])
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.sizes:
        size = SIZES[name]
        tokens = size.grid[0] * size.grid[1] * size.grid[2]
        print(f"{size.num_layers} layers, {size.num_heads} heads x {size.head_dim}, {tokens:,} tokens")
        work = cases(size)
        if args.compile:
            work = {"ours": work["ours"], "theirs": work["theirs"], **cases(size, compiled=True)}
        spent = median_seconds(work, args.repeats)
        for case, seconds in spent.items():
            print(f"  {case:18}{seconds:8.3f} s")
        for case, base in RATIOS:
            if case in spent:
                print(f"  {case} / {base}: {spent[case] / spent[base]:.3f}")
        print(f"  kernels: {kernel_share(work['theirs']):.2f}", flush=True)


if __name__ == "__main__":
    main()
