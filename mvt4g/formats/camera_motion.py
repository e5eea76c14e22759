"""Camera motions in JSON: moves by name, instead of a pose a frame (docs/cameras.md).

{"unit": "metres", "relative_to": "source_start", "subject": {"distance": 4},
 "moves": [{"kind": "orbit", "azimuth_deg": 30, "ease": "in_out"}, {"kind": "zoom", "factor": 1.5, "over": [0.5, 1]}]}
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.parsing.json_fields import (
    ANGLE_DEG,
    COORDINATE,
    POINT,
    REQUIRED,
    SHARE,
    FieldKind,
    ListField,
    NumberField,
    ObjectField,
    VariantField,
    WordField,
    increasing,
)
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.geometry.camera_motion import CameraMotion, Subject, TimedMove
from mvt4g.geometry.camera_moves import (
    EASES,
    SCALED_BY_SUBJECT,
    DollyZoom,
    Follow,
    KeyPoses,
    LookAt,
    Move,
    Orbit,
    Preset,
    Slide,
    Turning,
    Zoom,
)
from mvt4g.geometry.pose import check_poses, compose, look_at, pose_from, rotation_from_axis_angle
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS
from mvt4g.types import InputError

MOVES_KEY = "moves"
"""The field by which a motion is told from a trajectory with a pose a frame."""
VERSION = 1
MOST_MOVES = 1000
MOST_POSES = 10_000
MOST_POSITIONS = 1_000_000
WHOLE_CLIP = (0.0, 1.0)

_MATRIX = ListField(ListField(COORDINATE, 4, 4), 4, 4)
_POSE_FIELDS: dict[str, tuple[FieldKind, Any]] = {
    "position": (POINT, (0.0, 0.0, 0.0)),
    "pan_deg": (ANGLE_DEG, 0.0),
    "tilt_deg": (ANGLE_DEG, 0.0),
    "roll_deg": (ANGLE_DEG, 0.0),
    "look_at": (POINT, None),
    "matrix": (_MATRIX, None),
}
_TIMING: dict[str, tuple[FieldKind, Any]] = {
    "over": (ListField(SHARE, 2, 2), WHOLE_CLIP),
    "ease": (WordField(tuple(EASES)), "linear"),
    "about": (WordField(), ""),
}
_FACTOR = NumberField(0.01, 100.0)
_START = ObjectField(_POSE_FIELDS)
_KEY_POSE = ObjectField({"at": (SHARE, None), **_POSE_FIELDS})


def _move(fields: Mapping[str, tuple[FieldKind, Any]], title: str) -> ObjectField:
    return ObjectField({**fields, **_TIMING}, title=title)


_DISTANCE: dict[str, tuple[FieldKind, Any]] = {"distance": (COORDINATE, REQUIRED)}
_ANGLE: dict[str, tuple[FieldKind, Any]] = {"angle_deg": (ANGLE_DEG, REQUIRED)}
KINDS: dict[str, ObjectField] = {
    "truck": _move(_DISTANCE, "to the camera's right"),
    "crane": _move(_DISTANCE, "up"),
    "dolly": _move(_DISTANCE, "forward"),
    "pan": _move(_ANGLE, "turn to the right"),
    "tilt": _move(_ANGLE, "turn up"),
    "roll": _move(_ANGLE, "turn clockwise about the view"),
    "orbit": _move(
        {"azimuth_deg": (ANGLE_DEG, 0.0), "elevation_deg": (ANGLE_DEG, 0.0)}, "about the subject, to the right and up"
    ),
    "path": _move({"poses": (ListField(_KEY_POSE, 2, MOST_POSES), REQUIRED)}, "a spline through key poses"),
    "preset": _move({"name": (WordField((*BENCHMARK_CAMERAS, *PRESETS)), REQUIRED)}, "one of ReCamMaster's cameras"),
    "follow": _move({}, "go where the subject goes"),
    "look_at": _move({}, "turn to the subject"),
    "zoom": _move({"factor": (_FACTOR, REQUIRED)}, "a factor on the focal length"),
    "dolly_zoom": _move(_DISTANCE, "forward, the subject staying as large as it was"),
}
"""Every kind of move."""

_SUBJECT = ObjectField(
    {
        "distance": (NumberField(0.0, 1e6, above=True), None),
        "at": (POINT, None),
        "track": (ListField(POINT, 1, MOST_POSITIONS), None),
        "times_s": (ListField(COORDINATE, 1, MOST_POSITIONS), None),
    },
    one_of=("distance", "at", "track"),
)
FORM = ObjectField(
    {
        "version": (NumberField(VERSION, VERSION, whole=True), VERSION),
        "about": (WordField(), ""),
        MOVES_KEY: (ListField(VariantField(KINDS), 1, MOST_MOVES), REQUIRED),
        "relative_to": (WordField(("source_start", "source_frames", "world")), "source_start"),
        "unit": (WordField(("metres", "subject_distance")), "metres"),
        "frames": (NumberField(2, 1_000_000, whole=True), None),
        "up": (POINT, (0.0, -1.0, 0.0)),
        "start": (_START, None),
        "subject": (_SUBJECT, None),
    },
    title="A camera motion",
)
"""The whole form."""


def motion_schema() -> dict[str, Any]:
    """Return the JSON Schema of camera motions, for editors and other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **FORM.schema()}


def is_motion(path: Path) -> bool:
    """Say whether a JSON file holds a motion, and not a pose a frame.

    Raises:
        InputError: If the file is missing or no JSON object.
    """
    want = "a trajectory with world_from_cam, or a motion with moves"
    return MOVES_KEY in read_json_object(path, want, nan=True)


def read_motion(path: Path) -> CameraMotion:
    """Read a camera motion.

    Raises:
        InputError: As ``parse_motion``, or if the file is missing or no JSON.
    """
    return parse_motion(read_json_object(path, "a camera motion"), str(path))


def parse_motion(content: Any, where: str) -> CameraMotion:
    """Understand a camera motion.

    Args:
        content: As JSON holds it.
        where: The file, for messages.

    Raises:
        InputError: Naming the field that is missing, unknown, of another kind or out of its range; also where moves or
            units are about a subject and none is told.
    """
    form = FORM.read(where, content)
    up = form["up"]
    if not any(up):
        raise InputError(f"{where}: up: got {list(up)}, want a direction")
    by_subject = form["unit"] == "subject_distance"
    if by_subject and form["subject"] is None:
        raise InputError(f"{where}: subject: missing, want one where unit is 'subject_distance'")
    given = content[MOVES_KEY]
    moves = tuple(
        _timed(_Context(f"{where}: moves[{index}]", up, by_subject), fields, "over" in given[index])
        for index, fields in enumerate(form[MOVES_KEY])
    )
    start = _pose(f"{where}: start", form["start"] or _START.read(where, {}), up)
    subject = None if form["subject"] is None else _subject(f"{where}: subject", form["subject"])
    for timed in moves:
        if subject is None and isinstance(timed.move, _ABOUT_THE_SUBJECT):
            want = "subject.distance, subject.at or subject.track"
            raise InputError(f"{timed.place}: got no subject, want {want}")
    x, y, z = start[:3, 3].tolist()
    return CameraMotion(
        moves, form["relative_to"], form["unit"], form["frames"], up, (x, y, z), start[:3, :3], subject, where
    )


class _Context(NamedTuple):
    """What a move is told in: where in which file, what points up, and whether the unit is the subject's distance."""

    where: str
    up: tuple[float, float, float]
    by_subject: bool


def _timed(context: _Context, fields: Mapping[str, Any], says_when: bool) -> TimedMove:
    begin, end = increasing(f"{context.where}.over", fields["over"])
    # A camera keeps to its subject from the first frame on, unless it is told when it comes to do so.
    over = None if fields["kind"] in ("follow", "look_at") and not says_when else (begin, end)
    return TimedMove(_BUILDERS[fields["kind"]](fields, context), over, fields["ease"], context.where)


def _preset(fields: Mapping[str, Any], context: _Context) -> Move:
    return Preset(fields["name"], SCALED_BY_SUBJECT if context.by_subject else 1.0)


def _key_poses(fields: Mapping[str, Any], context: _Context) -> Move:
    poses = fields["poses"]
    where = f"{context.where}.poses"
    told = [pose["at"] for pose in poses]
    if any(at is None for at in told) and any(at is not None for at in told):
        raise InputError(f"{where}: got 'at' in some of them, want it in all or in none")
    knots = torch.linspace(0.0, 1.0, len(poses), dtype=torch.float64)
    if told[0] is not None:
        if told[0] != 0 or told[-1] != 1:
            raise InputError(f"{where}: got 'at' from {told[0]:g} to {told[-1]:g}, want it from 0 to 1")
        knots = torch.tensor(increasing(f"{where}: at", told), dtype=torch.float64)
    matrices = [_pose(f"{where}[{index}]", pose, context.up) for index, pose in enumerate(poses)]
    return KeyPoses(torch.stack(matrices), knots)


_BUILDERS: dict[str, Callable[[Mapping[str, Any], _Context], Move]] = {
    "truck": lambda fields, _: Slide("right", fields["distance"]),
    "crane": lambda fields, _: Slide("up", fields["distance"]),
    "dolly": lambda fields, _: Slide("forward", fields["distance"]),
    "pan": lambda fields, _: Turning("pan", fields["angle_deg"]),
    "tilt": lambda fields, _: Turning("tilt", fields["angle_deg"]),
    "roll": lambda fields, _: Turning("roll", fields["angle_deg"]),
    "orbit": lambda fields, _: Orbit(fields["azimuth_deg"], fields["elevation_deg"]),
    "path": _key_poses,
    "preset": _preset,
    "follow": lambda fields, _: Follow(),
    "look_at": lambda fields, _: LookAt(),
    "zoom": lambda fields, _: Zoom(fields["factor"]),
    "dolly_zoom": lambda fields, _: DollyZoom(fields["distance"]),
}
_ABOUT_THE_SUBJECT = (Orbit, Follow, LookAt, DollyZoom)


def _pose(where: str, fields: Mapping[str, Any], up: tuple[float, float, float]) -> Float[Tensor, "4 4"]:
    """Return a pose, its position in units.

    The camera looks along z, or at a point; then it pans about ``up``, tilts about its own x axis and rolls about its
    view.
    """
    if fields["matrix"] is not None:
        others = []
        for name, (_, default) in _POSE_FIELDS.items():
            if name != "matrix" and fields[name] != default:
                others.append(name)
        if others:
            raise InputError(f"{where}: got matrix and {', '.join(others)}, want a matrix alone")
        matrix = torch.tensor(fields["matrix"], dtype=torch.float64)
        check_poses(matrix, f"{where}.matrix")
        return matrix
    position = torch.tensor(fields["position"], dtype=torch.float64)
    upwards = torch.tensor(up, dtype=torch.float64)
    zero = torch.zeros(3, dtype=torch.float64)
    aimed = torch.eye(4, dtype=torch.float64)
    if fields["look_at"] is not None:
        if fields["look_at"] == fields["position"]:
            raise InputError(f"{where}.look_at: got the camera's own position, want another point")
        aimed = look_at(zero, upwards.new_tensor(fields["look_at"]) - position, up)
    pan = math.radians(fields["pan_deg"])
    tilt = math.radians(fields["tilt_deg"])
    roll = math.radians(fields["roll_deg"])
    zero = torch.zeros(3, dtype=torch.float64)
    # A pan to the right turns against the right-handed angle about an axis that points up.
    panned = pose_from(rotation_from_axis_angle(-pan * upwards / upwards.norm()), zero)
    tilted = pose_from(rotation_from_axis_angle(upwards.new_tensor([tilt, 0.0, 0.0])), zero)
    rolled = pose_from(rotation_from_axis_angle(upwards.new_tensor([0.0, 0.0, roll])), zero)
    turned = compose(compose(compose(panned, aimed), tilted), rolled)
    return pose_from(turned[:3, :3], position)


def _subject(where: str, fields: Mapping[str, Any]) -> Subject:
    track = fields["track"]
    times = fields["times_s"]
    if times is not None:
        if track is None or len(times) != len(track):
            got = f"{len(times)} times of {0 if track is None else len(track)} positions"
            raise InputError(f"{where}.times_s: got {got}, want one a position of the track")
        increasing(f"{where}.times_s", times)
    if fields["distance"] is not None:
        return Subject(fields["distance"])
    positions = [fields["at"]] if track is None else track
    return Subject(None, torch.tensor(positions, dtype=torch.float64), times)
