"""Our DiT beside diffusers' WanTransformer3DModel: same weights, same inputs, taking turns in one process on the CPU.

    python -m experiments.benchmarks.dit [--repeats 5] [--threads 1] [--sizes small long wide]

Both are built of one random state dict and given 512 text tokens; their answers are compared before anything is timed.
Ours builds its rotary angles in every call, theirs reads them off a table. Times are CPU seconds, the least of the
repeats, ratios ours over theirs; the least is what other load on the machine changes least. "kernels" is the share of
their forward that PyTorch's matrix products and attention kernel take by its profiler: no other way of writing the same
network on the same kernels comes below it. "tap" is the forward that hands out queries and keys of one layer over the
one that does not.
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from diffusers import WanTransformer3DModel
from torch.profiler import ProfilerActivity, profile

from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.models.weight_names import to_diffusers

TEXT_TOKENS = 512
KERNELS = ("addmm", "conv3d", "scaled_dot_product")
"""Parts of the names of operators that are matrix products or attention."""


class Size(NamedTuple):
    """Two layers of some width on a grid of tokens."""

    num_heads: int
    head_dim: int
    ffn_dim: int
    grid: tuple[int, int, int]


SIZES = {
    "small": Size(4, 24, 384, (8, 16, 16)),
    "long": Size(4, 24, 384, (8, 32, 32)),
    "wide": Size(12, 128, 8960, (8, 16, 16)),
}


def build(size: Size) -> tuple[VideoDiT, WanTransformer3DModel]:
    """Return both models with the same weights."""
    torch.manual_seed(0)
    dim = size.num_heads * size.head_dim
    config = VideoDiTConfig(dim=dim, ffn_dim=size.ffn_dim, text_len=TEXT_TOKENS, num_heads=size.num_heads, num_layers=2)
    ours = VideoDiT(config)
    torch.nn.init.normal_(ours.head.head.weight, std=0.02)
    theirs = WanTransformer3DModel(
        num_attention_heads=size.num_heads,
        attention_head_dim=size.head_dim,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=size.ffn_dim,
        num_layers=2,
    )
    theirs.load_state_dict({to_diffusers(name): value for name, value in ours.state_dict().items()})
    return ours, theirs


def cases(size: Size) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name, after checking that both models answer alike.

    Raises:
        RuntimeError: If they do not.
    """
    ours, theirs = build(size)
    frames, rows, columns = size.grid
    latents, text = torch.randn(1, 16, frames, 2 * rows, 2 * columns), torch.randn(1, TEXT_TOKENS, 64)
    sigma = torch.tensor([0.25])

    def run_ours(taps: tuple[int, ...] = ()) -> torch.Tensor:
        angles = rotary_angles(size.head_dim, torch.arange(frames), rows, columns)[None, :, :, :, None]
        return ours(latents, sigma, text, angles, {}, taps).latents

    def run_theirs() -> torch.Tensor:
        return theirs(latents, 1000 * sigma, text, return_dict=False)[0]

    def training(run: Callable[[], torch.Tensor], model: torch.nn.Module) -> None:
        model.zero_grad()
        run().square().mean().backward()

    with torch.no_grad():
        difference = (run_ours() - run_theirs()).norm() / run_theirs().norm()
    if difference > 1e-4:
        raise RuntimeError(f"the models differ by {difference:.1e}: nothing to compare")
    return {
        "ours": torch.no_grad()(run_ours),
        "theirs": torch.no_grad()(run_theirs),
        "tapped": torch.no_grad()(lambda: run_ours((0,))),
        "ours, trained": lambda: training(run_ours, ours),
        "theirs, trained": lambda: training(run_theirs, theirs),
    }


def least_seconds(work: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return each case's least CPU time over rounds in which all take their turn, after one that is not counted."""
    least = dict.fromkeys(work, float("inf"))
    for turn in range(repeats + 1):
        for name, run in work.items():
            start = time.process_time()
            run()
            if turn:
                least[name] = min(least[name], time.process_time() - start)
    return least


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
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        "| heads | tokens | forward: ours, s | theirs, s | ratio | kernels"
        " | with backward: ours, s | theirs, s | ratio | tap |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in args.sizes:
        size = SIZES[name]
        work = cases(size)
        spent = least_seconds(work, args.repeats)
        tokens = size.grid[0] * size.grid[1] * size.grid[2]
        print(
            f"| {size.num_heads} x {size.head_dim} | {tokens:,}"
            f" | {spent['ours']:.3f} | {spent['theirs']:.3f} | {spent['ours'] / spent['theirs']:.3f}"
            f" | {kernel_share(work['theirs']):.2f} | {spent['ours, trained']:.3f} | {spent['theirs, trained']:.3f}"
            f" | {spent['ours, trained'] / spent['theirs, trained']:.3f} | {spent['tapped'] / spent['ours']:.3f} |"
        )


if __name__ == "__main__":
    main()
