"""Camera paths in JSON: our own form, and ReCamMaster's ``camera_extrinsics.json``.

Ours holds one path, or the paths of named views::

    {"convention": "opencv world_from_cam", "world_from_cam": [[4x4] per frame], "intrinsics": ..., "image_size": ...}
    {"convention": "opencv world_from_cam", "views": {"reference": {"world_from_cam": ...}, "target": {...}}}

``intrinsics`` (one 3x3, or one per frame, pixels) may be left out; ``image_size`` [height, width] says of which image;
[1, 1] says that they are in shares of its width and height.
One pose is a camera that stands still; beside it may stand intrinsics of every frame, of a lens that zooms. Without a
reference, the world is the reference camera of frame 0. ``times_s`` (one a pose, of the file or of a view) says when a
pose was taken, in seconds from the video's first frame; then poses and frames are matched by time. ``predict`` adds
``source``: the intrinsics of both views for the ``image_size`` of the source video, and its ``frames`` and ``times_s``
that the poses belong to.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.geometry.pose import check_poses, invert_pose, relative_to
from mvt4g.types import Cameras, InputError

CONVENTION = "opencv world_from_cam"
TARGET_VIEW = "target"
REFERENCE_VIEW = "reference"
SHARES = (1, 1)
"""Image size of intrinsics in shares of an image's width and height."""
_CENTIMETRES_PER_METRE = 100


@dataclass(frozen=True)
class Trajectory:
    """The path of one camera.

    Attributes:
        world_from_cam: OpenCV axes, scene units.
        intrinsics: K, in pixels of an image of ``image_size``; None where unknown.
        image_size: (height, width) of that image.
        times_s: When each pose was taken, seconds from the video's first frame, increasing; None where unknown.
        zoom: Factor on the focal length of ``intrinsics``, or of those that are assumed; None = 1.
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    intrinsics: Float[Tensor, "t 3 3"] | None = None
    image_size: tuple[int, int] | None = None
    times_s: tuple[float, ...] | None = None
    zoom: Float[Tensor, " t"] | None = None

    def of_length(self, num_frames: int | None) -> "Trajectory":
        """Return a path of one pose, a camera that stands still, as one of ``num_frames``; others as they are."""
        if num_frames is None or len(self.world_from_cam) != 1:
            return self
        intrinsics = None if self.intrinsics is None else self.intrinsics.expand(num_frames, 3, 3)
        world_from_cam = self.world_from_cam.expand(num_frames, 4, 4)
        return replace(self, world_from_cam=world_from_cam, intrinsics=intrinsics)


def read_trajectory(path: Path, num_frames: int | None = None, camera: str | None = None) -> Trajectory:
    """Read the path of the target camera.

    Args:
        path: A file of our form, or ReCamMaster's, whose path is given relative to its own frame 0, in metres.
        num_frames: Number of poses it must have, or one that stands for all; None = any.
        camera: Which of ReCamMaster's cameras ("cam01").

    Raises:
        InputError: As ``read_views``, or if the number of poses is another.
    """
    trajectory = read_views(path, camera)[TARGET_VIEW].of_length(num_frames)
    if num_frames is not None and len(trajectory.world_from_cam) != num_frames:
        want = f"{num_frames}, one per frame"
        raise InputError(f"{path}: got {len(trajectory.world_from_cam)} poses, want {want}")
    return trajectory


def read_recammaster_world(path: Path) -> dict[str, Float[Tensor, "t 4 4"]]:
    """Read ``world_from_cam`` of all cameras of ReCamMaster's file, in one right-handed world, metres.

    Raises:
        InputError: As ``read_views``.
    """
    content = read_json_object(path, "a trajectory with world_from_cam", nan=True)
    cameras = content.get("frame0")
    if not isinstance(cameras, dict) or not cameras:
        want = "a matrix for each camera"
        raise InputError(f"{path}: frame0: got {type(cameras).__name__}, want {want}")
    return {camera: _recammaster_poses(path, content, camera).float() for camera in cameras}


def read_views(path: Path, camera: str | None = None, same_length: bool = True) -> dict[str, Trajectory]:
    """Read the path of every view in the file: always a target, in our form perhaps a reference.

    Args:
        path: The file.
        camera: Which of ReCamMaster's cameras ("cam01").
        same_length: Refuse two views of different numbers of poses, unless one of them has a single pose.

    Raises:
        InputError: If the file is missing, no JSON, of another form or convention, or a pose holds a NaN or no
            rotation; the message names file, view and frame.
    """
    content = read_json_object(path, "a trajectory with world_from_cam", nan=True)
    if "frame0" in content:
        return {TARGET_VIEW: _read_recammaster(path, content, camera)}
    if camera is not None:
        raise InputError(f"{path}: got camera {camera!r} for a file that has no named cameras, want none")
    convention = content.get("convention", CONVENTION)
    if convention != CONVENTION:
        raise InputError(f"{path}: convention: got {convention!r}, want {CONVENTION!r}")
    views = content.get("views", {TARGET_VIEW: content})
    known = {TARGET_VIEW, REFERENCE_VIEW}
    if not isinstance(views, dict) or TARGET_VIEW not in views or not set(views) <= known:
        want = f"{TARGET_VIEW!r} and perhaps {REFERENCE_VIEW!r}"
        raise InputError(f"{path}: got views {list(views)}, want {want}")
    size = _read_size(path, content.get("image_size"))
    trajectories = {}
    for name, view in views.items():
        trajectory = _read_view(path, name if "views" in content else "", view, size)
        times = view.get("times_s", content.get("times_s"))
        if times is not None:
            times = _read_times(f"{path}: times_s", times, len(trajectory.world_from_cam))
        trajectories[name] = replace(trajectory, times_s=times)
    # One pose stands for any number of frames.
    lengths = {name: len(trajectory.world_from_cam) for name, trajectory in trajectories.items()}
    if same_length and len(set(lengths.values()) - {1}) > 1:
        raise InputError(f"{path}: got different numbers of poses {lengths}, want one number")
    return trajectories


def write_trajectory(
    path: Path, cameras: Cameras, image_size: tuple[int, int], source: Mapping[str, Any] | None = None
) -> None:
    """Write the cameras (t) of one path, or (v=2, t) of reference and target; the file appears whole or not at all.

    Args:
        path: Ends in .json.
        cameras: One per frame.
        image_size: (height, width) of the image that the intrinsics belong to.
        source: What is known of the source video, as JSON holds it; readers of cameras leave it aside.

    Raises:
        InputError: If the cameras have other axes, a pose is not finite or no rotation, or the place is not writable.
    """
    check_poses(cameras.cam_from_world, f"{path}: cam_from_world to write")
    content: dict[str, Any] = {"convention": CONVENTION, "image_size": list(image_size)}
    if cameras.cam_from_world.ndim == 3:
        content |= _to_json(cameras)
    elif cameras.cam_from_world.ndim == 4 and len(cameras.cam_from_world) == 2:
        content["views"] = {REFERENCE_VIEW: _to_json(cameras[0]), TARGET_VIEW: _to_json(cameras[1])}
    else:
        shape = tuple(cameras.cam_from_world.shape)
        want = "(t 4 4) or (2 t 4 4)"
        raise InputError(f"{path}: got cameras of shape {shape} to write, want {want}")
    if source is not None:
        content["source"] = dict(source)
    with appearing(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n")


def _to_json(cameras: Cameras) -> dict[str, Any]:
    return {
        "world_from_cam": invert_pose(cameras.cam_from_world.detach().float().cpu()).tolist(),
        "intrinsics": cameras.intrinsics.detach().float().cpu().tolist(),
    }


def _read_view(path: Path, name: str, view: Any, size: tuple[int, int] | None) -> Trajectory:
    prefix = f"{path}: {name}." if name else f"{path}: "
    if not isinstance(view, dict) or "world_from_cam" not in view:
        keys = sorted(view) if isinstance(view, dict) else type(view).__name__
        want = "one 4x4 matrix per frame"
        raise InputError(f"{prefix}world_from_cam: missing, got {keys}, want {want}")
    poses = _matrices(f"{prefix}world_from_cam", view["world_from_cam"], 4)
    check_poses(poses, f"{prefix}world_from_cam frame ")
    if view.get("intrinsics") is None:
        return Trajectory(poses)
    if size is None:
        want = "[height, width] of the image the intrinsics belong to"
        raise InputError(f"{path}: image_size: missing, want {want}")
    intrinsics = _matrices(f"{prefix}intrinsics", view["intrinsics"], 3)
    if len(poses) == 1:  # a still camera whose lens zooms
        poses = poses.expand(len(intrinsics), 4, 4)
    if len(intrinsics) not in (1, len(poses)):
        raise InputError(f"{prefix}intrinsics: got {len(intrinsics)} matrices, want 1 or {len(poses)}")
    has_focal = bool((intrinsics[:, 0, 0] > 0).all()) and bool((intrinsics[:, 1, 1] > 0).all())
    if not (has_focal and bool(intrinsics.isfinite().all())):
        raise InputError(f"{prefix}intrinsics: got a NaN, infinity or focal length <= 0, want K in pixels")
    return Trajectory(poses, intrinsics.expand(len(poses), 3, 3).clone(), size)


def _matrices(what: str, numbers: Any, rank: int) -> Float[Tensor, "t rank rank"]:
    try:
        matrices = torch.tensor(numbers, dtype=torch.float64).float()
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        want = f"{rank}x{rank} matrices"
        raise InputError(f"{what}: got no table of numbers ({error}), want {want}") from error
    if matrices.ndim == 2:
        matrices = matrices[None]
    if matrices.ndim != 3 or matrices.shape[1:] != (rank, rank) or not len(matrices):
        want = f"one {rank}x{rank} matrix per frame"
        raise InputError(f"{what}: got shape {tuple(matrices.shape)}, want {want}")
    return matrices


def _read_times(what: str, times: Any, count: int) -> tuple[float, ...]:
    fits = isinstance(times, list) and len(times) == count and all(map(_is_finite_number, times))
    if not fits or sorted(set(times)) != times:
        want = f"{count} finite, increasing numbers, one a pose"
        raise InputError(f"{what}: got {times}, want {want}")
    return tuple(map(float, times))


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_size(path: Path, size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    match size:
        case [int(height), int(width)] if height > 0 and width > 0:
            return height, width
    raise InputError(f"{path}: image_size: got {size}, want [height, width]")


def _read_recammaster(path: Path, content: dict[str, Any], camera: str | None) -> Trajectory:
    world_from_cam = _recammaster_poses(path, content, camera)
    return Trajectory(relative_to(world_from_cam, world_from_cam[0]).float())


def _recammaster_poses(path: Path, content: dict[str, Any], camera: str | None) -> Float[Tensor, "t 4 4"]:
    """Read Unreal's matrices: row vectors, x forward, y right, z up, left-handed, centimetres.

    Source: KwaiVGI/ReCamMaster@39c0dc2 (MIT), ``inference_recammaster.py``. Its result is left-handed; one world axis
    is mirrored here, which relative poses do not feel.
    """
    poses = []
    for frame in range(len(content)):
        cameras = content.get(f"frame{frame}")
        if not isinstance(cameras, dict):
            want = f"frame0 to frame{len(content) - 1}"
            raise InputError(f"{path}: frame{frame}: missing, want {want}")
        if camera not in cameras:
            raise InputError(f"{path}: got camera {camera!r}, want one of {', '.join(cameras)}")
        try:
            numbers = list(map(float, re.findall(r"[^\s\[\]]+", str(cameras[camera]))))
            unreal = torch.tensor(numbers, dtype=torch.float64).reshape(4, 4).mT
        except (ValueError, RuntimeError) as error:
            raise InputError(f"{path}: frame{frame} {camera}: got no 4x4 matrix ({error}), want 16 numbers") from error
        # Columns in the order y, z, x: OpenCV's x is Unreal's y; its y points down, where Unreal's z points up.
        opencv = unreal[:, [1, 2, 0, 3]] * unreal.new_tensor([1.0, -1.0, 1.0, 1.0])
        opencv[:3, 3] /= _CENTIMETRES_PER_METRE
        opencv[1] *= -1
        poses.append(opencv)
    world_from_cam = torch.stack(poses)
    check_poses(world_from_cam, f"{path}: {camera} frame ")
    return world_from_cam
