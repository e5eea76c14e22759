"""Camera paths that start at the identity: ReCamMaster's ten presets, of a total motion or of a motion a frame.

Frame 0 is the origin, OpenCV axes (x right, y down, z forward). Motion is uniform: the angle grows by the same amount
each frame in a pan or tilt, the position in all others, and a camera with a pivot keeps looking at it.

Source: KwaiVGI/ReCamMaster@39c0dc2 (MIT), ``camera_extrinsics.json``. The functional forms were worked out from the
file and agree with it to its rounding (six significant digits of a rotation, 0.01 cm of a position up to 34 m away).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float

from mvt4g.geometry.pose import axis_angle_from_rotation, look_at, pose_from, rotate, rotation_from_axis_angle
from mvt4g.types import InputError

PIVOT_DISTANCE_M = 4.0
FRACTION_DONE = 80 / 80.5
"""Share of its nominal motion that a preset has done in its last frame: the file moves 1/80.5 of it a frame."""


@dataclass(frozen=True)
class Motion:
    """The nominal motion of a preset.

    Attributes:
        yaw_deg: Turn to the right.
        pitch_deg: Turn upwards.
        shift_m: Straight line from start to end along x (right), y (down) and z (forward) of the first camera.
        pivot_m: Distance ahead of the first camera of the point that stays in the image centre; None = no such point.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pivot_m: float | None = None


_ARC_X = PIVOT_DISTANCE_M * math.sin(math.radians(30.0))
_ARC_Z = PIVOT_DISTANCE_M * (1.0 - math.cos(math.radians(30.0)))

PRESETS: dict[str, Motion] = {
    "pan_right": Motion(yaw_deg=20.0),
    "pan_left": Motion(yaw_deg=-20.0),
    "tilt_up": Motion(pitch_deg=10.0),
    "tilt_down": Motion(pitch_deg=-10.0),
    "zoom_in": Motion(shift_m=(0.0, 0.0, 2.0)),
    "zoom_out": Motion(shift_m=(0.0, 0.0, -2.0)),
    "translate_up": Motion(shift_m=(0.0, -1.0, 0.0), pivot_m=PIVOT_DISTANCE_M),
    "translate_down": Motion(shift_m=(0.0, 1.0, 0.0), pivot_m=PIVOT_DISTANCE_M),
    "arc_left": Motion(shift_m=(-_ARC_X, 0.0, _ARC_Z), pivot_m=PIVOT_DISTANCE_M),
    "arc_right": Motion(shift_m=(_ARC_X, 0.0, _ARC_Z), pivot_m=PIVOT_DISTANCE_M),
}
"""By name, in the order of ReCamMaster's cam01 to cam10. An arc is walked along its chord, as in the file."""
BENCHMARK_CAMERAS = {f"cam{number:02d}": name for number, name in enumerate(PRESETS, start=1)}
"""The preset that each of ReCamMaster's cameras follows."""
BENCHMARK_FRAMES = 81
"""Frames of ReCamMaster's file."""
SPEEDS = ("total", "per_frame")


def benchmark_trajectory(
    name: str,
    num_frames: int,
    speed: str = "total",
    strength: float | int = 1.0,
    scale: float | int = 1.0,
) -> Float[torch.Tensor, "t 4 4"]:
    """Return ``world_from_cam`` of one of ReCamMaster's cameras, the world being its first camera.

    Args:
        name: "cam01" to "cam10", or a preset's name.
        num_frames: At least 1.
        speed: "total" does the motion of the file's 81 frames in ``num_frames``, as ``preset_trajectory``.
            "per_frame" keeps the file's motion from one frame to the next, as ReDirector's evaluation does: 37 frames
            do 36/80 of the turn, 101 frames 100/80. The steps of the camera, each in its own axes, are resampled over
            the frames and chained; turns go about their mean axis, and a step is walked in the axes *after* its turn,
            which leaves the file's path by up to 0.013 m in 81 frames.
        strength: Factor on the motion (ReDirector's ``cam_speed``), at least 0.
        scale: Scene units per metre, over 0.

    Raises:
        InputError: For an unknown name or speed, or a number out of its range.

    Source: byeongjun-park/ReDirector (Apache-2.0), ``model_utils.py``, ``make_camera_trajectory``.
    """
    if speed not in SPEEDS:
        raise InputError(f"speed: got {speed!r}, want one of {', '.join(SPEEDS)}")
    preset = BENCHMARK_CAMERAS.get(name, name)
    total = preset_trajectory(preset, num_frames, strength, scale)
    if speed == "total":
        return total
    shares = torch.linspace(0.0, FRACTION_DONE, BENCHMARK_FRAMES, dtype=torch.float64)
    turns, steps = _steps(_preset_path(PRESETS[preset], shares))
    whole_turn = turns.sum(dim=0)
    # The mean axis of all turns; a path that does not turn has none.
    length = torch.linalg.vector_norm(whole_turn)
    axis = whole_turn / length if length > 1e-6 else torch.zeros_like(whole_turn)
    turns = _resampled(turns, num_frames - 1) * strength
    steps = _resampled(steps, num_frames - 1) * strength
    turned = (turns * axis).sum(dim=1).cumsum(dim=0)
    rotation = rotation_from_axis_angle(turned[:, None] * axis)
    position = rotate(rotation, steps).cumsum(dim=0)
    first = torch.eye(4, dtype=torch.float64)[None]
    path = torch.cat([first, pose_from(rotation, position * scale)])
    return path.to(torch.float32)


def preset_trajectory(
    name: str,
    num_frames: int,
    strength: float | int = 1.0,
    scale: float | int = 1.0,
) -> Float[torch.Tensor, "t 4 4"]:
    """Return ``world_from_cam`` of a preset, the world being its first camera.

    Args:
        name: One of ``PRESETS``.
        num_frames: At least 1; the total motion is that of ReCamMaster's 81 frames, whatever their number.
        strength: Factor on the motion, angles and distances alike, at least 0; the pivot stays where it is.
        scale: Scene units per metre, over 0; the pivot scales along, so that rotations stay.

    Raises:
        InputError: For an unknown name or a number out of its range.
    """
    if name not in PRESETS:
        want = f"cam01 to cam10, or one of {', '.join(PRESETS)}"
        raise InputError(f"trajectory preset: got {name!r}, want {want}")
    if num_frames < 1:
        raise InputError(f"num_frames: got {num_frames}, want at least 1")
    if not 0.0 <= strength < math.inf:
        raise InputError(f"strength: got {strength}, want a finite number of at least 0")
    if not 0.0 < scale < math.inf:
        raise InputError(f"scale: got {scale}, want a finite number over 0")
    path = preset_at(name, torch.linspace(0.0, strength, num_frames, dtype=torch.float64))
    path = pose_from(path[:, :3, :3], path[:, :3, 3] * scale)
    return path.to(torch.float32)


def preset_at(
    name: str,
    done: Float[torch.Tensor, " t"],
) -> Float[torch.Tensor, "t 4 4"]:
    """Return ``world_from_cam`` of a preset, in metres, where so much of its whole motion is done.

    Args:
        name: "cam01" to "cam10", or one of ``PRESETS``.
        done: 0 = at the start, 1 = as ReCamMaster's last frame; the motion goes on beyond.
    """
    return _preset_path(PRESETS[BENCHMARK_CAMERAS.get(name, name)], FRACTION_DONE * done)


def _preset_path(
    motion: Motion,
    shares: Float[torch.Tensor, " t"],
) -> Float[torch.Tensor, "t 4 4"]:
    """Return the path, in metres, at these shares of the nominal motion."""
    progress = shares[:, None]
    position = progress * progress.new_tensor(motion.shift_m)
    if motion.pivot_m is not None:
        pivot = position.new_tensor([0.0, 0.0, motion.pivot_m])
        return look_at(position, pivot, up=(0.0, -1.0, 0.0))
    pitch = math.radians(motion.pitch_deg)
    yaw = math.radians(motion.yaw_deg)
    turn = progress.new_tensor([pitch, yaw, 0.0])
    return pose_from(rotation_from_axis_angle(progress * turn), position)


def _steps(
    path: Float[torch.Tensor, "t 4 4"],
) -> tuple[Float[torch.Tensor, "s 3"], Float[torch.Tensor, "s 3"]]:
    """Return the turn (axis times radians) and the shift from each camera to the next, in the axes of the first."""
    back = path[:-1, :3, :3].mT
    columns = [rotate(back, column) for column in path[1:, :3, :3].unbind(-1)]
    turns = axis_angle_from_rotation(torch.stack(columns, -1))
    shifts = path[1:, :3, 3] - path[:-1, :3, 3]
    return turns, rotate(back, shifts)


def _resampled(
    steps: Float[torch.Tensor, "s 3"],
    count: int,
) -> Float[torch.Tensor, "r 3"]:
    """Return ``count`` steps, linear between those of the file, the first and the last being its own."""
    place = torch.linspace(0.0, len(steps) - 1, count, dtype=steps.dtype)
    before = place.long().clamp(max=len(steps) - 2)
    return torch.lerp(steps[before], steps[before + 1], (place - before)[:, None])
