"""MultiCamVideo: synchronised videos of one rendered scene by ten moving cameras; no tracks, no depth.

    <root>/train/f24_aperture5/scene1/videos/cam01.mp4 ...
                                      cameras/camera_extrinsics.json

The focal length in mm is in a folder's name (``f24_``), the sensor is a square of 23.76 mm. Where no folder says it
(``val/10basic_trajectories``), K is NaN.

Source: KwaiVGI/MultiCamVideo-Dataset, its README (folders, focal lengths, sensor).
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.frame_numbers import natural_key
from mvt4g.formats.readers.focal_folders import focal_in_widths
from mvt4g.formats.readers.folders import find_folders, holds_folder
from mvt4g.formats.readers.selection import EVERYTHING, Selection
from mvt4g.formats.readers.track_fields import stacked
from mvt4g.formats.trajectory_json import read_recammaster_world
from mvt4g.formats.video import probe_video, read_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras, InputError, MultiViewClip


def is_there(path: Path) -> bool:
    """Say whether a scene is at or below a path."""
    return holds_folder(path, _is_scene)


def list_clips(root: Path) -> list[Path]:
    """List the scene folders.

    Raises:
        InputError: If there is none.
    """
    return find_folders(root, _is_scene, "MultiCamVideo scenes: videos/cam01.mp4 and cameras/camera_extrinsics.json")


def count(scene: Path) -> tuple[int, int]:
    """Return how many views and frames a scene has."""
    videos = _videos(scene)
    return len(videos), probe_video(videos[0]).num_frames


def read(scene: Path, selection: Selection = EVERYTHING) -> MultiViewClip:
    """Read one scene; only the views asked for are decoded, up to the last frame asked for.

    Raises:
        InputError: Naming file and field, if one is missing, broken, or videos and cameras do not fit each other.
    """
    videos = _videos(scene)
    path = scene / "cameras" / "camera_extrinsics.json"
    poses = read_recammaster_world(path)
    num_frames = len(next(iter(poses.values())))
    chosen, frames = selection.of(scene, len(videos), num_frames)
    pictures = []
    world_from_cam = []
    for view in chosen:
        file = videos[view]
        found = probe_video(file).num_frames
        if file.stem not in poses or found != num_frames:
            got = f"{found} frames" if file.stem in poses else f"no camera {file.stem}"
            want = f"a camera with {num_frames} frames of {path.name}"
            raise InputError(f"{file}: got {got}, want {want}")
        pictures.append(read_video(file, frames=frames)[0])
        world_from_cam.append(poses[file.stem][frames])
    video = stacked(scene, "videos", pictures)
    cam_from_world = invert_pose(torch.stack(world_from_cam))
    intrinsics = _intrinsics(scene, (video.shape[-2], video.shape[-1]))
    return MultiViewClip(
        video=video,
        cameras=Cameras(cam_from_world, intrinsics.expand(*video.shape[:2], 3, 3).clone()),
        name=scene.name,
        fps=probe_video(videos[chosen[0]]).fps,
    )


def _is_scene(folder: Path) -> bool:
    return (folder / "cameras" / "camera_extrinsics.json").is_file() and (folder / "videos").is_dir()


def _videos(scene: Path) -> list[Path]:
    videos = sorted((scene / "videos").glob("*.mp4"), key=lambda path: natural_key(path.name))
    if not videos:
        raise InputError(f"{scene / 'videos'}: got no .mp4, want cam01.mp4 and more")
    return videos


def _intrinsics(scene: Path, image_size: tuple[int, int]) -> Float[Tensor, "3 3"]:
    in_widths = focal_in_widths(scene)
    if in_widths is None:
        return torch.full((3, 3), torch.nan)
    height, width = image_size
    if height != width:
        want = "square ones as the sensor is"
        raise InputError(f"{scene / 'videos'}: got videos of {width}x{height}, want {want}")
    focal = in_widths * width
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
