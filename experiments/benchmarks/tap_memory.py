"""How much memory reading a tap takes at full size: 256 query points at 65,520 tokens, 12 heads of 128 features.

    python -m experiments.benchmarks.tap_memory [--queries 256] [--threads 1]

The tap is queries and keys in bf16 of 81 frames of 480x832 and their reference, 0.40 GB. L_corr reads it: rows of the
query points, log-softmax by frame, gradients back into queries and keys. The table gives what the process's peak
resident memory grows by. The whole attention map would be 192 GiB in fp32, all rows of the query points 0.81 GB.
"""

import argparse
import resource
import time

import torch

from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.types import AttentionTap, PointTruth

FRAMES, ROWS, COLUMNS, HEADS, HEAD_DIM, STRIDE = 21, 30, 52, 12, 128, 16


def peak_gb() -> float:
    """Return the most memory that this process has held so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def full_size_tap() -> AttentionTap:
    """Return a random tap that wants gradients."""
    shape = (1, 2, FRAMES, ROWS, COLUMNS, HEADS, HEAD_DIM)
    query, key = (torch.empty(shape, dtype=torch.bfloat16).normal_().requires_grad_() for _ in range(2))
    angles = rotary_angles(HEAD_DIM, torch.arange(2 * FRAMES), ROWS, COLUMNS)
    rotary = angles.unflatten(0, (2, FRAMES))[None, ..., None, :]
    return AttentionTap(17, query, key, rotary, 4 * torch.arange(FRAMES), STRIDE)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    size = torch.tensor([COLUMNS * STRIDE, ROWS * STRIDE])
    tracks = torch.rand(1, 2, FRAMES, args.queries, 2) * size
    view, frame = torch.randint(2, (args.queries,)), torch.randint(FRAMES, (args.queries,))
    place = tracks[0, view, frame, torch.arange(args.queries)]
    queries = torch.cat([view[:, None], 4 * frame[:, None], place], dim=1)[None]
    visible = torch.ones(tracks.shape[:-1], dtype=torch.bool)
    valid, times = torch.ones(1, args.queries, dtype=torch.bool), 4 * torch.arange(FRAMES)
    tracks, visible = tracks.repeat_interleave(4, dim=2), visible.repeat_interleave(4, dim=2)
    truth = PointTruth(queries, tracks, visible, valid, times, (ROWS * STRIDE, COLUMNS * STRIDE))
    tap = full_size_tap()
    print("| what | peak beyond the tap, GB | CPU s |")
    print("|---|---:|---:|")
    before, start = peak_gb(), time.process_time()
    total = CorrespondenceLoss()({17: tap}, truth).total.sum()
    print(f"| L_corr of {args.queries} query points | {peak_gb() - before:.2f} | {time.process_time() - start:.1f} |")
    total.backward()
    print(f"| with its gradient | {peak_gb() - before:.2f} | {time.process_time() - start:.1f} |")


if __name__ == "__main__":
    main()
