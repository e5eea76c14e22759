"""One generated clip against float64 NumPy that shares nothing with the generator but meshes, poses and cameras."""

from typing import Any

import numpy as np
import torch

from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.synthetic.generate import DrawnScene, GeneratedScene
from mvt4g.synthetic.tracks import project_tracks
from mvt4g.types import Cameras
from tests.reference import ray_casting as twin

DEPTH_STEP = 0.02
"""Share by which neighbouring depths differ at an edge."""
Figures = dict[str, list[float]]


def check_projection(generated: GeneratedScene, full_width: int) -> Figures:
    """Return the largest error (px) of tracks at the rendered size, and at the recipe's in the image and outside.

    Outside is before the camera, up to an image's width from the image: what lies farther out, or nearly in the
    camera's plane, is known to the precision of fp32 alone.
    """
    clip = generated.clip
    assert clip.points_world is not None and clip.tracks is not None and clip.point_valid is not None
    size = np.array(clip.video.shape[:-3:-1])
    scale = full_width / size[0]
    full = Cameras(clip.cameras.cam_from_world, scale_intrinsics(clip.cameras.intrinsics, scale, scale))
    worst = dict.fromkeys(("projection_rendered", "projection_full", "projection_outside"), 0.0)
    cases = (
        (clip.cameras, clip.tracks, size, False),
        (full, project_tracks(clip.points_world, full), size * scale, True),
    )
    for cameras, tracks, frame_size, is_full in cases:
        for view, frame in np.ndindex(*tracks.shape[:2]):
            points = clip.points_world[frame, clip.point_valid].double().numpy()
            pixels, depth = twin.project(points, *_camera(cameras, view, frame))
            error = np.abs(tracks[view, frame, clip.point_valid].double().numpy() - pixels).max(-1)
            from_centre = np.abs(pixels / frame_size - 0.5).max(-1)
            inside, around = (depth > 1e-2) & (from_centre < 0.5), (depth > 1e-2) & (from_centre < 1.5)
            for name, which in (("full", inside), ("outside", around)) if is_full else (("rendered", inside),):
                worst[f"projection_{name}"] = max(worst[f"projection_{name}"], float(error[which].max(initial=0.0)))
    return {name: [value] for name, value in worst.items()}


def check_epipolar(generated: GeneratedScene, full_width: int, pairs: int, seed: int) -> Figures:
    """Return distances (px, recipe's size) of points at rest from their epipolar lines: largest of each pair of views.

    Points that are seen in both views, at one time; those of the background at two times too. The control has every
    point's line passed by its neighbour in the list.
    """
    clip, rng = generated.clip, np.random.default_rng((seed, 1))
    assert clip.points_world is not None and clip.visible is not None and clip.point_instance is not None
    scale = full_width / clip.video.shape[-1]
    cameras = Cameras(clip.cameras.cam_from_world, scale_intrinsics(clip.cameras.intrinsics, scale, scale))
    tracks = project_tracks(clip.points_world, cameras).double().numpy()
    paths = clip.points_world - clip.points_world[:1]
    resting = (paths.norm(dim=-1).amax(0) < 1e-6).numpy()
    visible, background = clip.visible.numpy(), (clip.point_instance == 0).numpy()
    views, frames = visible.shape[:2]
    distances, control = [], []
    for number in range(pairs if views > 1 else 0):
        one, other = rng.choice(views, 2, replace=False)
        time = int(rng.integers(frames))
        late = int(rng.integers(frames)) if number % 2 else time
        both = visible[one, time] & visible[other, late] & (background if late != time else resting)
        if both.sum() > 1:
            lines = _epipolar_lines(tracks[one, time, both], _camera(cameras, one, time), _camera(cameras, other, late))
            ends = tracks[other, late, both]
            distances.append(float(_to_lines(lines, ends).max()))
            control.append(float(np.median(_to_lines(lines, np.roll(ends, 1, axis=0)))))
    return {"epipolar": distances, "epipolar_control": control}


def check_visibility(
    generated: GeneratedScene, drawn: DrawnScene, looks: int, points: int, seed: int, tolerance: float
) -> Figures:
    """Compare visibility at some (view, frame), for some points each, with the rules over rays cast anew."""
    clip, rng = generated.clip, np.random.default_rng((seed, 2))
    assert clip.visible is not None and clip.point_valid is not None and clip.points_world is not None
    assert clip.point_instance is not None and clip.depth is not None and clip.instances is not None
    valid = np.flatnonzero(clip.point_valid.numpy())
    counts = dict.fromkeys(("compared", "inside", "disagree", "exact_disagree", "control_disagree"), 0)
    at_disagreements: list[float] = []
    elsewhere: list[float] = []
    for _ in range(looks):
        view, frame = (int(rng.integers(size)) for size in clip.visible.shape[:2])
        some = np.sort(rng.choice(valid, min(points, len(valid)), replace=False))
        world, instance = clip.points_world[frame, some].double().numpy(), clip.point_instance[some].numpy()
        bodies = placed_bodies(generated, drawn, frame)
        camera, size = _camera(clip.cameras, view, frame), tuple(clip.video.shape[-2:])
        normals = twin.outward(world, instance, bodies)
        slow, inside = twin.visible(world, instance, normals, camera, size, bodies, tolerance)
        eye = -np.linalg.solve(camera[0][:3, :3], camera[0][:3, 3])
        exact = twin.unblocked(world, normals, eye, bodies) & inside
        ours = clip.visible[view, frame, some].numpy()
        wrong = ours != slow
        counts["compared"] += len(some)
        counts["inside"] += int(inside.sum())
        counts["disagree"] += int(wrong.sum())
        counts["exact_disagree"] += int((ours != exact)[inside].sum())
        counts["control_disagree"] += int((ours != np.roll(slow, 1))[inside].sum())
        edges = _edges(clip.depth[view, frame].numpy(), clip.instances[view, frame].numpy())
        pixels, _ = twin.project(world, *camera)
        at_disagreements += _to_nearest(pixels[wrong], edges)
        elsewhere += _to_nearest(pixels[inside & ~wrong][:20], edges)
    figures = {f"visibility_{name}": [float(count)] for name, count in counts.items()}
    return figures | {"edge_px_disagreements": at_disagreements, "edge_px_elsewhere": elsewhere}


def placed_bodies(generated: GeneratedScene, drawn: DrawnScene, frame: int) -> list[Any]:
    """Return the meshes where the poses that are handed out put them."""
    placed = []
    for mesh, pose in zip(drawn.world.meshes, generated.world_from_object[frame].double().numpy(), strict=True):
        placed.append(twin.Body(mesh.vertices @ pose[:3, :3].T + pose[:3, 3], mesh.triangles))
    return placed


def check_poses(generated: GeneratedScene) -> Figures:
    """Return how far rotations of cameras and objects are from proper ones."""
    poses = [generated.world_from_object[..., :3, :3], generated.clip.cameras.cam_from_world[..., :3, :3]]
    worst = 0.0
    for rotation in (part.double() for part in poses if part.numel()):
        identity = torch.eye(3, dtype=torch.double)
        worst = max(worst, float((rotation @ rotation.mT - identity).abs().max()))
        worst = max(worst, float((torch.linalg.det(rotation) - 1).abs().max()))
    return {"rotation": [worst]}


def _camera(cameras: Cameras, view: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    pose, intrinsics = cameras.cam_from_world[view, frame], cameras.intrinsics[view, frame]
    return pose.double().numpy(), intrinsics.double().numpy()


def _epipolar_lines(
    pixels: np.ndarray, one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the lines (a b c) in the other image on which points at pixels (n 2) of the one must lie."""
    other_from_one = other[0] @ np.linalg.inv(one[0])
    x, y, z = other_from_one[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ other_from_one[:3, :3]
    fundamental = np.linalg.inv(other[1]).T @ essential @ np.linalg.inv(one[1])
    return np.concatenate([pixels, np.ones((len(pixels), 1))], axis=-1) @ fundamental.T


def _to_lines(lines: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    return np.abs((lines[:, :2] * pixels).sum(-1) + lines[:, 2]) / np.linalg.norm(lines[:, :2], axis=-1)


def _edges(depth: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Return the middles (e 2) between neighbouring pixels that show other bodies or another depth."""
    edges = []
    for axis in (0, 1):
        first, second = (np.moveaxis(depth, axis, 0)[part] for part in (slice(-1), slice(1, None)))
        step = np.minimum(first, second) < (1 - DEPTH_STEP) * np.maximum(first, second)
        step = np.moveaxis(step, 0, axis) | (np.diff(instances, axis=axis) != 0)
        row, column = np.nonzero(step)
        edges.append(np.stack([column + 0.5 + 0.5 * axis, row + 1.0 - 0.5 * axis], axis=-1))
    return np.concatenate(edges)


def _to_nearest(pixels: np.ndarray, edges: np.ndarray) -> list[float]:
    if not len(edges):
        return [float("inf")] * len(pixels)
    return [float(np.linalg.norm(edges - pixel, axis=-1).min()) for pixel in pixels]
