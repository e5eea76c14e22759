"""Clip folders: bytes and milliseconds a view-frame for every way of storing, and whether many clips leak memory.

    python -m experiments.benchmarks.storage [--recipe movi_e] [--clips 4] [--many 0]

``--many 1000`` writes and validates so many nano clips in this one process and tells its memory along the way.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from mvt4g.commands.validate_clips import check_one
from mvt4g.commands.write_clips import ClipTask, make_clip
from mvt4g.formats.clip_folder import ClipExtras, ClipStorage, read_clip_folder, write_clip_folder
from mvt4g.formats.exports.mvtracker import write_mvtracker_scene
from mvt4g.formats.readers import mvtracker
from mvt4g.formats.readers.registry import open_source
from mvt4g.synthetic.generate import GeneratedScene, generate_scene
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec

WAYS = {
    "lossless video, float32 depth, normals": ClipStorage(),
    "the same without normals": ClipStorage(normals=False),
    "lossless video, uint16 depth": ClipStorage(depth="uint16", normals=False),
    "visually lossless, uint16 depth": ClipStorage("visually_lossless", "uint16", normals=False),
}


def weight(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def table_of_ways(scenes: list[GeneratedScene], root: Path) -> None:
    """Print size and times of every way of storing, and the time to read two views and five frames."""
    count = sum(scene.clip.video.shape[0] * scene.clip.video.shape[1] for scene in scenes)
    print("| stored as | bytes a view-frame | write ms | read ms | two views, five frames: ms |\n|---|---|---|---|---|")
    for name, storage in WAYS.items():
        folders = [root / name / str(number) for number in range(len(scenes))]
        began = time.perf_counter()
        for folder, made in zip(folders, scenes, strict=True):
            extras = ClipExtras(made.normals, made.world_from_object, made.collisions)
            write_clip_folder(folder, made.clip, extras, storage)
        written = time.perf_counter()
        for folder in folders:
            read_clip_folder(folder)
        read = time.perf_counter()
        for folder in folders:
            read_clip_folder(folder, views=[0, 1], frames=range(5))
        part = time.perf_counter()
        ways = [weight(root / name) / count, *(1e3 * span / count for span in (written - began, read - written))]
        print(f"| {name} | {ways[0]:,.0f} | {ways[1]:.2f} | {ways[2]:.2f} | {1e3 * (part - read) / len(scenes):.0f} |")
    began = time.perf_counter()
    for number, made in enumerate(scenes):
        write_mvtracker_scene(root / "mvtracker" / str(number), made.clip)
    written = time.perf_counter()
    for number in range(len(scenes)):
        mvtracker.read(root / "mvtracker" / str(number))
    times = [1e3 * (written - began) / count, 1e3 * (time.perf_counter() - written) / count]
    print(f"| MVTracker's layout | {weight(root / 'mvtracker') / count:,.0f} | {times[0]:.2f} | {times[1]:.2f} | |")


def memory_mb() -> float:
    """Return this process's own resident memory: without libraries' files, which all workers share."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return (resident - shared) * 4096 / 1e6


def table_of_memory(count: int, root: Path) -> None:
    """Print memory while clips are written and validated."""
    print(f"\n| nano clips | written: MB | validated: MB |\n|---|---|---|\n| 0 | {memory_mb():.0f} | |")
    scene, marks = SceneSpec.nano(), {max(1, count * tenths // 10) for tenths in (1, 2, 4, 6, 8, 10)}
    written, faults = {}, 0
    for number in range(count):
        folder = root / "many" / f"{number:06d}"
        make_clip(ClipTask(folder.name, folder, scene, 0, number, "clip_folder", ClipStorage(), {}))
        if number + 1 in marks:
            written[number + 1] = memory_mb()
    source = open_source(root / "many")
    for number in range(count):
        faults += len(check_one(source, number).lines)
        if number + 1 in marks:
            print(f"| {number + 1} | {written[number + 1]:.0f} | {memory_mb():.0f} |")
    print(f"\n{count} clips validated, {faults} faults")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="movi_e", choices=[*RECIPES])
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--many", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.clips:
            scene = replace(RECIPES[args.recipe](), num_frames=args.frames)
            table_of_ways([generate_scene(scene, 0, number) for number in range(args.clips)], Path(folder))
        if args.many:
            table_of_memory(args.many, Path(folder))


if __name__ == "__main__":
    main()
