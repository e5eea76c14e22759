"""Cameras, depth and masks that another program found for a video, in this project's conventions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.parsing.limits import file_limits, size_text, too_large
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.pose import check_poses, relative_to
from mvt4g.types import InputError

LEAST_FOV_DEG = 20.0
MOST_FOV_DEG = 120.0
"""Horizontal fields of view that cameras have; estimates beyond are told of."""
Scale = Literal["metres", "unknown"]


@dataclass(frozen=True)
class Reconstruction:
    """The cameras of one video, and what else a program left.

    Attributes:
        world_from_cam: OpenCV axes, the program's own world; NaN where not registered.
        registered: False for frames the program gave no pose.
        intrinsics: K in pixels of an image of ``image_size``; NaN where not registered; None where the program gave
            none that fits a pinhole camera.
        image_size: (height, width) of the image that K, depth and masks belong to; None = not known.
        depth: z-depth in the unit of the poses; 0 = none. None = not read, or not there.
        dynamic: True on what the program took to move. None = not read, or not there.
        confidence: Of the depth, in the program's own unit, higher is better, 0 = none. None = not read, or not there.
        scale: What a distance of 1 is: a metre, or not known.
        notes: What a user should know, one sentence each.
    """

    world_from_cam: Float[Tensor, "t 4 4"]
    registered: Bool[Tensor, " t"]
    intrinsics: Float[Tensor, "t 3 3"] | None = None
    image_size: tuple[int, int] | None = None
    depth: Float[Tensor, "t h w"] | None = None
    dynamic: Bool[Tensor, "t h w"] | None = None
    confidence: Float[Tensor, "t h w"] | None = None
    scale: Scale = "unknown"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.registered)

    def from_first_camera(self) -> "Reconstruction":
        """Return it in the world of its first registered camera: programs often put the origin elsewhere."""
        first = int(self.registered.long().argmax())
        world_from_cam = relative_to(self.world_from_cam.double(), self.world_from_cam[first].double())
        return replace(self, world_from_cam=world_from_cam.float())

    def at_size(self, image_size: tuple[int, int]) -> "Reconstruction":
        """Return it for the video at another size, which the program squeezed to its own without cutting.

        K is scaled along each axis; depth, confidence and masks are those of the nearest pixel.

        Args:
            image_size: (height, width).

        Raises:
            InputError: If its own size is not known.
        """
        if self.image_size is None:
            want = "one whose maps or file tell it"
            raise InputError(f"reconstruction: got one of no known image size, want {want}")
        if image_size == self.image_size:
            return self
        height, width = self.image_size
        framing = Framing(self.image_size, image_size, Window(0, 0, height, width), image_size)
        intrinsics = self.intrinsics
        if intrinsics is not None:
            intrinsics = scale_intrinsics(intrinsics, image_size[1] / width, image_size[0] / height)
        return replace(
            self,
            intrinsics=intrinsics,
            image_size=image_size,
            depth=None if self.depth is None else framing.nearest(self.depth),
            dynamic=None if self.dynamic is None else framing.nearest(self.dynamic),
            confidence=None if self.confidence is None else framing.nearest(self.confidence),
        )


def reconstruction_of(
    what: str, poses: Float[Tensor, "t 4 4"], intrinsics: Float[Tensor, "t 3 3"] | None = None, lens_what: str = ""
) -> Reconstruction:
    """Return fp32 cameras; frames whose pose has a NaN or infinity are not registered.

    Args:
        what: File and field of the poses, for messages.
        poses: As read, of world_from_cam.
        intrinsics: As read.
        lens_what: File and field of the intrinsics.

    Raises:
        InputError: If a finite pose is no rigid transform, or a registered frame's focal length is not positive.
    """
    registered = poses.isfinite().all(dim=-1).all(dim=-1)
    gone = rearrange(~registered, "t -> t 1 1")
    # The check has no word for a frame without a pose: it is given one that is right.
    identity = torch.eye(4, dtype=poses.dtype)
    check_poses(torch.where(gone, identity, poses), f"{what} frame ")
    lens = None
    if intrinsics is not None:
        lens = intrinsics.float().masked_fill(gone, torch.nan)
        focal = torch.stack([lens[registered, 0, 0], lens[registered, 1, 1]])
        if not bool((focal.isfinite() & (focal > 0)).all()):
            least = float(focal.min())
            raise InputError(f"{lens_what}: got focal lengths down to {least:g}, want fx, fy over 0")
    return Reconstruction(poses.float().masked_fill(gone, torch.nan), registered, lens)


def with_fov_note(found: Reconstruction, where: str) -> Reconstruction:
    """Return a reconstruction with a note if its field of view is one that no usual camera has.

    Args:
        found: As read.
        where: The file, for the note.
    """
    if found.intrinsics is None or found.image_size is None or not bool(found.registered.any()):
        return found
    focal = found.intrinsics[found.registered, 0, 0].double()
    fov = torch.rad2deg(2 * torch.atan(found.image_size[1] / (2 * focal)))
    narrow = float(fov.min())
    wide = float(fov.max())
    if narrow >= LEAST_FOV_DEG and wide <= MOST_FOV_DEG:
        return found
    degrees = f"{narrow:.1f}" if math.isclose(narrow, wide, rel_tol=1e-3) else f"{narrow:.1f} to {wide:.1f}"
    usual = f"{LEAST_FOV_DEG:g} to {MOST_FOV_DEG:g}"
    note = f"{where}: the field of view is {degrees} degrees, usual are {usual}"
    return replace(found, notes=(*found.notes, note))


def pinhole_matrices(what: str, lens: Float[Tensor, "t 4"]) -> Float[Tensor, "t 3 3"]:
    """Return K from rows fx, fy, cx, cy.

    Raises:
        InputError: If a focal length is not positive.
    """
    if not bool((lens[:, :2] > 0).all()):
        raise InputError(f"{what}: got focal lengths down to {lens[:, :2].min():g}, want fx, fy over 0")
    matrices = torch.zeros(len(lens), 3, 3, dtype=lens.dtype)
    matrices[:, 0, 0], matrices[:, 1, 1], matrices[:, 0, 2], matrices[:, 1, 2] = lens.unbind(dim=-1)
    matrices[:, 2, 2] = 1.0
    return matrices


def numbers(what: str, array: Shaped[ndarray, " *s"]) -> Float[ndarray, " *s"]:
    """Return an array of floating-point numbers as float64.

    Raises:
        InputError: If its entries are of another kind.
    """
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{what}: got {array.dtype}, want floating-point numbers")
    return array.astype(np.float64)


def transforms(what: str, array: Shaped[ndarray, " *s"]) -> Float[Tensor, "t 4 4"]:
    """Return 4x4 matrices of an array of (t 3 4) or (t 4 4).

    Raises:
        InputError: If it is of another shape or type, or empty.
    """
    top = numbers(what, array)
    if top.ndim != 3 or top.shape[1:] not in ((3, 4), (4, 4)) or not len(top):
        raise InputError(f"{what}: got shape {top.shape}, want (t, 3, 4) or (t, 4, 4)")
    if top.shape[1] == 4:
        return torch.from_numpy(top)
    bottom = np.broadcast_to(np.array([0.0, 0.0, 0.0, 1.0]), (len(top), 1, 4))
    return torch.from_numpy(np.concatenate([top, bottom], axis=1))


def check_count(what: str, count: int, num_frames: int | None) -> None:
    """Refuse another number of poses than frames.

    Raises:
        InputError: If there is one.
    """
    if num_frames is not None and count != num_frames:
        raise InputError(f"{what}: got {count} poses, want {num_frames}, one per frame")


def depth_maps(what: str, maps: Shaped[ndarray, " *s"], num_frames: int) -> Float[Tensor, "t h w"]:
    """Return z-depth, or confidence, of all frames, 0 where there is none (not finite, or not over 0).

    Raises:
        InputError: If it is of another shape or type.
    """
    if maps.ndim != 3 or len(maps) != num_frames or not np.issubdtype(maps.dtype, np.floating) or not maps.size:
        got = f"{maps.dtype} of shape {maps.shape}"
        want = f"floating-point numbers of shape ({num_frames}, h, w)"
        raise InputError(f"{what}: got {got}, want {want}")
    # Float64 beyond float32 becomes infinite, which counts as no depth.
    with np.errstate(over="ignore", invalid="ignore"):
        depth = maps.astype(np.float32)
        return torch.from_numpy(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)))


def check_memory(where: str, num_maps: int, image_size: Sequence[int], bytes_a_pixel: int) -> None:
    """Refuse maps that would take more memory than one file may.

    Raises:
        InputError: If they would.
    """
    total = num_maps * image_size[0] * image_size[1] * bytes_a_pixel
    most = file_limits().memory
    if total > most:
        got = f"{num_maps} maps of {image_size[1]}x{image_size[0]}, {size_text(total)}"
        raise too_large(where, got, size_text(most))
