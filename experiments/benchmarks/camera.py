"""How long camera errors take, and what each protocol sees of typical errors.

    python -m experiments.benchmarks.camera [--paths 1000] [--frames 81] [--threads 1]

Times are the best of ten, of random paths, checks of the poses included. In the table the true path is ReCamMaster's
arc (or the preset named), 21 frames, and a 0 or nan is an error that a protocol cannot see. "By pose" is the redirector
error after alignment by the first pose instead of by centres, "scene units" the distance of centres as they are; the
last two are AUC@30 of pairs with directions signed, and as in VGGT's evaluation.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from mvt4g.geometry.pose import compose, pose_from, rotation_from_axis_angle
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.metrics.functional.camera import PROTOCOLS, camera_errors, translation_error
from mvt4g.metrics.functional.camera_paths import camera_paths
from mvt4g.metrics.functional.relative_pose import relative_pose_accuracy

FRAMES = 21
REPEATS = 10


def random_paths(num_paths: int, num_frames: int, seed: int) -> Tensor:
    """Return world-from-camera (b t 4 4)."""
    generator = torch.Generator().manual_seed(seed)
    turn, centre = torch.randn(2, num_paths, num_frames, 3, generator=generator)
    return pose_from(rotation_from_axis_angle(turn), centre)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU time, each the best of several runs after one that is not counted."""
    work()
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def turned(path: Tensor, degrees: float, growing: bool) -> Tensor:
    """Turn cameras about their own y: all but the first alike, or ever more up to the last."""
    share = torch.linspace(0, 1, len(path)) if growing else (torch.arange(len(path)) > 0).float()
    axis_angle = torch.zeros(len(path), 3)
    axis_angle[:, 1] = torch.deg2rad(torch.tensor(degrees)) * share
    return compose(path, pose_from(rotation_from_axis_angle(axis_angle), torch.zeros(3)))


def shifted(path: Tensor, amount: float, growing: bool) -> Tensor:
    """Move centres down by a share of the path's reach: at random, or ever more up to the last frame."""
    reach = (path[:, :3, 3] - path[0, :3, 3]).norm(dim=-1).max()
    noise = torch.randn(len(path), 3, generator=torch.Generator().manual_seed(0))
    drift = torch.linspace(0, 1, len(path))[:, None] * torch.tensor([0.0, 1.0, 0.0])
    moved = path.clone()
    moved[:, :3, 3] += amount * reach * (drift if growing else noise / 3**0.5)
    return moved


def scaled(path: Tensor, factor: float) -> Tensor:
    """Scale centres about the first."""
    result = path.clone()
    result[:, :3, 3] = path[0, :3, 3] + factor * (path[:, :3, 3] - path[0, :3, 3])
    return result


def jittered(path: Tensor, distance: float) -> Tensor:
    """Move centres at random, by scene units."""
    moved = path.clone()
    moved[:, :3, 3] += distance * torch.randn(len(path), 3, generator=torch.Generator().manual_seed(0))
    return moved


def cases() -> dict[str, tuple[Tensor, Tensor]]:
    """Return (prediction, truth) by what is wrong with the prediction."""
    arc, zoom, pan = (preset_trajectory(name, FRAMES) for name in ("arc_right", "zoom_in", "pan_right"))
    right = zoom.clone()
    right[:, :3, 3] = zoom[:, [2, 1, 0], 3]
    slow_start = arc[torch.linspace(0, 1, FRAMES).square().mul(FRAMES - 1).round().long()]
    still = torch.eye(4).expand(FRAMES, 4, 4)
    return {
        "nothing": (arc.clone(), arc),
        "all but frame 0 turned by 1 degree": (turned(arc, 1.0, growing=False), arc),
        "all but frame 0 turned by 5 degrees": (turned(arc, 5.0, growing=False), arc),
        "turning up to 5 degrees away": (turned(arc, 5.0, growing=True), arc),
        "centres off by 5 % at random": (shifted(arc, 0.05, growing=False), arc),
        "drift of 20 % by the end": (shifted(arc, 0.2, growing=True), arc),
        "half the distance": (scaled(arc, 0.5), arc),
        "same path, slow at first": (slow_start, arc),
        "backwards: other arc": (preset_trajectory("arc_left", FRAMES), arc),
        "never moves": (still, arc),
        "true zoom in; zooms out": (preset_trajectory("zoom_out", FRAMES), zoom),
        "true zoom in; moves right": (right, zoom),
        "true zoom in; never moves": (still, zoom),
        "true pan; moves right by 1": (pose_from(pan[:, :3, :3], right[:, :3, 3] / 2), pan),
        "true pan; jitters by 1e-4": (jittered(pan, 1e-4), pan),
        "true pan; never moves": (still, pan),
    }


def row(pred: Tensor, target: Tensor) -> list[float]:
    """Return what each protocol makes of a prediction."""
    found = [camera_errors(pred, target, protocol).values() for protocol in PROTOCOLS]
    values = [float(value) for errors in found for value in errors][:-1]  # the last protocol has no CamMC
    paths = camera_paths(pred[None], target[None])
    values += [float(translation_error(paths, align)) for align in ("scale_lsq", "none")]
    for signed in (True, False):
        values.append(float(relative_pose_accuracy(paths, signed_direction=signed)["auc_30deg"]))
    return values


def main() -> None:
    """Print times, then the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--paths", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", message="rotation unobservable")
    pred, target = (random_paths(arguments.paths, arguments.frames, seed) for seed in (0, 1))
    timed: dict[str, Callable[[], object]] = {name: partial(camera_errors, pred, target, name) for name in PROTOCOLS}
    timed["RRA, RTA, AUC"] = lambda: relative_pose_accuracy(camera_paths(pred, target))
    sizes = f"{arguments.paths} paths of {arguments.frames} poses"
    print(f"{sizes + f', {arguments.threads} threads':44}{'wall s':>9}{'cpu s':>9}")
    for name, work in timed.items():
        print(f"{name:44}" + "".join(f"{value:9.3f}" for value in seconds(work)))

    print(f"\n{'':36}{'mvtrack4gen':^27}{'camI2V':^27}{'redirector':^27}{'scene':>9}{'AUC@30':^18}")
    columns = (
        "rot deg",
        "trans",
        "CamMC",
        "rot rad",
        "trans",
        "CamMC",
        "rot deg",
        "sim3",
        "by pose",
        "units",
        "signed",
        "VGGT",
    )
    print(f"{'error of the prediction':36}" + "".join(f"{name:>9}" for name in columns))
    for name, (path, truth) in cases().items():
        print(f"{name:36}" + "".join(f"{value:9.3f}" for value in row(path, truth)))


if __name__ == "__main__":
    main()
