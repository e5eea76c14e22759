"""How fast synthetic clips are drawn, where the time goes, whether workers add up, and what memory a worker takes.

    OMP_NUM_THREADS=1 python -m experiments.benchmarks.rendering [--recipes movi_e recam] [--sizes 64 128 256]
        [--clips 3] [--frames 0] [--workers 1 2] [--leak-clips 0]

View-frames a second count everything from (seed, index) to the finished clip. CPU seconds are those of the process with
all its threads, so that a shared machine or a hidden thread does not flatter the figure; wall is beside them. A size is
the longer side of the image. ``--frames 0`` keeps the recipe's number; motion blur (movi_f) draws nine times as many
pictures a frame. Memory is what a worker has above its imports (torch alone maps 0.5 GB of shared libraries).
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mvt4g.synthetic import generate, render, textured_look
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec

STAGES: tuple[tuple[str, Any, str], ...] = (
    ("motion", generate, "draw_motion"),
    ("world", generate, "draw_world"),
    ("structure", render.RayCaster, "__init__"),
    ("first rays", render.RayCaster, "cast"),
    ("shadow rays", render.RayCaster, "blocked"),
    ("shading", textured_look, "shade"),
    ("frames, all", generate, "_gather"),
)
"""Name, owner and attribute of what is timed; Open3D builds the structure when the first rays are cast."""

WORKER_COLUMNS = (
    ("workers", 9), ("frames", 8), ("/s, cpu", 12), ("/s, wall", 10),
    ("imports MB", 12), ("above MB", 12), ("growth MB", 12),
)  # fmt: skip


def resident_mb() -> float:
    """Return this process's resident memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def scaled(name: str, size: int, frames: int) -> SceneSpec:
    """Return a recipe with its longer side at ``size`` and, unless 0, so many frames."""
    scene = RECIPES[name]()
    height, width = (max(2, round(side * size / max(scene.image_size))) for side in scene.image_size)
    return replace(scene, image_size=(height, width), num_frames=frames or scene.num_frames)


@contextmanager
def timed_stages(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the CPU seconds of STAGES while this is open."""
    kept = [(owner, name, getattr(owner, name)) for _, owner, name in STAGES]
    for label, owner, name in STAGES:
        setattr(owner, name, timed(getattr(owner, name), label, seconds))
    try:
        yield
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def timed(function: Callable, label: str, seconds: dict[str, float]) -> Callable:
    """Wrap a function so that its CPU time is added to ``seconds[label]``."""

    def run(*arguments: Any) -> Any:
        start = time.process_time()
        result = function(*arguments)
        seconds[label] = seconds.get(label, 0.0) + time.process_time() - start
        return result

    return run


def speed(name: str, size: int, clips: int, frames: int) -> str:
    """Return a row: view-frames a second and each stage's share of the time."""
    scene = scaled(name, size, frames)
    generate.generate_clip(scene, 1, 0)  # caches of files, first calls
    seconds: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    with timed_stages(seconds):
        for index in range(clips):
            generate.generate_clip(scene, 0, index)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pictures = clips * scene.num_frames * scene.num_views
    shares = "".join(f"{100 * seconds.get(label, 0.0) / cpu:12.0f}" for label, _, _ in STAGES)
    return f"{name:10}{size:6}{pictures:8}{pictures / cpu:10.1f}{pictures / wall:10.1f}{shares}"


def worker(name: str, size: int, frames: int, indices: list[int], start: Any, answers: Any) -> None:
    """Draw clips when all are ready; answer the CPU seconds, the peak and the growth of memory above the imports."""
    torch.set_num_threads(1)
    scene, imported = scaled(name, size, frames), resident_mb()
    generate.generate_clip(scene, 1, 0)
    start.wait()
    begin, levels, cpu = time.perf_counter(), [], time.process_time()
    for index in indices:
        generate.generate_clip(scene, 0, index)
        levels.append(resident_mb())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    third = max(len(levels) // 3, 1)
    growth = float(np.mean(levels[-third:]) - np.mean(levels[third : 2 * third] or levels[:third]))
    answers.put((cpu, wall, imported, peak - imported, growth))


def with_workers(name: str, size: int, frames: int, clips: int, workers: int) -> str:
    """Return a row: ``clips`` clips by each of several processes."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(
            target=worker, args=(name, size, frames, list(range(k * clips, (k + 1) * clips)), start, answers)
        )
        for k in range(workers)
    ]
    for process in processes:
        process.start()
    results = np.array([answers.get() for _ in processes])
    for process in processes:
        process.join()
    scene = scaled(name, size, frames)
    pictures = workers * clips * scene.num_frames * scene.num_views
    cpu, wall, imported, above, growth = results.T
    return (
        f"{name:10}{size:6}{workers:9}{pictures:8}{pictures / cpu.sum() * workers:12.1f}{pictures / wall.max():10.1f}"
        f"{imported.max():12.0f}{above.max():12.0f}{growth.max():12.1f}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipes", nargs="+", choices=tuple(RECIPES), default=["movi_e", "recam"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--leak-clips", type=int, default=0, help="clips of one more worker, at 64 pixels")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stages = "".join(f"{label:>12}" for label, _, _ in STAGES)
    print(f"{'recipe':10}{'size':>6}{'frames':>8}{'/s, cpu':>10}{'/s, wall':>10}{stages}  (shares of the time, %)")
    for name in arguments.recipes:
        for size in arguments.sizes:
            print(speed(name, size, arguments.clips, arguments.frames), flush=True)
    head = (
        f"{'workers':>9}{'frames':>8}{'/s, cpu':>12}{'/s, wall':>10}{'imports MB':>12}{'above MB':>12}{'growth MB':>12}"
    )
    print(f"\n{'recipe':10}{'size':>6}{head}")
    for name in arguments.recipes:
        for workers in arguments.workers:
            row = with_workers(name, arguments.sizes[-1], arguments.frames, arguments.clips, workers)
            print(row, flush=True)
    if arguments.leak_clips:
        print(with_workers(arguments.recipes[0], 64, arguments.frames, arguments.leak_clips, 1))


if __name__ == "__main__":
    main()
