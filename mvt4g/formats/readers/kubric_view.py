"""One view of a Kubric scene: a folder of pictures, depth and segmentation, and the metadata that belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.formats.images import read_images
from mvt4g.formats.readers.fields import array, field, whole_size
from mvt4g.formats.readers.folders import numbered_files, same_count
from mvt4g.formats.readers.kubric_files import (
    kubric_cameras,
    moving_instances,
    read_distances,
    read_segmentations,
    z_from_distance,
)
from mvt4g.formats.readers.track_fields import stacked, stacked_if_all
from mvt4g.types import Cameras, InputError


@dataclass(frozen=True)
class KubricView:
    """What one view shows, of the frames asked for.

    Attributes:
        video: In [0, 1].
        cameras: One a frame.
        depth: z-depth, 0 = none; None without depth files.
        segmentation: 0 = background, k = the k-th of the metadata's instances; None without segmentation files.
        dynamic: True on instances that move in the whole clip; None where segmentation or their boxes are unknown.
        fps: Frames a second, where the metadata tells.
    """

    video: Float[Tensor, "t 3 h w"]
    cameras: Cameras
    depth: Float[Tensor, "t h w"] | None
    segmentation: Int[Tensor, "t h w"] | None
    dynamic: Bool[Tensor, "t h w"] | None
    fps: float | None


def stack_views(what: Path, views: Sequence[KubricView]) -> dict[str, Any]:
    """Return video, cameras, depth, dynamic and fps of a clip from what its views show.

    Args:
        what: The clip, for messages.
        views: At least one.

    Raises:
        InputError: If they differ in shape.
    """
    return {
        "video": stacked(what, "rgba", [view.video for view in views]),
        "cameras": Cameras(
            torch.stack([view.cameras.cam_from_world for view in views]),
            torch.stack([view.cameras.intrinsics for view in views]),
        ),
        "depth": stacked_if_all(what, "depth", [view.depth for view in views]),
        "dynamic": stacked_if_all(what, "segmentation", [view.dynamic for view in views]),
        "fps": views[0].fps,
    }


def count_frames(folder: Path) -> int:
    """Return the number of pictures of a view.

    Raises:
        InputError: If there is none, or a number is missing.
    """
    pictures = numbered_files(folder, "rgba_", ".png")
    if not pictures:
        raise InputError(f"{folder}: got no rgba_*.png, want one a frame")
    return len(pictures)


def read_view(
    folder: Path, metadata_path: Path, metadata: Mapping[str, Any], frames: Sequence[int], num_frames: int
) -> KubricView:
    """Read the chosen frames of a view.

    Args:
        folder: Holds ``rgba_%05d.png`` and perhaps ``depth_%05d.tiff`` and ``segmentation_%05d.png``.
        metadata_path: Where ``metadata`` was read, for messages.
        metadata: Kubric's: "camera", "instances", and "metadata" (in Kubric-4D "scene").
        frames: Numbers of frames, from 0.
        num_frames: Frames the view must have.

    Raises:
        InputError: Naming file and field of what is missing, broken or contradicts the rest.
    """
    video = read_images(_files(folder, "rgba_", ".png", frames, num_frames))
    image_size = (video.shape[-2], video.shape[-1])
    # Kubric-4D calls Kubric's "metadata" "scene".
    part = "scene" if "scene" in metadata else "metadata"
    general = field(str(metadata_path), metadata, part)
    if not isinstance(general, Mapping):
        raise InputError(f"{metadata_path}: {part}: got a {type(general).__name__}, want named fields")
    if "resolution" in general:
        what = f"{metadata_path}: resolution"
        if whole_size(what, general["resolution"]) != image_size:
            pictures = list(reversed(image_size))
            got = f"{list(general['resolution'])}, but pictures of {pictures} in {folder.name}"
            raise InputError(f"{what}: got {got}, want the same")
    camera = field(str(metadata_path), metadata, "camera")
    every = kubric_cameras(f"{metadata_path}: camera", camera, num_frames, image_size)
    cameras = every[list(frames)]
    depth = segmentation = dynamic = None
    if paths := _files(folder, "depth_", ".tiff", frames, num_frames, optional=True):
        depth = z_from_distance(read_distances(paths, image_size), cameras.intrinsics)
    if paths := _files(folder, "segmentation_", ".png", frames, num_frames, optional=True):
        segmentation = read_segmentations(paths, image_size)
        dynamic = _dynamic(metadata_path, metadata, segmentation, num_frames)
    return KubricView(video, cameras, depth, segmentation, dynamic, _frame_rate(metadata_path, metadata))


def _dynamic(
    metadata_path: Path, metadata: Mapping[str, Any], segmentation: Int[Tensor, "t h w"], num_frames: int
) -> Bool[Tensor, "t h w"] | None:
    instances = metadata.get("instances")
    if instances is None:
        return None
    moving = moving_instances(f"{metadata_path}: instances", instances, num_frames)
    if moving is None:
        return None
    if int(segmentation.max()) > len(moving):
        got = f"{len(moving)} entries, but id {int(segmentation.max())} in the segmentation beside it"
        raise InputError(f"{metadata_path}: instances: got {got}, want an entry for every id")
    # Id 0 is the background, which does not move.
    by_id = torch.cat([torch.tensor([False]), torch.from_numpy(moving)])
    return by_id[segmentation]


def _files(
    folder: Path, stem: str, suffix: str, frames: Sequence[int], num_frames: int, optional: bool = False
) -> list[Path]:
    """Return the chosen ones of a view's files; none at all is right where they are optional."""
    files = numbered_files(folder, stem, suffix)
    if optional and not files:
        return []
    same_count(folder, stem, files, num_frames)
    return [files[frame] for frame in frames]


def _frame_rate(metadata_path: Path, metadata: Mapping[str, Any]) -> float | None:
    for part in ("metadata", "scene", "flags"):
        content = metadata.get(part)
        rate = content.get("frame_rate") if isinstance(content, Mapping) else None
        if rate is not None:
            what = f"{metadata_path}: {part}.frame_rate"
            number = float(array(what, rate, "", {}))
            if not 0 < number < float("inf"):
                raise InputError(f"{what}: got {number}, want a rate over 0")
            return number
    return None
