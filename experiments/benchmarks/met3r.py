"""What MEt3R says of views that agree and of views that do not, and how long it takes.

    python -m experiments.benchmarks.met3r [--clips 16] [--seed 0]

An analytic scene (slanted plane, plate and sphere, 6 degrees and 0.36 units between two views of 256x256 pixels) whose
surfaces carry smooth random fields of 384 features, the same from every side; then synthetic clips under ``warp_rgb5``.
Errors are given to one view alone. No score: the pair is counted as invalid.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Mapping

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from experiments.benchmarks.synthetic import blur
from mvt4g.geometry.pose import compose, invert_pose, pose_from, rotation_from_axis_angle
from mvt4g.metrics.functional.consistency import (
    lift_depth,
    met3r,
    met3r_from_points,
    met3r_reference_compat,
    upsample_features,
)
from mvt4g.metrics.video.met3r import WarpRGB5
from mvt4g.metrics.video.view_pairs import Region
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import REFERENCE, TARGET, MultiViewClip, ViewRecord

SIZE, FEATURES, FOCAL = 256, 384, 256.0
SPHERE, RADIUS, PLATE_Z = (-0.7, 0.25, 3.2), 0.55, 2.8
INTRINSICS = torch.tensor([[FOCAL, 0.0, SIZE / 2], [0.0, FOCAL, SIZE / 2], [0.0, 0.0, 1.0]])
PLANE, PLATE, BALL = range(3)
PARTS: tuple[Region, ...] = ("all", "static", "dynamic")


def turn(degrees: float) -> Tensor:
    """Return a turn about the vertical axis, 4x4."""
    return pose_from(rotation_from_axis_angle(torch.tensor([0.0, degrees, 0.0]).deg2rad()), torch.zeros(3))


def shift(x: float, y: float = 0.0, z: float = 0.0) -> Tensor:
    """Return a translation, 4x4."""
    return pose_from(torch.eye(3), torch.tensor([x, y, z]))


A_FROM_WORLD, B_FROM_A = torch.eye(4), compose(turn(6.0), shift(-0.36))


def see(cam_from_world: Tensor, ball_x: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Cast one ray a pixel; return depth, surface number and the point in the frame of its surface."""
    rays = lift_depth(torch.ones(SIZE, SIZE), INTRINSICS)
    world_from_cam = invert_pose(cam_from_world)
    ray, start = rays @ world_from_cam[:3, :3].T, world_from_cam[:3, 3]
    normal, centre = torch.tensor([0.25, -0.35, -1.0]), torch.tensor(SPHERE) + torch.tensor([ball_x, 0.0, 0.0])
    to_plane = ((torch.tensor([0.0, 0.0, 4.5]) - start) @ normal) / (ray @ normal)
    to_plate = (PLATE_Z - start[2]) / ray[..., 2]
    on_plate = ((start + ray * to_plate[..., None])[..., :2] - torch.tensor([0.6, -0.3])).abs().amax(dim=-1) < 0.45
    away, square = start - centre, (ray * ray).sum(dim=-1)
    half = (ray @ away) / square
    root = half.square() - (away @ away - RADIUS**2) / square
    to_ball = -half - root.clamp(min=0).sqrt()
    depths = torch.stack([to_plane, to_plate.where(on_plate, torch.inf), to_ball.where(root > 0, torch.inf)])
    depth, surface = depths.min(dim=0)  # rays have z = 1 in the camera: the distance along them is the z-depth
    points = start + ray * depth[..., None]
    return depth, surface, points - torch.where(surface[..., None] == BALL, centre, 0.0)


def in_world(depth: Tensor, cam_from_world: Tensor) -> Tensor:
    """Return the point that every pixel shows, in the frame of the world."""
    world_from_cam = invert_pose(cam_from_world)
    return lift_depth(depth, INTRINSICS) @ world_from_cam[:3, :3].T + world_from_cam[:3, 3]


def features_of(surface: Tensor, points: Tensor, seed: int = 0, waves_per_unit: float = 1.0) -> Tensor:
    """Evaluate each surface's random field of cosine waves."""
    draw = torch.Generator().manual_seed(seed)
    maps = torch.zeros(SIZE, SIZE, FEATURES)
    for number in (PLANE, PLATE, BALL):
        frequency = 2 * torch.pi * waves_per_unit * torch.randn(3, FEATURES, generator=draw)
        phase = 2 * torch.pi * torch.rand(FEATURES, generator=draw)
        here = surface == number
        maps[here] = (points[here] @ frequency + phase).cos()
    return maps


def pooled(features: Tensor) -> Tensor:
    """Average cells of 16x16 pixels, as a patch token does, and upsample again."""
    cells = functional.avg_pool2d(rearrange(features, "h w d -> 1 d h w"), 16)
    return upsample_features(rearrange(cells, "1 d h w -> 1 h w d"), SIZE, SIZE)[0]


def row(name: str, *scores: tuple[Tensor, Tensor]) -> None:
    """Print scores and coverages."""
    print(f"{name:44}" + "".join(f"{float(score):10.5f}{float(coverage):8.3f}" for score, coverage in scores))


def analytic() -> None:
    """Print the properties on the analytic scene."""
    (depth_a, surface_a, points_a), (depth_b, surface_b, points_b) = see(A_FROM_WORLD), see(B_FROM_A)
    a, b = features_of(surface_a, points_a), features_of(surface_b, points_b)
    ball_a, ball_b = surface_a == BALL, surface_b == BALL

    def score(
        features: Tensor = b,
        b_from_a: Tensor = B_FROM_A,
        scale: float = 1.0,
        other: Tensor = a,
        regions: tuple[Tensor | None, Tensor | None] = (None, None),
        tolerance: float = 0.02,
    ) -> tuple[Tensor, Tensor]:
        depths = scale * depth_a, scale * depth_b
        on_a, on_b = regions
        return met3r(other, features, *depths, INTRINSICS, INTRINSICS, b_from_a, on_a, on_b, tolerance)

    print(f"{'analytic scene':44}{'MEt3R':>10}{'cover':>8}")
    row("consistent pair (bar 0.002)", score())
    row("  without occlusion test", score(tolerance=float("inf")))
    row("view a with itself", met3r(a, a, depth_a, depth_a, INTRINSICS, INTRINSICS, torch.eye(4)))
    for degrees in (0.25, 0.5, 1.0, 2.0, 4.0):
        row(f"camera turned by {degrees:g} degrees", score(b_from_a=compose(turn(degrees), B_FROM_A)))
    for distance in (0.01, 0.05, 0.2):
        row(f"camera moved by {distance:g} units", score(b_from_a=compose(shift(0.0, distance), B_FROM_A)))
    for scale in (1.02, 1.1, 1.2):
        row(f"depths of both views times {scale:g}", score(scale=scale))
    print(f"{'':44}{'MEt3R':>10}{'cover':>8}{'on ball':>10}{'cover':>8}{'off it':>10}{'cover':>8}")
    for pixels in (0, 1, 4, 16):
        moved = features_of(*see(B_FROM_A, ball_x=pixels * SPHERE[2] / FOCAL)[1:])
        on = score(moved, regions=(ball_a, ball_b))
        off = score(moved, regions=(~ball_a, ~ball_b))
        row(f"ball painted {pixels} pixels aside in view b", score(moved), on, off)
    print(f"{'':44}{'MEt3R':>10}{'cover':>8}")
    row("unrelated textures (near 1)", score(features_of(surface_b, points_b, seed=1)))
    row("negated features (2)", score(-b))
    row("no overlap (NaN)", score(b_from_a=compose(shift(50.0), B_FROM_A)))
    world = pose_from(rotation_from_axis_angle(torch.tensor([0.7, -1.2, 0.4])), torch.tensor([3.0, -5.0, 2.0]))
    world_a = in_world(depth_a, world)
    world_b = in_world(depth_b, compose(B_FROM_A, world))
    row(
        "consistent, points in a world moved rigidly",
        met3r_from_points(a, b, world_a, world_b, INTRINSICS, INTRINSICS, world, compose(B_FROM_A, world)),
    )
    scaled = B_FROM_A.clone()
    scaled[:3, 3] *= 100
    row("consistent, depths and baseline times 100", score(b_from_a=scaled, scale=100.0))
    for waves in (1.0, 4.0):
        fine = [features_of(*view, waves_per_unit=waves) for view in ((surface_a, points_a), (surface_b, points_b))]
        row(f"consistent, {waves:g} waves a unit", score(fine[1], other=fine[0]))
        row("  on 16x16-pixel cells, upsampled", score(pooled(fine[1]), other=pooled(fine[0])))
    print("the authors' code, from the same points")
    cloud_a = lift_depth(depth_a, INTRINSICS)
    cloud_b = world_b @ world[:3, :3].T + world[:3, 3]
    row("consistent pair", met3r_reference_compat(a, b, cloud_a, cloud_b, INTRINSICS))
    row("view a with itself", met3r_reference_compat(a, a, cloud_a, cloud_a, INTRINSICS))
    row("no overlap", met3r_reference_compat(a, b, cloud_a, cloud_b + 50, INTRINSICS))


def errors(clip: MultiViewClip, other: MultiViewClip) -> dict[str, dict[str, Tensor]]:
    """Return what to change in the truth, by the name of the error; each a set of arguments of the metric."""
    truth, reference, cameras = clip.video[TARGET], clip.video[REFERENCE], clip.cameras.cam_from_world[TARGET]
    assert clip.dynamic is not None
    moving = clip.dynamic[TARGET]
    late, late_moving = (torch.cat([frames[:1], frames[:-1]]) for frames in (truth, moving))
    noise = 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    found: dict[str, dict[str, Tensor]] = {"true pair (the floor)": {}}
    for degrees in (0.5, 1, 2, 4):
        found[f"camera turned by {degrees:g} degrees"] = {"target_cam_from_world": compose(turn(degrees), cameras)}
    videos = {
        **{f"picture {pixels} px aside": torch.roll(truth, pixels, dims=-1) for pixels in (1, 2, 4)},
        **{f"picture blurred by {sigma:g} px": blur(truth, sigma) for sigma in (0.7, 1.5, 3.0)},
        "noise of 0.02": (truth + noise).clamp(0, 1),
        "moving bodies one frame late": torch.where((moving | late_moving)[:, None], late, truth),
        "moving bodies in other colours": torch.where(moving[:, None], truth.roll(1, dims=1), truth),
        "copy of the reference": reference,
        "another clip": other.video[TARGET],
        "negative": 1 - truth,
    }
    return found | {name: {"video": video} for name, video in videos.items()}


def record(known: Mapping[str, Tensor], side: str) -> ViewRecord:
    """Return what is known of a view, under names such as ``target_depth``."""
    names = ("video", "depth", "cam_from_world", "intrinsics", "dynamic")
    return ViewRecord(**{name: known[f"{side}_{name}"] for name in names if f"{side}_{name}" in known})


def synthetic(num_clips: int, seed: int) -> None:
    """Print the same on synthetic clips, the moving bodies apart."""
    clips = [generate_clip(SceneSpec.tiny(), seed, index) for index in range(num_clips + 1)]
    names = list(errors(clips[0], clips[1]))
    metrics = {name: {part: WarpRGB5(region=part) for part in PARTS} for name in names}
    for clip, other in itertools.pairwise(clips):
        assert clip.depth is not None and clip.dynamic is not None
        given = {"video": clip.video[TARGET], "reference_video": clip.video[REFERENCE]}
        for view, name in ((REFERENCE, "reference"), (TARGET, "target")):
            given |= {
                f"{name}_depth": clip.depth[view], f"{name}_dynamic": clip.dynamic[view],
                f"{name}_cam_from_world": clip.cameras.cam_from_world[view],
                f"{name}_intrinsics": clip.cameras.intrinsics[view],
            }  # fmt: skip
        for name, change in errors(clip, other).items():
            for metric in metrics[name].values():
                known = {argument: value[None] for argument, value in (given | change).items()}
                metric.update(known["video"], target=record(known, "target"), reference=record(known, "reference"))
    title = f"warp_rgb5, {num_clips} synthetic clips"
    print(f"\n{title:36}" + "".join(f"{part:>10}{'cover':>8}{'invalid':>9}" for part in PARTS))
    for name in names:
        cells = ""
        for metric in metrics[name].values():
            found = metric.compute()
            cells += f"{float(found[metric.key]):10.4f}{float(found['coverage']):8.3f}{int(found['num_invalid']):9}"
        print(f"{name:36}{cells}")


def seconds(call: Callable[[], object], repeats: int = 9) -> float:
    """Return the least of several runs: what the machine does when others leave it alone."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def speed() -> None:
    """Print the time of a direction and its parts."""
    (depth_a, surface_a, points_a), (depth_b, surface_b, points_b) = see(A_FROM_WORLD), see(B_FROM_A)
    a, b = features_of(surface_a, points_a), features_of(surface_b, points_b)
    cloud_a = lift_depth(depth_a, INTRINSICS)
    cells = torch.randn(1, 16, 16, FEATURES, generator=torch.Generator().manual_seed(0))
    one = a[..., :1].contiguous(), b[..., :1].contiguous()
    geometry = (depth_a, depth_b, INTRINSICS, INTRINSICS, B_FROM_A)
    calls: dict[str, Callable[[], object]] = {
        "a direction (bar 0.15)": lambda: met3r(a, b, *geometry, symmetric=False),
        "  of it geometry (1 feature)": lambda: met3r(*one, *geometry, symmetric=False),
        "upsampling a map of 16x16 cells": lambda: upsample_features(cells, SIZE, SIZE),
        "the authors' code (one direction)": lambda: met3r_reference_compat(a, b, cloud_a, cloud_a, INTRINSICS),
    }
    print(f"\n{f'{SIZE}x{SIZE}, {FEATURES} features, seconds':44}{'1 thread':>10}{'2 threads':>11}")
    for name, call in calls.items():
        figures = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            figures.append(seconds(call))
        print(f"{name:44}{figures[0]:10.4f}{figures[1]:11.4f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        analytic()
        synthetic(arguments.clips, arguments.seed)
        speed()


if __name__ == "__main__":
    main()
