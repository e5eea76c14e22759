"""How long TAP-Vid takes.

    python -m experiments.benchmarks.tracks [--tracks 1000] [--frames 81] [--repeats 50]

One thread. The function scores one video; the metric scores the same points in five groups. The twin is the test
suite's loop over points and frames, timed once.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mvt4g.metrics.functional.tracks import tapvid
from mvt4g.metrics.functional.tracks_3d import tapvid_3d
from mvt4g.metrics.tracks.tapvid import TAPVid
from tests.reference import tapvid as twin

SIZE = (480, 832)


def milliseconds(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median and the least time of a call, after two calls that are not counted."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    kept = times[2:]
    return statistics.median(kept), min(kept)


def video(num_frames: int, num_tracks: int) -> dict[str, Tensor]:
    """Return tracks with errors of a few pixels."""
    generator = torch.Generator().manual_seed(0)
    target = torch.tensor([SIZE[1], SIZE[0]]) * torch.rand(num_frames, num_tracks, 2, generator=generator)
    frame = torch.randint(num_frames, (num_tracks, 1), generator=generator).float()
    return {
        "queries": torch.cat([frame, torch.zeros(num_tracks, 2)], dim=-1),
        "target": target,
        "target_visible": torch.rand(num_frames, num_tracks, generator=generator) < 0.7,
        "pred": target + 6 * torch.randn(target.shape, generator=generator),
        "pred_visible": torch.rand(num_frames, num_tracks, generator=generator) < 0.7,
        "same_view": torch.rand(num_tracks, generator=generator) < 0.5,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    one = video(arguments.frames, arguments.tracks)
    batch = {name: value[None] for name, value in one.items()}
    moving = torch.rand(1, arguments.tracks) < 0.5
    metric = TAPVid(SIZE)
    depth = torch.full((arguments.frames, arguments.tracks, 1), 400.0)
    target = torch.cat([one["target"], depth], dim=-1)
    pred = torch.cat([one["pred"], depth], dim=-1)
    intrinsics = torch.diag(torch.tensor([400.0, 400.0, 1.0]))
    rows: dict[str, Callable[[], object]] = {
        "tapvid, first": lambda: tapvid(**one, image_size=SIZE, query_mode="first"),
        "tapvid, strided": lambda: tapvid(**one, image_size=SIZE, query_mode="strided"),
        "TAPVid.update, five groups": lambda: metric.update(**batch, dynamic=moving),
        "tapvid_3d, median scale": lambda: tapvid_3d(
            target, one["target_visible"], pred, one["pred_visible"], intrinsics
        ),
    }
    print(f"{arguments.tracks} tracks x {arguments.frames} frames\n{'':30}{'median ms':>10}{'least ms':>10}")
    for name, function in rows.items():
        print("{:30}{:10.2f}{:10.2f}".format(name, *milliseconds(function, arguments.repeats)))
    arrays = {name: value.double().numpy() for name, value in one.items()}
    start = time.perf_counter()
    slow = twin.tapvid(**arrays, image_size=SIZE, query_mode="first")
    print(f"{'twin, first':30}{1e3 * (time.perf_counter() - start):10.0f}")
    found = tapvid(**one, image_size=SIZE, query_mode="first")
    print(f"largest difference from the twin: {max(abs(float(found[key]) - slow[key]) for key in slow):.1e}")


if __name__ == "__main__":
    main()
