"""Generated scenes against an independent float64 NumPy path, and their statistics beside Kubric's.

    python -m experiments.benchmarks.scenes [OUTPUT] [--recipes movi_e ...] [--scenes 50] [--seed 0] [--side 128]

Images are rendered at the recipe's own size or, if that is larger, with the shorter side scaled to ``--side`` pixels,
without shadows, antialiasing, blur and noise, none of which touches depth, ids, normals or tracks. Projections and
epipolar lines are measured at the recipe's own size, in fp32 as the generator computes them.

Visibility is compared with the rules applied to rays cast anew by NumPy, every ray against every triangle near it
(tests/reference/ray_casting.py): 12 (view, frame) a scene, 128 points each. ``exact`` is whether anything stands before
the point itself, which the rules, with four pixels and 1 %, stand for. A control in each row shows what chance gives.

Every scene is a line of OUTPUT/<recipe>.jsonl (runs/scenes unless named); a run that was cut off goes on.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from experiments.scene_truth.checks import check_epipolar, check_poses, check_projection, check_visibility
from experiments.scene_truth.statistics import Figures, camera_figures, scene_figures
from mvt4g.synthetic.generate import draw_scene, generate_scene
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec

LOOKS, POINTS, PAIRS = 12, 128, 20
CAMERA_DRAWS = 500
DEFAULTS = ("movi_e", "movi_f", "recam", "kubric_4d")
KUBRIC = {
    "movi_e": {
        "bodies at rest": "10 to 20",
        "bodies thrown": "1 to 3",
        "size, units": "0.75 to 3, uniform",
        "speed of thrown |v_xy|, units/s": "4.6 (1.3 to 8.4)",
        "first contact of thrown, s": "mean 0.68 to the floor, nothing in the way",
        "camera start radius, units": "mean 10.26 (8.31 to 11.86)",
        "camera elevation, degrees": "32.6 (6.9 to 72.3)",
        "camera height, units": "least 0.27 (start), over 0.1",
        "sweep about the origin, degrees": "mean 9.7, 95 % 20.8",
        "field of view, degrees": "49.13",
    },
    "kubric_4d": {
        "bodies at rest": "6 to 16",
        "bodies thrown": "1 to 6",
        "size, units": "1 to 2.75, uniform",
        "camera start radius, units": "15 about (0, 0, 1)",
        "camera elevation, degrees": "4 at 45, 12 at 5 about (0, 0, 1)",
        "sweep about the origin, degrees": "0",
        "field of view, degrees": "53.13",
    },
    "recam": {
        "camera turn first to last, degrees": "pan 5 to 45, tilt 5 to 30, arc 15 to 75",
        "camera path, share of radius": "translation 0.25 to 1 of the distance",
        "field of view, degrees": "26.7 to 66.8 (50 to 18 mm)",
    },
}
"""Kubric's figures; of MOVi-E those measured on 20,000 draws of its rules: median (5 to 95 %)."""
KUBRIC["movi_f"] = KUBRIC["movi_e"]


def reduced(scene: SceneSpec, side: int) -> SceneSpec:
    """Return the recipe at a size at which many scenes can be checked, its colours drawn plainly."""
    scale = min(1.0, side / min(scene.image_size))
    height, width = (round(scale * length) for length in scene.image_size)
    plain = replace(scene.looks, shadows=False, antialias=False, shutter=(0.0, 0.0), shot_noise=0.0, read_noise=0.0)
    return replace(scene, image_size=(height, width), looks=plain)


def measure(scene: SceneSpec, full_width: int, seed: int, index: int) -> Figures:
    """Return all figures of one scene."""
    generated, drawn = generate_scene(scene, seed, index), draw_scene(scene, seed, index)
    return {
        **check_projection(generated, full_width),
        **check_epipolar(generated, full_width, PAIRS, index),
        **check_visibility(generated, drawn, LOOKS, POINTS, index, scene.points.depth_tolerance),
        **check_poses(generated),
        **scene_figures(scene, drawn, generated),
    }


def run(name: str, scenes: int, seed: int, side: int, folder: Path) -> list[Figures]:
    """Measure the scenes that are not on file yet; return all."""
    path, recipe = folder / f"{name}.jsonl", RECIPES[name]()
    scene = reduced(recipe, side)
    key = {"seed": seed, "image_size": list(scene.image_size)}
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {line["index"]: line["figures"] for line in lines if {name: line[name] for name in key} == key}
    for index in range(scenes):
        if index in done:
            continue
        began = time.perf_counter()
        done[index] = measure(scene, recipe.image_size[1], seed, index)
        with path.open("a") as file:
            file.write(json.dumps({"index": index, **key, "figures": done[index]}) + "\n")
        seconds = time.perf_counter() - began
        print(f"{name} {index + 1}/{scenes} {seconds:.1f} s", file=sys.stderr, flush=True)
    return [done[index] for index in range(scenes)]


def joined(figures: list[Figures]) -> Figures:
    """Put the values of all scenes under one name each, without those that are unknown."""
    return {name: [v for f in figures for v in f.get(name, []) if not np.isnan(v)] for name in figures[0]}


def print_checks(name: str, scenes: int, figures: Figures) -> None:
    """Print what the independent path says."""
    total = {part: sum(figures[f"visibility_{part}"]) for part in ("compared", "inside", "disagree")}
    inside = max(total["inside"], 1)
    exact, chance = (sum(figures[f"visibility_{part}_disagree"]) / inside for part in ("exact", "control"))
    at, elsewhere = figures["edge_px_disagreements"], figures["edge_px_elsewhere"]
    rows = {
        "projection error, px, in the image (outside, up to a width)": f"{max(figures['projection_full']):.1e} "
        f"({max(figures['projection_outside']):.1e})",
        "epipolar distance of resting points, px": f"{max(figures['epipolar'], default=np.nan):.1e} over "
        f"{len(figures['epipolar'])} pairs (control {np.median(figures['epipolar_control'] or [np.nan]):.1f})",
        "visibility agrees, % of points in the image": f"{100 * (1 - total['disagree'] / inside):.3f} of "
        f"{inside:.0f} (control {100 * (1 - chance):.1f})",
        "visibility agrees, % of all points": f"{100 * (1 - total['disagree'] / total['compared']):.3f}",
        "disagreements to the nearest edge, px: median, most": f"{np.median(at):.2f}, {max(at):.2f}" if at else "none",
        "other points to the nearest edge, px: median": f"{np.median(elsewhere):.2f}",
        "agrees with exact occlusion, % in the image": f"{100 * (1 - exact):.2f}",
        "rotations, distance from proper ones": f"{max(figures['rotation']):.1e}",
    }
    print(f"\n{name}: {scenes} scenes, independent check")
    for row, value in rows.items():
        print(f"  {row:60}{value}")


def print_statistics(name: str, figures: Figures) -> None:
    """Print what the scenes are like."""
    print(
        f"\n{name}: statistics\n  {'':50}{'mean':>8}{'5 %':>8}{'50 %':>8}{'95 %':>8}{'least':>8}{'most':>8}  Kubric's"
    )
    for row, values in figures.items():
        if not values or row.startswith(("projection", "epipolar", "visibility", "edge", "rotation")):
            continue
        numbers = np.array(values)
        shown = [numbers.mean(), *np.percentile(numbers, [5, 50, 95]), numbers.min(), numbers.max()]
        print(f"  {row:50}{''.join(f'{number:8.2f}' for number in shown)}  {KUBRIC.get(name, {}).get(row, '-')}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path, nargs="?", default=Path("runs/scenes"))
    parser.add_argument(
        "--recipes", nargs="+", choices=tuple(RECIPES), default=["movi_e", "movi_f", "recam", "kubric_4d"]
    )
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.recipes:
        figures = joined(run(name, arguments.scenes, arguments.seed, arguments.side, arguments.output))
        print_checks(name, arguments.scenes, figures)
        print_statistics(name, figures | camera_figures(RECIPES[name](), arguments.seed, CAMERA_DRAWS))


if __name__ == "__main__":
    main()
