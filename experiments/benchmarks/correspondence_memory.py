"""How long L_corr takes at full size and how much memory, and how both grow.

    python -m experiments.benchmarks.correspondence_memory [--points 256] [--threads 1]

Wan2.1's 1.3B at 81 frames of 480x832, two views: 2 x 21 x 30 x 52 = 65,520 tokens, 12 heads of 128 features, fp32;
forward and backward. Memory: what the call takes at its highest beyond its inputs and the gradients of q and k
(768 MiB); the attention map itself would take 192 GiB. Seconds: of the CPU, whatever else it does.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from experiments.measure import peak_bytes
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.types import AttentionTap, PointTruth

VIEWS, FRAMES, HEIGHT, WIDTH, HEADS, DIM, STRIDE = 2, 21, 30, 52, 12, 128, 16
BAR = 1.0


def make_tap(height: int, width: int) -> AttentionTap:
    """Return random q and k that ask for gradients."""
    shape = (1, VIEWS, FRAMES, height, width, HEADS, DIM)
    query, key = torch.randn(shape, requires_grad=True), torch.randn(shape, requires_grad=True)
    rotary = torch.randn(1, *shape[1:5], 1, DIM // 2)
    return AttentionTap(17, query, key, rotary, torch.arange(FRAMES) * 4, STRIDE)


def make_points(count: int, height: int, width: int) -> PointTruth:
    """Return points that are seen everywhere."""
    where = torch.rand(1, 1, 1, count, 2) * torch.tensor([width, height]) * STRIDE
    when = torch.stack([torch.randint(VIEWS, (1, count)), torch.randint(FRAMES, (1, count)) * 4], dim=-1)
    tracks = where.expand(1, VIEWS, 4 * FRAMES, count, 2)
    seen = torch.ones(tracks.shape[:-1], dtype=torch.bool)
    queries = torch.cat([when.float(), where[:, 0, 0]], dim=-1)
    return PointTruth(queries, tracks, seen, seen[:, 0, 0], 4 * torch.arange(FRAMES), (height * STRIDE, width * STRIDE))


def measure(points: int, height: int, width: int) -> tuple[float, float]:
    """Return seconds and MiB beyond inputs and gradients, of the second of two calls."""
    tap, given = make_tap(height, width), make_points(points, height, width)
    loss = CorrespondenceLoss()
    seconds = 0.0

    def call() -> None:
        nonlocal seconds
        tap.query.grad = tap.key.grad = None
        start = time.process_time()
        loss({17: tap}, given).total.sum().backward()
        seconds = time.process_time() - start

    call()
    tap.query.grad = tap.key.grad = None
    peak = peak_bytes(call)
    return seconds, (peak - tap.query.nbytes - tap.key.nbytes) / 2**20


def table(title: str, rows: Sequence[tuple[int, int, int]]) -> None:
    """Print one line a case (points, height, width)."""
    print(f"\n{title}\n{'points':>7}{'tokens':>9}{'seconds':>9}{'MiB beyond':>12}{'ms a point':>12}")
    for points, height, width in rows:
        seconds, mebibytes = measure(points, height, width)
        tokens = VIEWS * FRAMES * height * width
        print(f"{points:>7}{tokens:>9}{seconds:9.2f}{mebibytes:12.0f}{1e3 * seconds / points:12.2f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(f"bar: {BAR} GiB beyond; {arguments.threads} threads")
    counts = (1, arguments.points // 4, arguments.points, 4 * arguments.points)
    table("Full size: what grows with points", [(count, HEIGHT, WIDTH) for count in counts])
    table("A quarter of the tokens, a sixteenth of the map", [(arguments.points, HEIGHT // 2, WIDTH // 2)])


if __name__ == "__main__":
    main()
