"""The cameras of a real clip: presets or files, brought to the frames that are kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.data.source_cameras import SourceCameras
from mvt4g.data.sources import FrameSource
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.formats.camera_motion import is_motion, read_motion
from mvt4g.formats.foreign.layouts import LAYOUTS
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, SHARES, TARGET_VIEW, Trajectory, read_views
from mvt4g.geometry.camera import intrinsics_from_fov, scale_intrinsics, zoom_intrinsics
from mvt4g.geometry.camera_motion import CameraMotion
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.path_resampling import CENTRES, RULES, resample_intrinsics, resample_path, resampling_places
from mvt4g.geometry.pose import compose, invert_pose, pose_from, relative_to
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS, SPEEDS, benchmark_trajectory
from mvt4g.ranges import FieldOfView, Positive, check_ranges
from mvt4g.types import Cameras, InputError

_NAMED = 5
"""Most frames that a message names."""


@dataclass(frozen=True)
class CameraAssumption:
    """What a real video does not say of its camera, how a preset moves, and how a path of another length is taken.

    Attributes:
        fov_deg: Horizontal field of view of the whole source frame, for both views, where no file gives intrinsics.
        strength: Factor on a preset's motion.
        scale: Scene units per metre of a preset, or of a motion file.
        speed: Of a preset: "total" does ReCamMaster's whole motion in any number of frames, "per_frame" its motion
            from one frame to the next, as ReDirector's evaluation does.
        resample: How a file's path of another number of poses becomes one for the frames kept: by "time" or by
            "arc_length" (``geometry.path_resampling``); null = it is refused. A reference's path goes by time always,
            since its video does.
        centres: Of a path that is resampled: "linear" or "spline"; rotations go by slerp.
        source: File of the source's own cameras, "{name}" standing for the video; its poses go by time. null = the
            source's camera is not known, and is taken to stand still.
        source_layout: What wrote that file: "json", "vipe", "depth_anything_3", "megasam", "colmap", "vista4d" or
            "cognvs".
        depth: File of the source's depth, "{name}" standing for the video, in the unit of the source's cameras; see
            ``data.source_depth``. null = none is known.
    """

    fov_deg: FieldOfView = 60.0
    strength: float = 1.0
    scale: Positive = 1.0
    speed: str = "total"
    resample: str | None = None
    centres: str = "linear"
    source: str | None = None
    source_layout: str = "json"
    depth: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range or unknown.
        """
        check_ranges(self, "camera")
        words = {"speed": SPEEDS, "resample": (*RULES, None), "centres": CENTRES, "source_layout": LAYOUTS}
        for name, known in words.items():
            if getattr(self, name) not in known:
                want = ", ".join("null" if word is None else word for word in known)
                raise InputError(f"camera.{name}: got {getattr(self, name)!r}, want one of {want}")


class KeptFrames(NamedTuple):
    """The frames of one video that a path is wanted for.

    Attributes:
        numbers: Of the source.
        times_s: When these are shown, seconds from the source's first frame.
        lengths: How many frames of the source, from its first on, a file may be about: all of it, or of a pair as many
            as both have.
        place: What messages call the source.
    """

    numbers: Sequence[int]
    times_s: Sequence[float]
    lengths: Sequence[int]
    place: Path

    @staticmethod
    def of(source: FrameSource, numbers: Sequence[int], other_lengths: Sequence[int] = ()) -> "KeptFrames":
        """Return the frames kept of a video.

        Args:
            source: The video.
            numbers: Of the frames.
            other_lengths: How many frames a file may be about beside all of the video.
        """
        times_s = [source.times_s[number] for number in numbers]
        return KeptFrames(numbers, times_s, (source.num_frames, *other_lengths), source.place)


@dataclass(frozen=True)
class CameraChoice:
    """Where the target is to be seen from.

    Attributes:
        text: As the user gave it.
        views: Paths of a trajectory file.
        motion: Of a motion file; with neither it is a preset.
    """

    text: str
    views: dict[str, Trajectory] | None = None
    motion: CameraMotion | None = None

    @staticmethod
    def parse(text: str) -> "CameraChoice":
        """Understand "cam01" to "cam10", a preset's name, a JSON path, or "camera_extrinsics.json:cam03".

        Raises:
            InputError: If it is none of these, or the file is bad.
        """
        if text in PRESETS or text in BENCHMARK_CAMERAS:
            return CameraChoice(text)
        target = TargetCamera.parse(text)
        if target.file is None:
            want = f"a .json file, cam01 to cam10, or one of {', '.join(PRESETS)}"
            raise InputError(f"trajectory: got {text!r}, want {want}")
        if target.camera is None and is_motion(target.file):
            return CameraChoice(text, motion=read_motion(target.file))
        return CameraChoice(text, read_views(target.file, target.camera))

    @property
    def relative_to(self) -> str:
        """What the target's poses are relative to, a key of ``RELATIONS``."""
        if self.motion is not None:
            return self.motion.relative_to
        # A file that has the reference's path too tells both in one world of its own.
        return "world" if self.views is not None and REFERENCE_VIEW in self.views else "source_start"

    def paths(
        self, kept: KeptFrames, camera: CameraAssumption, source: SourceCameras | None = None
    ) -> tuple[Trajectory, Trajectory]:
        """Return the paths of reference and target in one world, a pose for every frame kept.

        Args:
            kept: The frames.
            camera: What is not known, and how paths are resampled.
            source: The reference's own cameras; None = those of the trajectory file, or else it stands still.

        Raises:
            InputError: If a path is of another length and is not to be resampled, the reference's cameras are given
                twice, or a motion that needs them has none.
        """
        if source is None:
            reference = Trajectory(torch.eye(4).expand(len(kept.numbers), 4, 4))
        else:
            reference = fit_path(source.path, kept, for_a_video(camera), source.file)
            _check_registered(reference, kept, source.file)
        if self.motion is not None:
            return reference, self._play(self.motion, reference, kept, camera, source is not None)
        if self.views is None:
            preset = benchmark_trajectory(self.text, len(kept.numbers), camera.speed, camera.strength, camera.scale)
            return reference, _from_source_start(Trajectory(preset), reference)
        target = fit_path(self.views[TARGET_VIEW], kept, camera, self.text)
        if REFERENCE_VIEW not in self.views:
            return reference, _from_source_start(target, reference)
        if source is not None:
            raise InputError(f"camera.source: got {source.file}, but {self.text} has a reference too, want one")
        reference = fit_path(self.views[REFERENCE_VIEW], kept, for_a_video(camera), self.text)
        return reference, target

    def _play(
        self, motion: CameraMotion, source: Trajectory, kept: KeptFrames, camera: CameraAssumption, is_known: bool
    ) -> Trajectory:
        if motion.needs_source and not is_known:
            want = "want the source's cameras: --data.init_args.camera.source FILE"
            raise InputError(f"{self.text}: relative_to: got {motion.relative_to!r} without them, {want}")
        path, zoom = motion.play(source.world_from_cam, self._positions(kept, camera), camera.scale)
        if motion.relative_to == "source_frames" or source.intrinsics is None:
            lenses = source.intrinsics
        else:  # a camera of its own starts with the source's lens, and does not zoom with it
            lenses = source.intrinsics[:1].expand(len(path), 3, 3)
        return Trajectory(path, lenses, source.image_size, zoom=zoom)

    def _positions(self, kept: KeptFrames, camera: CameraAssumption) -> Float[Tensor, "t 3"] | None:
        """Return where a motion's subject is in every frame kept, if its file says so; fitted as a path is."""
        subject = None if self.motion is None else self.motion.subject
        if subject is None or subject.positions is None:
            return None
        still = torch.eye(3, dtype=torch.float64).expand(len(subject.positions), 3, 3)
        # As a path of poses that do not turn it is resampled by the rule of paths.
        track = Trajectory(pose_from(still, subject.positions), times_s=subject.times_s)
        fitted = fit_path(track, kept, for_a_video(camera), f"{self.text}: subject.track")
        return fitted.world_from_cam[:, :3, 3]

    def subject(self, kept: KeptFrames, camera: CameraAssumption, reference: Trajectory) -> Float[Tensor, "t 3"] | None:
        """Return where the subject of a motion is, in the world of ``paths``; None where there is none.

        Args:
            kept: The frames.
            camera: As in ``paths``.
            reference: Of ``paths``.

        Raises:
            InputError: As ``paths``.
        """
        if self.motion is None:
            return None
        return self.motion.subject_in_world(reference.world_from_cam, self._positions(kept, camera))

    def sentence(self, kept: KeptFrames, camera: CameraAssumption) -> str:
        """Say in words where the cameras are from."""
        assumed = f", the source frame taken to be {camera.fov_deg:g} degrees wide"
        if camera.source is not None:
            assumed = f", the source's cameras those of {camera.source}"
        scaled = f", {camera.scale:g} scene units a metre" if camera.scale != 1 else ""
        if self.motion is not None:
            return f"target cameras of {self.text}, {RELATIONS[self.motion.relative_to]}{scaled}{assumed}"
        if self.views is None:
            a_frame = " at its motion a frame" if camera.speed == "per_frame" else ""
            stretched = f", {camera.strength:g} times its motion" if camera.strength != 1 else ""
            return f"target cameras {self.text}{a_frame}{stretched}{scaled}{assumed}"
        fit = describe_fit(self.views[TARGET_VIEW], kept, camera)
        # Nothing is assumed where the file says all of both views.
        if camera.source is None and None not in [path.intrinsics for path in self.views.values()]:
            return f"cameras of {self.text}{fit}"
        return f"target cameras {self.text}{fit}{assumed}"


RELATIONS = {
    "source_start": "relative to the source's first camera",
    "source_frames": "relative to the source's camera of each frame",
    "world": "in the world of the source's cameras",
}
"""Words for what a motion is relative to."""


def _check_registered(path: Trajectory, kept: KeptFrames, file: str) -> None:
    """Refuse a path of which a frame kept has no pose."""
    missing = ~path.world_from_cam.isfinite().all(dim=-1).all(dim=-1)
    numbers = np.asarray(kept.numbers)[missing.numpy()].tolist()
    if numbers:
        first = ", ".join(map(str, numbers[:_NAMED]))
        more = " and more" if len(numbers) > _NAMED else ""
        want = "one of every frame kept"
        raise InputError(f"{file}: got no pose of frames {first}{more} of {kept.place}, want {want}")


def _from_source_start(target: Trajectory, source: Trajectory) -> Trajectory:
    """Return a path told from the source's first camera in the source's world; lenses it has none of are that one's."""
    start = source.world_from_cam[:1].double()
    world_from_cam = compose(start, target.world_from_cam.double()).float()
    if target.intrinsics is not None or source.intrinsics is None:
        return replace(target, world_from_cam=world_from_cam)
    lenses = source.intrinsics[:1].expand(len(world_from_cam), 3, 3)
    return replace(target, world_from_cam=world_from_cam, intrinsics=lenses, image_size=source.image_size)


def for_a_video(camera: CameraAssumption) -> CameraAssumption:
    """Return the assumption for a path that belongs to a video: it goes by time."""
    return replace(camera, resample="time") if camera.resample == "arc_length" else camera


def fit_path(path: Trajectory, kept: KeptFrames, camera: CameraAssumption, what: str) -> Trajectory:
    """Return a path with a pose for every frame kept.

    A path of one pose is a camera that stands still. A path that says when its poses were taken is taken at the times
    of the frames kept, between two poses if need be (rotations by slerp, centres by ``camera.centres``). Else a path
    with a pose for each frame kept is taken as it is, one with a pose for each frame of the source gives those of the
    frames kept; any other is resampled by ``camera.resample``.

    Args:
        path: Of one view.
        kept: The frames of its video.
        camera: Says how to resample.
        what: The file, for messages.

    Raises:
        InputError: If the path is of another length and ``camera.resample`` is null, or a frame is shown before or
            after all poses.
    """
    count = len(path.world_from_cam)
    wanted = len(kept.numbers)
    if count == 1:
        return pick_frames(path, [0] * wanted)
    if path.times_s is not None:
        return _at_places(path, _places_in_time(path.times_s, kept, what), camera.centres)
    if count == wanted:
        return path
    # A selection may repeat or leave out frames: then a pose for each frame of the source tells which is whose.
    if count in kept.lengths and max(kept.numbers) < count:
        return pick_frames(path, kept.numbers)
    if camera.resample is None:
        want = f"{wanted}, one per frame kept, or {kept.lengths[0]}, one per frame of {kept.place}"
        raise InputError(f"{what}: got {count} poses, want {want} (or --data.init_args.camera.resample time)")
    places = resampling_places(path.world_from_cam, wanted, camera.resample)
    return _at_places(path, places, camera.centres)


def _places_in_time(times_s: Sequence[float], kept: KeptFrames, what: str) -> Float[Tensor, " t"]:
    """Return the (fractional) pose number of every frame kept; a pose stands for half a step before and after it."""
    reach = 0.5 * (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    first = min(kept.times_s)
    last = max(kept.times_s)
    if first < times_s[0] - reach or last > times_s[-1] + reach:
        want = f"from {first:.3f} to {last:.3f} s as the frames kept of {kept.place}"
        raise InputError(f"{what}: times_s: got poses from {times_s[0]:.3f} to {times_s[-1]:.3f} s, want them {want}")
    return torch.from_numpy(np.interp(kept.times_s, times_s, np.arange(len(times_s))))


def _at_places(path: Trajectory, places: Float[Tensor, " t"], centres: str) -> Trajectory:
    return replace(
        path,
        world_from_cam=resample_path(path.world_from_cam, places, centres),
        intrinsics=None if path.intrinsics is None else resample_intrinsics(path.intrinsics, places),
        times_s=None,
    )


def describe_fit(path: Trajectory, kept: KeptFrames, camera: CameraAssumption) -> str:
    """Say in words what ``fit_path`` does; empty where it takes the path as it is."""
    count = len(path.world_from_cam)
    wanted = len(kept.numbers)
    if count == 1:
        return ", standing still"
    if path.times_s is not None:
        return f", {count} poses taken at the frames' times (rotations by slerp, centres {camera.centres})"
    if count == wanted or (count in kept.lengths and max(kept.numbers) < count):
        return ""
    rule = "arc length" if camera.resample == "arc_length" else "time"
    return f", {count} poses resampled to {wanted} by {rule} (rotations by slerp, centres {camera.centres})"


def pick_frames(path: Trajectory, frames: Sequence[int]) -> Trajectory:
    """Return the path at some of its frames."""
    picked = list(frames)
    return replace(
        path,
        world_from_cam=path.world_from_cam[picked],
        intrinsics=None if path.intrinsics is None else path.intrinsics[picked],
        times_s=None,
        zoom=None if path.zoom is None else path.zoom[picked],
    )


def framed_cameras(
    paths: Sequence[Trajectory], framings: Sequence[Framing], camera: CameraAssumption, what: str
) -> Cameras:
    """Return the cameras of reference and target in pixels of the framed videos, from the reference's first camera.

    Args:
        paths: Of both, a pose a frame.
        framings: Of both videos.
        camera: The field of view of a source without intrinsics.
        what: The file, for messages.

    Raises:
        InputError: If a file's K are for pictures of another size.
    """
    poses = []
    intrinsics = []
    for path, framing in zip(paths, framings, strict=True):
        poses.append(path.world_from_cam)
        intrinsics.append(framed_intrinsics(path, framing, camera.fov_deg, what))
    world_from_cam = torch.stack(poses)
    origin = paths[0].world_from_cam[0].expand(len(paths), 4, 4)
    return Cameras(invert_pose(relative_to(world_from_cam, origin)), torch.stack(intrinsics))


def framed_intrinsics(path: Trajectory, framing: Framing, fov_deg: float, what: str) -> Float[Tensor, "t 3 3"]:
    """Return K in pixels of the framed video: the file's, which may be for the source or for the framed size.

    Raises:
        InputError: If the file's K are for pictures of another size.
    """
    if path.intrinsics is None:
        assumed = framing.intrinsics(intrinsics_from_fov(math.radians(fov_deg), *framing.source))
        framed = assumed.expand(len(path.world_from_cam), 3, 3)
    elif path.image_size == SHARES:
        height, width = framing.source
        framed = framing.intrinsics(scale_intrinsics(path.intrinsics, width, height))
    elif path.image_size == framing.size:
        framed = path.intrinsics
    elif path.image_size == framing.source:
        framed = framing.intrinsics(path.intrinsics)
    else:
        want = f"{list(framing.source)}, the video's, or {list(framing.size)}, the model's"
        raise InputError(f"{what}: image_size: got {list(path.image_size or ())}, want {want}")
    return framed if path.zoom is None else zoom_intrinsics(framed, path.zoom)
