"""Our DiT beside diffusers' WanTransformer3DModel: same weights, same inputs, taking turns in one process on the CPU.

    python -m experiments.benchmarks.dit [--repeats 5] [--threads 1] [--sizes deep small long wide] [--compile]

Both are built of one random state dict and given 512 text tokens; their answers are compared before anything is timed.
Ours builds its rotary angles in every call, theirs reads them off a table. Times are CPU seconds, medians of the
repeats, whose order turns from round to round; ratios are ours over theirs. "kernels" is the matrix products and the
attention of all blocks on numbers of the same shapes, and nothing else: no other way of writing the same network on
the same kernels comes below it. "tap" is the forward that hands out queries and keys of one layer over the one that
does not. ``--compile`` compiles the blocks of both, by ``compile: blocks`` and by ``compile_repeated_blocks``; forward
alone, beside the kernels with Linears by oneDNN.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from mvt4g.models.block_taps import BlockTaps
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.onednn_linear import onednn_linear
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.models.weight_names import to_diffusers

TEXT_TOKENS = 512
Linear = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Of tokens, weight and bias."""


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
    ("kernels", "theirs"),
    ("kernels, oneDNN", "theirs"),
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
    forward: dict[str, Callable[[], object]] = {
        "ours": torch.no_grad()(run_ours),
        "theirs": torch.no_grad()(run_theirs),
    }
    if compiled:
        return {f"{name}, compiled": run for name, run in forward.items()}
    return forward | {
        "tapped": torch.no_grad()(lambda: run_ours(BlockTaps((0,)))),
        "ours, trained": partial(training, run_ours, ours),
        "theirs, trained": partial(training, run_theirs, theirs),
    }


def kernels(size: Size, linear: Linear) -> Callable[[], object]:
    """Return the matrix products and both attentions of all blocks, with ``linear`` for every Linear."""
    dim = size.num_heads * size.head_dim
    count = math.prod(size.grid)
    tokens, hidden, text = torch.randn(count, dim), torch.randn(count, size.ffn_dim), torch.randn(TEXT_TOKENS, dim)
    square, up, down = torch.randn(dim, dim), torch.randn(size.ffn_dim, dim), torch.randn(dim, size.ffn_dim)
    bias, wide_bias = torch.randn(dim), torch.randn(size.ffn_dim)

    def heads(features: torch.Tensor) -> torch.Tensor:
        return features.view(1, -1, size.num_heads, size.head_dim).transpose(1, 2)

    def run() -> None:
        for _ in range(size.num_layers):
            # Query, key, value and output of self-attention; query and output of the attention to the text.
            for _ in range(6):
                linear(tokens, square, bias)
            for _ in range(2):
                linear(text, square, bias)
            linear(tokens, up, wide_bias)
            linear(hidden, down, bias)
            for keys in (tokens, text):
                F.scaled_dot_product_attention(heads(tokens), heads(keys), heads(keys))

    return torch.no_grad()(run)


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
            work["kernels, oneDNN"] = kernels(size, onednn_linear)
        work["kernels"] = kernels(size, F.linear)
        spent = median_seconds(work, args.repeats)
        for case, seconds in spent.items():
            print(f"  {case:18}{seconds:8.3f} s")
        for case, base in RATIOS:
            if case in spent:
                print(f"  {case} / {base}: {spent[case] / spent[base]:.3f}", flush=True)


if __name__ == "__main__":
    main()
