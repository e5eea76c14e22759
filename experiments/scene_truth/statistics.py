"""What a generated scene is like, in the figures by which Kubric's scenes are known."""

import numpy as np
import torch

from mvt4g.synthetic.cameras import camera_centres, draw_cameras
from mvt4g.synthetic.generate import DrawnScene, GeneratedScene
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import Cameras

THROWN_SPEED = 0.5
"""Units a second between the first two frames: a body that is faster and touches nothing in the first was thrown."""
WIDTH = 512
"""Image motion is given in pixels of images this wide."""
Figures = dict[str, list[float]]


def scene_figures(scene: SceneSpec, drawn: DrawnScene, generated: GeneratedScene) -> Figures:
    """Return the figures of one scene; several values of one name are several bodies, views or points."""
    return body_figures(scene, drawn, generated) | track_figures(generated)


def body_figures(scene: SceneSpec, drawn: DrawnScene, generated: GeneratedScene) -> Figures:
    """Return numbers, sizes, speeds, first contacts."""
    positions, clip = drawn.poses.positions, generated.clip
    assert clip.dynamic is not None and clip.instances is not None
    thrown = np.zeros(len(drawn.shapes), dtype=bool)
    speeds: list[float] = []
    if scene.num_frames > 1:
        velocity = (positions[1] - positions[0]) * scene.fps
        touching = generated.collisions[generated.collisions[:, 0] == 0, 1:].unique().numpy()
        thrown = np.linalg.norm(velocity, axis=-1) > THROWN_SPEED
        thrown[touching[touching > 0] - 1] = False
        speeds = np.linalg.norm(velocity[thrown, :2], axis=-1).tolist()
    falls = []
    for body in np.flatnonzero(thrown) + 1:
        frames = generated.collisions[(generated.collisions[:, 1:] == int(body)).any(-1), 0]
        falls.append(float(frames.min()) / scene.fps if len(frames) else np.nan)
    return {
        "bodies": [float(len(drawn.shapes))],
        "bodies at rest": [float((~thrown).sum())],
        "bodies thrown": [float(thrown.sum())],
        "size, units": [shape.size for shape in drawn.shapes],
        "speed of thrown |v_xy|, units/s": speeds,
        "first contact of thrown, s": falls,
        "dynamic share of pixels": [float(clip.dynamic.float().mean())],
        "object share of pixels": [float((clip.instances > 0).float().mean())],
    }


def track_figures(generated: GeneratedScene) -> Figures:
    """Return visibility, length and image motion of tracks."""
    clip = generated.clip
    assert clip.tracks is not None and clip.visible is not None and clip.point_valid is not None
    assert clip.point_instance is not None and clip.instances is not None and clip.dynamic is not None
    valid = clip.point_valid
    visible, tracks = clip.visible[:, :, valid], clip.tracks[:, :, valid] * (WIDTH / clip.video.shape[-1])
    dynamic = torch.isin(clip.point_instance[valid], clip.instances[clip.dynamic].unique())
    length = visible.float().mean(dim=1)
    both = visible[:, 1:] & visible[:, :-1]
    step = (tracks[:, 1:] - tracks[:, :-1]).norm(dim=-1)
    return {
        "points, share of those asked for": [float(valid.float().mean())],
        "points on bodies, share": [float((clip.point_instance[valid] > 0).float().mean())],
        "points on dynamic bodies, share": [float(dynamic.float().mean())],
        "visible, share of view-frames": [float(visible.float().mean())],
        "track length where seen at all, share of frames": [float(length[length > 0].mean())],
        "seen in two views or more, share of points": [float((visible.any(1).sum(0) > 1).float().mean())],
        "image motion of bodies, px/frame at 512": _some(step[both & dynamic]),
        "image motion of the rest, px/frame at 512": _some(step[both & ~dynamic]),
    }


def camera_figures(scene: SceneSpec, seed: int, count: int) -> Figures:
    """Return the figures of the cameras of so many scenes, which need no scene to be drawn."""
    figures: dict[str, list[float]] = {}
    for index in range(count):
        stream = np.random.default_rng((seed, index)).spawn(5)[2]
        cameras = draw_cameras(stream, scene.cameras, scene.num_views, scene.num_frames, scene.image_size)
        for name, values in _of_cameras(cameras, scene.image_size[1]).items():
            figures.setdefault(name, []).extend(values)
    return figures


def _of_cameras(cameras: Cameras, width: int) -> Figures:
    centres, rotations = camera_centres(cameras).double(), cameras.cam_from_world[..., :3, :3].double()
    radius = centres.norm(dim=-1)
    first, last = centres[:, 0] / radius[:, :1], centres[:, -1] / radius[:, -1:]
    about_origin = torch.rad2deg(torch.acos((first * last).sum(-1).clamp(-1, 1)))
    turn = rotations[:, 0] @ rotations[:, -1].mT
    turned = torch.rad2deg(torch.acos(((turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1)))
    travel = centres.diff(dim=1).norm(dim=-1).sum(dim=1)
    focal = cameras.intrinsics[:, 0, 0, 0].double() / width
    return {
        "camera start radius, units": radius[:, 0].tolist(),
        "camera elevation, degrees": torch.rad2deg(torch.asin(centres[:, 0, 2] / radius[:, 0])).tolist(),
        "camera height, units": centres[..., 2].amin(dim=1).tolist(),
        "sweep about the origin, degrees": about_origin.tolist(),
        "camera turn first to last, degrees": turned.tolist(),
        "camera path, share of radius": (travel / radius[:, 0]).tolist(),
        "field of view, degrees": torch.rad2deg(2 * torch.atan(0.5 / focal)).tolist(),
    }


def _some(values: torch.Tensor, count: int = 200) -> list[float]:
    """Return evenly spaced order statistics: all of a distribution that a table needs."""
    if not len(values):
        return []
    places = torch.linspace(0, len(values) - 1, min(count, len(values))).round().long()
    return [float(value) for value in values.sort().values[places]]
