"""Files that all of Kubric's children have: Blender's cameras, distances and palettes.

Blender's camera looks along -z with y up; its pose is (position, quaternion wxyz), world from camera. Kubric's K is
for a picture of size 1 x 1 and for these axes, hence its minus signs: [[f/s, 0, -1/2], [0, -f/s', -1/2], [0, 0, -1]]
with focal length f and sensor sides s, s'. Depth files hold the distance to the camera centre.

Source: google-research/kubric (Apache-2.0), ``kubric/core/cameras.py``, ``kubric/file_io.py``, ``kubric/utils.py``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.images import load_image, read_mask
from mvt4g.formats.readers.fields import array, field, finite
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_quaternion
from mvt4g.types import Cameras, InputError

NO_HIT = 1000.0
"""z-depth beyond which a ray has met nothing (Blender says 1e10 there); Kubric's scenes are tens of units wide."""
DYNAMIC_SHARE = 0.01
"""An instance is dynamic when a corner of its box moves farther than this share of the box's longest side."""
_FLIP = (1.0, -1.0, -1.0)
_BESIDE_FIRST = [1, 2, 4]
"""Corners that share a side with the first, of eight in the order of (x, y, z), z fastest."""


def kubric_cameras(what: str, camera: Any, num_frames: int, image_size: tuple[int, int]) -> Cameras:
    """Return the cameras (t) of one view from the "camera" part of Kubric's metadata.

    K is read from "K", else made from "focal_length" and "sensor_width" (mm, one number or one a frame); NaN where
    there is neither.

    Args:
        what: File and field, for messages.
        camera: The part.
        num_frames: Poses there must be.
        image_size: (height, width) of the pictures.

    Raises:
        InputError: If a field is missing, of another shape, not finite, or no camera.
    """
    sizes = {"t": num_frames}
    position = array(f"{what}.positions", field(what, camera, "positions"), "t 3", sizes)
    wxyz = array(f"{what}.quaternions", field(what, camera, "quaternions"), "t 4", sizes)
    finite(f"{what}.positions", position)
    finite(f"{what}.quaternions", wxyz)
    length = np.linalg.norm(wxyz, axis=-1)
    worst = np.abs(length - 1).argmax()
    if abs(length[worst] - 1) > 1e-2:
        raise InputError(f"{what}.quaternions: got one of length {length[worst]:.4g}, want 1")
    # Blender's camera looks along -z with y up: the axes y and z of the camera change sign.
    flip = torch.tensor(_FLIP, dtype=torch.float64)
    rotation = rotation_from_quaternion(torch.from_numpy(wxyz)) * flip
    world_from_cam = pose_from(rotation, torch.from_numpy(position))
    intrinsics = _intrinsics(what, camera, num_frames, image_size)
    return Cameras(invert_pose(world_from_cam).float(), intrinsics.float())


def pixel_intrinsics(
    what: str, normalised: Float[ndarray, "*t 3 3"], image_size: tuple[int, int]
) -> Float[Tensor, "*t 3 3"]:
    """Return K in pixels, OpenCV axes, from Kubric's K.

    Raises:
        InputError: If the result is no K: fx, fy over 0, last row 0 0 1.
    """
    height, width = image_size
    matrices = torch.from_numpy(finite(what, normalised))
    scale = torch.tensor([[width], [height], [1.0]], dtype=torch.float64)
    pixels = scale * matrices * torch.tensor(_FLIP, dtype=torch.float64)
    last_row = torch.tensor([0.0, 0.0, 1.0])
    is_homogeneous = bool((pixels[..., 2, :] - last_row).abs().amax() < 1e-6)
    has_focal = bool((pixels[..., 0, 0] > 0).all()) and bool((pixels[..., 1, 1] > 0).all())
    if not (is_homogeneous and has_focal):
        want = "[[f, 0, -1/2], [0, -f, -1/2], [0, 0, -1]] of Kubric"
        raise InputError(f"{what}: got {normalised.reshape(-1, 3, 3)[0].tolist()}, want {want}")
    return pixels


def z_from_distance(distance: Float[Tensor, "t h w"], intrinsics: Float[Tensor, "t 3 3"]) -> Float[Tensor, "t h w"]:
    """Return the z-depth of pixel centres from their distance to the camera centre; 0 where nothing was met."""
    height, width = distance.shape[-2:]
    centres = rearrange(pixel_centres(height, width).to(distance.dtype), "h w c -> c h w")
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]])
    principal = rearrange(intrinsics[:, :2, 2], "t c -> c t 1 1")
    tangents = (centres[:, None] - principal) / rearrange(focal, "c t -> c t 1 1")
    # Kubric keeps the length of a ray: of a ray (x, y, 1) that is z times the root of 1 + x² + y².
    depth = distance / (1 + tangents.square().sum(dim=0)).sqrt()
    return torch.where(depth.isfinite() & (depth <= NO_HIT), depth, torch.zeros_like(depth))


def read_distances(paths: Sequence[Path], image_size: tuple[int, int]) -> Float[Tensor, "t h w"]:
    """Read float32 TIFFs of one channel.

    Raises:
        InputError: If one is missing, broken, of another type or size, or holds a negative distance.
    """
    return torch.stack([_read_distance(path, image_size) for path in paths])


def read_segmentations(paths: Sequence[Path], image_size: tuple[int, int]) -> Int[Tensor, "t h w"]:
    """Read palette PNGs of ids.

    Raises:
        InputError: If one is missing, broken, no mask or of another size.
    """
    masks = []
    for path in paths:
        mask = read_mask(path)
        if tuple(mask.shape) != image_size:
            want = f"{_size(image_size)}"
            raise InputError(f"{path}: got {mask.shape[1]}x{mask.shape[0]}, want {want}")
        if bool((mask < 0).any()):
            raise InputError(f"{path}: got id 255, want ids of instances below 255")
        masks.append(mask)
    return torch.stack(masks)


def moving_instances(what: str, instances: Any, num_frames: int) -> Bool[ndarray, " k"] | None:
    """Say which entries of "instances" move, by the corners of their boxes; None where they tell no boxes.

    Raises:
        InputError: If boxes are of another shape or not finite.
    """
    if not isinstance(instances, list):
        raise InputError(f"{what}: got a {type(instances).__name__}, want a list")
    if not all(isinstance(instance, dict) and "bboxes_3d" in instance for instance in instances):
        return None
    moving = np.zeros(len(instances), dtype=bool)
    for number, instance in enumerate(instances):
        name = f"{what}[{number}].bboxes_3d"
        corners = finite(name, array(name, instance["bboxes_3d"], "t 8 3", {"t": num_frames}))
        sides = np.linalg.norm(corners[0, _BESIDE_FIRST] - corners[0, 0], axis=-1)
        farthest = np.linalg.norm(corners - corners[:1], axis=-1).max()
        moving[number] = farthest > DYNAMIC_SHARE * sides.max()
    return moving


def _intrinsics(what: str, camera: Any, num_frames: int, image_size: tuple[int, int]) -> Float[Tensor, "t 3 3"]:
    if "K" in camera:
        normalised = array(f"{what}.K", camera["K"], "3 3", {})
        return pixel_intrinsics(f"{what}.K", normalised, image_size).expand(num_frames, 3, 3).clone()
    if "focal_length" not in camera or "sensor_width" not in camera:
        return torch.full((num_frames, 3, 3), torch.nan, dtype=torch.float64)
    focal = _per_frame(f"{what}.focal_length", camera["focal_length"], num_frames)
    sensor = _per_frame(f"{what}.sensor_width", camera["sensor_width"], num_frames)
    height, width = image_size
    matrices = torch.zeros(num_frames, 3, 3, dtype=torch.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = torch.from_numpy(focal / sensor) * width
    matrices[:, 0, 2] = width / 2
    matrices[:, 1, 2] = height / 2
    matrices[:, 2, 2] = 1.0
    return matrices


def _per_frame(what: str, value: Any, num_frames: int) -> Float[ndarray, " t"]:
    axes = "t" if isinstance(value, list | tuple) or (isinstance(value, ndarray) and value.ndim) else ""
    numbers = finite(what, array(what, value, axes, {"t": num_frames}))
    if (numbers <= 0).any():
        raise InputError(f"{what}: got {numbers.min():g}, want millimetres over 0")
    return np.broadcast_to(numbers, (num_frames,))


def _read_distance(path: Path, image_size: tuple[int, int]) -> Float[Tensor, "h w"]:
    image = load_image(path)
    mode = image.mode
    values = np.array(image)
    if mode != "F" or values.shape != image_size:
        got = f"mode {mode} and shape {values.shape}"
        want = f"one float32 channel of {_size(image_size)}"
        raise InputError(f"{path}: got an image of {got}, want {want}")
    if (values < 0).any():
        raise InputError(f"{path}: got distance {np.nanmin(values):g}, want distances from 0")
    return torch.from_numpy(values)


def _size(image_size: tuple[int, int]) -> str:
    return f"{image_size[1]}x{image_size[0]}"
