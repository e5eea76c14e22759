"""Camera paths that start at the identity: ReCamMaster's ten presets.

Frame 0 is the origin, OpenCV axes (x right, y down, z forward). Motion is uniform: the angle grows by the same amount
each frame in a pan or tilt, the position in all others, and a camera with a pivot keeps looking at it.

Source: KwaiVGI/ReCamMaster@39c0dc2 (MIT), ``camera_extrinsics.json``. The functional forms were worked out from the
file and agree with it to its rounding (six significant digits of a rotation, 0.01 cm of a position up to 34 m away).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float

from mvt4g.geometry.pose import look_at, pose_from, rotation_from_axis_angle
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


def preset_trajectory(
    name: str, num_frames: int, strength: float | int = 1.0, scale: float | int = 1.0
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
        raise InputError(f"trajectory preset: got {name!r}, want one of {', '.join(PRESETS)}")
    if num_frames < 1:
        raise InputError(f"num_frames: got {num_frames}, want at least 1")
    if not 0.0 <= strength < math.inf:
        raise InputError(f"strength: got {strength}, want a finite number of at least 0")
    if not 0.0 < scale < math.inf:
        raise InputError(f"scale: got {scale}, want a finite number over 0")
    motion = PRESETS[name]
    progress = torch.linspace(0.0, FRACTION_DONE * strength, num_frames, dtype=torch.float64)[:, None]
    position = progress * progress.new_tensor(motion.shift_m)
    if motion.pivot_m is not None:
        path = look_at(position, position.new_tensor([0.0, 0.0, motion.pivot_m]), up=(0.0, -1.0, 0.0))
    else:
        turn = progress.new_tensor([math.radians(motion.pitch_deg), math.radians(motion.yaw_deg), 0.0])
        path = pose_from(rotation_from_axis_angle(progress * turn), position)
    path = pose_from(path[:, :3, :3], path[:, :3, 3] * scale)
    return path.to(torch.float32)
