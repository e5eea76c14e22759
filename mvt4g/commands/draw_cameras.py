"""``mvt4g draw-cameras``: what a trajectory means, as a picture."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from mvt4g.data.camera_paths import CameraAssumption, CameraChoice, KeptFrames, framed_cameras
from mvt4g.data.source_cameras import SourceCameras, read_source_cameras
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.formats.atomic import appearing
from mvt4g.formats.trajectory_json import SHARES, Trajectory
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.pose import compose, invert_pose, rotation_angle, transform_points
from mvt4g.ranges import Frames
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError
from mvt4g.viz.camera_paths import CameraScene, draw_camera_paths
from mvt4g.viz.charts import chart_bytes

DEFAULT_FRAMES = 81
DEFAULT_SIZE = (480, 832)
DEFAULT_FPS = 24.0


def draw_cameras(
    file: str, out: Path | None = None, frames: Frames | None = None, camera: CameraAssumption = CameraAssumption()
) -> int:
    """Draw cameras from above and from the side: the path, some frusta, start, end, source and subject.

    Args:
        file: As the option trajectory: a motion or trajectory (.json), "camera_extrinsics.json:cam03", or a preset.
        out: The picture (.png); null = here, by the file's or the preset's name.
        frames: How many; null = the file's own number, or 81.
        camera: As the option of predict; its source is a file.

    Returns:
        The exit code 0.

    Raises:
        InputError: If the file is bad, or the place cannot be written to.
    """
    out = out or Path(f"{TargetCamera.parse(file).name}.png")
    if out.suffix.lower() != ".png":
        raise InputError(f"--out: got {out}, want a .png")
    choice = CameraChoice.parse(file)
    own = None if camera.source is None else read_source_cameras(Path(camera.source), camera.source_layout)
    camera = replace(camera, resample=camera.resample or "time")  # a picture may have any number of frames
    kept = _choose_frames(choice, own, frames)
    paths = choice.paths(kept, camera, own)
    size = _image_size(paths)
    whole = Framing(size, size, Window(0, 0, *size), size)
    cameras = framed_cameras(paths, (whole, whole), camera, file)
    subject = choice.subject(kept, camera, paths[0])
    if subject is not None:
        # The world of the framed cameras is the reference's first camera.
        subject = transform_points(invert_pose(paths[0].world_from_cam[0].double()), subject.double())
    # A reference that does not move is the origin of the picture, and needs no path.
    is_still = bool((cameras.cam_from_world[REFERENCE] - torch.eye(4)).abs().max() < 1e-6)
    reference = None if is_still else cameras[REFERENCE]
    summary = _summary(cameras[TARGET], size[1])
    scene = CameraScene(cameras[TARGET], size, reference, subject)
    picture = draw_camera_paths(scene, f"{file}: {summary}")
    with appearing(out) as temporary:
        temporary.write_bytes(chart_bytes(picture, "png"))
    notes = () if own is None else own.notes
    for line in (*notes, summary, f"wrote {out}"):
        sys.stdout.write(f"{line}\n")
    return 0


def _choose_frames(choice: CameraChoice, own: SourceCameras | None, frames: int | None) -> KeptFrames:
    """Return the frames to draw: of a file with times those in its span, else at 24 a second."""
    paths = list((choice.views or {}).values())
    if own is not None:
        paths.append(own.path)
    times = [path.times_s for path in paths]
    if choice.motion is not None:
        frames = frames or choice.motion.frames
        if choice.motion.subject is not None:
            times.append(choice.motion.subject.times_s)
    if frames is None:
        # A path of one pose is a camera that stands still for any number of frames.
        longest = max((len(path.world_from_cam) for path in paths), default=1)
        frames = longest if longest > 1 else DEFAULT_FRAMES
    first = 0.0
    last = (frames - 1) / DEFAULT_FPS
    spans = [span for span in times if span is not None]
    if spans:
        # Where several paths have times, all of them have poses from the latest start to the earliest end.
        first = max(span[0] for span in spans)
        last = min(span[-1] for span in spans)
    seconds = torch.linspace(first, last, frames).tolist()
    return KeptFrames(range(frames), seconds, (frames,), Path(choice.text))


def _image_size(paths: Sequence[Trajectory]) -> tuple[int, int]:
    """Return the (height, width) that intrinsics are told for: the target's, else the source's, else the usual one."""
    for path in reversed(paths):
        if path.image_size is not None and path.image_size != SHARES:
            return path.image_size
    return DEFAULT_SIZE


def _summary(cameras: Cameras, width: int) -> str:
    """Say in words how far the camera goes and turns, and how wide it sees."""
    world_from_cam = invert_pose(cameras.cam_from_world)
    steps = world_from_cam[1:, :3, 3] - world_from_cam[:-1, :3, 3]
    turns = compose(cameras.cam_from_world[:1], world_from_cam)[:, :3, :3]
    fov = torch.rad2deg(2 * torch.atan(0.5 * width / cameras.intrinsics[:, 0, 0]))
    narrow = float(fov.min())
    wide = float(fov.max())
    width_deg = f"{wide:.1f}" if math.isclose(narrow, wide, rel_tol=1e-4) else f"{narrow:.1f} to {wide:.1f}"
    way = float(torch.linalg.vector_norm(steps, dim=-1).sum())
    turn = math.degrees(float(rotation_angle(turns).max()))
    parts = (
        f"{len(world_from_cam)} frames",
        f"way {way:.3g} scene units",
        f"turn up to {turn:.1f} degrees",
        f"{width_deg} degrees wide",
    )
    return "; ".join(parts)
