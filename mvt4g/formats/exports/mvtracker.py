"""MVTracker's ``kubric-multiview`` scene: Kubric's pictures, distances and cameras of every view, tracks of all points.

Kubric's cameras look along -z with y up and stand in the world by (position, quaternion wxyz); its K is for a picture
of size 1 x 1 and for these axes, hence the minus signs. A camera may move, its K may not; depth is read back with a
centred principal point and square pixels, so other cameras are refused. What the layout has no place for is left out:
captions, padding points, the frame rate's fraction below 1e-6.

Source: ethz-vlg/mvtracker, ``datasets/kubric_multiview_dataset.py`` (the layout; no code was copied).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor

from mvt4g.formats.atomic import appearing_folder
from mvt4g.formats.clip_folder import ClipExtras
from mvt4g.formats.npz import write_arrays
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import invert_pose, quaternion_from_rotation
from mvt4g.types import Cameras, InputError, MultiViewClip

BACKGROUND = "dome"
NO_HIT = 1e10
"""Distance that Blender writes where a ray meets nothing."""
MAX_INSTANCES = 254
"""Segmentations are palette pictures, in which 255 is no instance."""
SENSOR_WIDTH_MM = 32.0
_NEEDED = ("tracks", "visible", "points_world", "point_instance", "depth", "instances", "fps")
_FLIP = (1.0, -1.0, -1.0)


def write_mvtracker_scene(
    path: Path, clip: MultiViewClip, extras: ClipExtras = ClipExtras(), made_by: Mapping[str, Any] | None = None
) -> None:
    """Write one clip as a scene folder; it appears whole or not at all, equal clips give equal bytes.

    Args:
        path: ``<root>/{train,validation,test}/<number>``; must not be there yet.
        clip: Every field but caption and dynamic is needed.
        extras: Poses and collisions, where known, go into the metadata.
        made_by: What JSON can hold, kept under "flags" of every view's metadata, where Kubric keeps its own.

    Raises:
        InputError: If a field is missing, the layout cannot say these cameras, or the place cannot be written to.
    """
    for name in _NEEDED:
        if getattr(clip, name) is None:
            want = "it: MVTracker's layout has no scene without"
            raise InputError(f"{path}: {name}: got none to write, want {want}")
    assert clip.tracks is not None
    assert clip.points_world is not None
    assert clip.point_instance is not None
    assert clip.instances is not None
    check_cameras(path, clip.cameras, (clip.video.shape[-2], clip.video.shape[-1]))
    count = max(int(clip.instances.max()), int(clip.point_instance.max()))
    # The extras know instances that are never in a picture too.
    if extras.world_from_object is not None:
        count = max(count, extras.world_from_object.shape[1])
    if count > MAX_INSTANCES:
        raise InputError(f"{path}: instances: got {count}, want at most {MAX_INSTANCES}")
    keep = clip.point_valid
    if keep is None:
        keep = torch.ones(clip.tracks.shape[-2], dtype=torch.bool)
    names = [BACKGROUND, *(f"object_{number}" for number in range(1, count + 1))]
    with appearing_folder(path) as scene:
        write_arrays(scene / "tracks_3d.npz", {"tracks_3d": clip.points_world[:, keep].double().numpy()})
        ids = clip.point_instance[keep].numpy().astype(np.int32)
        write_arrays(scene / "tracks_segmentation_ids.npz", {"tracks_segmentation_ids": ids})
        _write_json(scene / "tracked_objects.json", {"names": names, "ids": list(range(count + 1))})
        write_arrays(scene / "cameras.npz", _standpoints(clip.cameras))
        for view in range(len(clip.video)):
            folder = scene / f"view_{view}"
            folder.mkdir()
            _write_frames(folder, clip, view)
            _write_tracks(folder, clip, view, keep)
            _write_json(folder / "metadata.json", _metadata(clip, extras, view, count, made_by or {}))
            # Here an instance has one id in all views.
            ids_of_view = dict(zip(names, range(count + 1), strict=True))
            _write_json(folder / "object_id_to_segmentation_id.json", ids_of_view)
            _write_json(folder / "data_ranges.json", _data_ranges(clip, view))
            _write_json(folder / "events.json", {"collisions": _collisions(extras, names)})


def file_of(field: str, view: int | None = None) -> str:
    """Return the file of a scene that holds a clip's field, of one view where every view has its own."""
    own = {
        "video": "rgba_*.png",
        "cameras": "metadata.json",
        "tracks": "tracks_2d.npz",
        "visible": "tracks_2d.npz",
        "depth": "depth_*.tiff",
        "instances": "segmentation_*.png",
        "dynamic": "metadata.json",
    }
    whole = {"points_world": "tracks_3d.npz", "point_instance": "tracks_segmentation_ids.npz"}
    return f"view_{view or 0}/{own[field]}" if field in own else whole.get(field, "metadata.json")


def check_cameras(path: Path, cameras: Cameras, image_size: tuple[int, int], tolerance: float = 1e-4) -> None:
    """Refuse intrinsics that Kubric's one focal length a view cannot say.

    Raises:
        InputError: If K changes over time, is skewed, has other than square pixels, or its principal point is not the
            centre of the picture (all in shares of the width).
    """
    height, width = image_size
    k = cameras.intrinsics
    centre = k.new_tensor([width / 2, height / 2])
    faults = {
        "K changes over time": (k - k[:, :1]).abs().amax(),
        "skew": k[..., 0, 1].abs().amax(),
        "pixels are not square": (k[..., 0, 0] - k[..., 1, 1]).abs().amax(),
        "principal point off the centre": (k[..., :2, 2] - centre).abs().amax(),
    }
    for fault, size in faults.items():
        if not float(size) <= tolerance * width:
            want = "a pinhole that Kubric can say"
            raise InputError(f"{path}: cameras: got {fault} by {float(size):g} px, want {want}")


def distance_from_z(depth: Float[Tensor, "t h w"], intrinsics: Float[Tensor, "3 3"]) -> Float[Tensor, "t h w"]:
    """Return the distance of what each pixel centre sees from the camera centre, NO_HIT where it sees nothing."""
    centres = pixel_centres(depth.shape[-2], depth.shape[-1]).double()
    k = intrinsics.double()
    tangents = (centres - k[:2, 2]) / torch.stack([k[0, 0], k[1, 1]])
    # The length of a ray (x, y, 1), z times; see ``readers.kubric_files.z_from_distance``.
    distance = depth.double() * (1 + tangents.square().sum(dim=-1)).sqrt()
    return torch.where(depth.isfinite() & (depth > 0), distance, NO_HIT).float()


def _write_frames(folder: Path, clip: MultiViewClip, view: int) -> None:
    assert clip.depth is not None
    assert clip.instances is not None
    levels = (clip.video[view].clamp(0, 1) * 255).round().to(torch.uint8)
    colour = rearrange(levels, "t c h w -> t h w c").numpy()
    distance = distance_from_z(clip.depth[view], clip.cameras.intrinsics[view, 0]).numpy()
    ids = clip.instances[view].numpy().astype(np.uint8)
    for frame in range(len(colour)):
        # Kubric's pictures have an alpha channel.
        opaque = np.dstack([colour[frame], np.full(colour.shape[1:3], 255, np.uint8)])
        Image.fromarray(opaque).save(folder / f"rgba_{frame:05d}.png")
        Image.fromarray(distance[frame]).save(folder / f"depth_{frame:05d}.tiff")
        mask = Image.fromarray(ids[frame]).convert("P")
        mask.putpalette(_PALETTE)
        mask.save(folder / f"segmentation_{frame:05d}.png")


def _write_tracks(folder: Path, clip: MultiViewClip, view: int, keep: Bool[Tensor, " n"]) -> None:
    assert clip.tracks is not None
    assert clip.visible is not None
    arrays = {
        "tracks_2d": clip.tracks[view][:, keep].double().numpy(),
        "occlusion": ~clip.visible[view][:, keep].numpy(),
    }
    write_arrays(folder / "tracks_2d.npz", arrays)


def _standpoints(cameras: Cameras) -> dict[str, Float[np.ndarray, "v 3"]]:
    """Return where each camera stands in frame 0, and the point of its axis nearest the world's origin."""
    world_from_cam = invert_pose(cameras.cam_from_world[:, 0].double())
    position = world_from_cam[:, :3, 3]
    forward = world_from_cam[:, :3, 2]
    # At least a unit ahead: a camera that looks away from the origin has its nearest point behind it.
    ahead = (-(position * forward).sum(dim=-1, keepdim=True)).clamp(min=1.0)
    looked_at = position + ahead * forward
    return {"camera_positions": position.numpy(), "lookat_positions": looked_at.numpy()}


def _metadata(
    clip: MultiViewClip, extras: ClipExtras, view: int, count: int, made_by: Mapping[str, Any]
) -> dict[str, Any]:
    frames, _, height, width = clip.video[view].shape
    camera = clip.cameras[view]
    intrinsics = camera.intrinsics[0].double()
    world_from_blender = invert_pose(camera.cam_from_world.double()) * torch.tensor([*_FLIP, 1.0])
    wxyz = quaternion_from_rotation(world_from_blender[:, :3, :3])
    size = torch.tensor([[width], [height], [1.0]], dtype=torch.float64)
    focal = float(intrinsics[0, 0])
    return {
        "flags": dict(made_by),
        "metadata": {
            "resolution": [width, height],
            "frame_rate": clip.fps,
            "num_frames": frames,
            "num_instances": count,
            "name": clip.name,
        },
        "camera": {
            "focal_length": focal / width * SENSOR_WIDTH_MM,
            "sensor_width": SENSOR_WIDTH_MM,
            "field_of_view": 2 * float(np.arctan2(0.5 * width, focal)),
            "positions": world_from_blender[:, :3, 3].tolist(),
            "quaternions": wxyz.tolist(),
            "K": (intrinsics / size * torch.tensor(_FLIP)).tolist(),
            "R": world_from_blender[0].tolist(),
        },
        "instances": [_instance(clip, extras, view, number) for number in range(1, count + 1)],
    }


def _instance(clip: MultiViewClip, extras: ClipExtras, view: int, number: int) -> dict[str, Any]:
    assert clip.instances is not None
    entry: dict[str, Any] = {
        "asset_id": f"object_{number}",
        "visibility": (clip.instances[view] == number).sum(dim=(-2, -1)).tolist(),
    }
    poses = extras.world_from_object
    if clip.dynamic is not None:
        entry["is_dynamic"] = bool(clip.dynamic[clip.instances == number].any())
    if poses is not None and number <= poses.shape[1]:
        own = poses[:, number - 1].double()
        entry["positions"] = own[:, :3, 3].tolist()
        entry["quaternions"] = quaternion_from_rotation(own[:, :3, :3]).tolist()
    return entry


def _data_ranges(clip: MultiViewClip, view: int) -> dict[str, dict[str, float]]:
    assert clip.depth is not None
    distance = distance_from_z(clip.depth[view], clip.cameras.intrinsics[view, 0])
    return {"depth": {"min": float(distance.min()), "max": float(distance.max())}}


def _collisions(extras: ClipExtras, names: list[str]) -> list[dict[str, Any]]:
    rows: Int[Tensor, "k 3"] | list[Any] = [] if extras.collisions is None else extras.collisions.tolist()
    return [{"frame": frame, "instances": [names[one], names[other]]} for frame, one, other in rows]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _palette() -> list[int]:
    """Return 256 colours that neighbours in number do not share: black, then hues a golden angle apart."""
    hues = (np.arange(255) * 0.618034) % 1.0
    ramps = np.clip(np.abs((hues[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return [0, 0, 0, *np.round(ramps * 255).astype(int).ravel().tolist()]


_PALETTE = _palette()
