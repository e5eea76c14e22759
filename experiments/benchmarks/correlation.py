"""How long local correlation takes and how much memory, against sampling every neighbourhood.

    python -m experiments.benchmarks.correlation [--points 384] [--frames 42] [--repeats 5] [--threads 1] [--maps 30x52]

The straightforward formulation, that of CoTracker3 and MV-TAP ("sampled"): the (2r+1)^2 neighbourhood of every point is
read bilinearly, all channels of it, and then contracted with the query's patch. They read it from volumes of depth 1;
"sampled flat" reads it from the maps. All get the same inputs, in turn, in one process; forward and backward. Times
are seconds of the CPU on one thread, and of the clock on more, where what counts is how long threads wait.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from einops import einsum, rearrange
from torch import Tensor
from torch.nn import functional

from experiments.measure import alternating_seconds, median_ratio, peak_bytes
from mvt4g.models.tracking.correlation import batched_correlation

CHANNELS, RADIUS = 128, 3
MAPS = {"30x52": (30, 52), "120x208": (120, 208)}


def neighbourhoods(xy: Tensor, radius: int) -> Tensor:
    """Return the positions (f p o 2) of every point's neighbourhood."""
    steps = torch.arange(-radius, radius + 1, dtype=xy.dtype)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    return xy[:, :, None] + torch.stack([dx, dy], dim=-1).reshape(-1, 2)


def sampled_correlation(query: Tensor, key_maps: Tensor, xy: Tensor, radius: int) -> Tensor:
    """Return (f p r o): neighbourhoods are read from volumes of depth 1, copied features last, then contracted.

    Args:
        query: (p r d).
        key_maps: (f d h w).
        xy: (f p 2), cells.
        radius: In cells.
    """
    height, width = key_maps.shape[-2:]
    flat = 2 * neighbourhoods(xy, radius) / xy.new_tensor([width, height]) - 1
    grid = torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=-1)[:, None]
    keys = functional.grid_sample(key_maps[:, :, None], grid, padding_mode="border", align_corners=False)
    return einsum(query, rearrange(keys, "f d 1 p o -> f p o d"), "p r d, f p o d -> f p r o")


def flat_sampled_correlation(query: Tensor, key_maps: Tensor, xy: Tensor, radius: int) -> Tensor:
    """Return the same from the maps themselves: a harder baseline, whose sampling PyTorch has vectorised."""
    height, width = key_maps.shape[-2:]
    grid = 2 * neighbourhoods(xy, radius) / xy.new_tensor([width, height]) - 1
    keys = functional.grid_sample(key_maps, grid, padding_mode="border", align_corners=False)
    return einsum(query, keys, "p r d, f d p o -> f p r o")


def make_inputs(points: int, frames: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return query patches (p r d), maps (f h w d) and positions (f p 2) that wander from frame to frame."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(points, (2 * RADIUS + 1) ** 2, CHANNELS, generator=generator)
    maps = torch.randn(frames, height, width, CHANNELS, generator=generator)
    start = torch.rand(points, 2, generator=generator) * torch.tensor([width, height])
    wander = torch.randn(frames, points, 2, generator=generator).cumsum(dim=0)
    return query.requires_grad_(), maps.requires_grad_(), start + wander


def ways(points: int, frames: int, height: int, width: int) -> dict[str, Callable[[], list[Tensor]]]:
    """Return forward and backward of every formulation, each from maps in the layout it likes best."""
    query, maps, xy = make_inputs(points, frames, height, width)
    channels_first = rearrange(maps.detach(), "f h w d -> f d h w").contiguous().requires_grad_()
    upstream = torch.randn(frames, points, (2 * RADIUS + 1) ** 2, (2 * RADIUS + 1) ** 2)
    upstream_ours = rearrange(upstream, "f p r o -> 1 p f o r").contiguous()
    by_point = rearrange(xy, "f p xy -> 1 p f xy").contiguous()

    def ours() -> list[Tensor]:
        correlation = batched_correlation(query[None], maps[None], by_point, RADIUS)
        grads = torch.autograd.grad(correlation, (query, maps), upstream_ours)
        return [rearrange(correlation.detach(), "1 p f o r -> f p r o"), *grads]

    def baseline(correlate: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> list[Tensor]:
        correlation = correlate(query, channels_first, xy, RADIUS)
        query_grad, map_grad = torch.autograd.grad(correlation, (query, channels_first), upstream)
        return [correlation.detach(), query_grad, rearrange(map_grad, "f d h w -> f h w d")]

    return {
        "sampled": lambda: baseline(sampled_correlation),
        "sampled flat": lambda: baseline(flat_sampled_correlation),
        "ours": ours,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=384)
    parser.add_argument("--frames", type=int, default=42)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=[*MAPS])
    arguments = parser.parse_args()
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.points} points, {arguments.frames} (view, frame) pairs, {CHANNELS} channels, radius {RADIUS},")
    print(f"{arguments.threads} threads, forward and backward; bars against 'sampled': time 0.40, memory 0.33")
    print("memory: MiB at the highest; 'beyond': the same beyond the gradients that are asked for\n")
    columns = ("median s", "least s", "memory", "beyond", "ours / it:", "time", "memory", "beyond", "differs")
    print(f"{'map':>9}{'':>14}" + "".join(f"{column:>11}" for column in columns))
    for height, width in (MAPS[name] for name in arguments.maps):
        calls = ways(arguments.points, arguments.frames, height, width)
        expected, got = calls["sampled"](), calls["ours"]()
        differs = max(float((a - b).abs().max() / a.abs().mean()) for a, b in zip(expected, got, strict=True))
        gradients = sum(grad.nbytes for grad in got[1:]) / 2**20
        del expected, got
        times = alternating_seconds(calls, arguments.repeats, clock)
        peaks = {name: peak_bytes(call) / 2**20 for name, call in calls.items()}
        beyond = {name: peak - gradients for name, peak in peaks.items()}
        for name in calls:
            line = f"{height:>5}x{width:<3}{name:>14}{statistics.median(times[name]):11.3f}{min(times[name]):11.3f}"
            line += f"{peaks[name]:11.0f}{beyond[name]:11.0f}{'':>11}"
            if name != "ours":
                line += f"{median_ratio(times, 'ours', name):11.2f}{peaks['ours'] / peaks[name]:11.2f}"
                line += f"{beyond['ours'] / beyond[name]:11.2f}{differs:11.0e}"
            print(line)


if __name__ == "__main__":
    main()
