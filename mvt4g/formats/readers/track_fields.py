"""Tracks of foreign files as a clip holds them: finite where seen, and seen only inside the picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from mvt4g.formats.readers.fields import fits_float32
from mvt4g.geometry.camera import project_points
from mvt4g.types import Cameras, InputError

_CHECKED_POINTS = 64
_PROJECTION_TOLERANCE_PX = 0.1


def track_fields(
    what: str,
    tracks: Float[ndarray, "v t n 2"],
    visible: Bool[ndarray, "v t n"],
    image_size: tuple[int, int],
    in_part: bool = False,
) -> dict[str, Any]:
    """Return ``tracks``, ``visible`` and ``point_valid`` of a clip.

    A point without a position in some view or frame is kept in its place, at (0, 0), with ``point_valid`` False.

    Args:
        what: File and field, for messages.
        tracks: Pixels, centres at i + 0.5; non-finite = no position.
        visible: True where seen.
        image_size: (height, width).
        in_part: A point needs a position in one view and frame alone; where it is hidden and has none, it is NaN.

    Raises:
        InputError: If a point is seen where it has no position, or there is no point.
    """
    placed = np.logical_and.reduce(fits_float32(tracks), axis=-1)
    nowhere = visible & ~placed
    if nowhere.any():
        view, frame, point = np.argwhere(nowhere)[0]
        raise InputError(f"{what}: got no finite position for point {point} in view {view}, frame {frame}, where seen")
    if not tracks.shape[2]:
        raise InputError(f"{what}: got no point, want at least one")
    # A place of a point that is none anywhere is padding: at (0, 0), so that no NaN comes into a sum.
    valid = placed.any(axis=(0, 1)) if in_part else placed.all(axis=(0, 1))
    pixels = np.where(valid[:, None], np.where(placed[..., None], tracks, np.nan), 0.0).astype(np.float32)
    height, width = image_size
    inside = ((pixels >= 0) & (pixels < np.array([width, height], np.float32))).all(axis=-1)
    return {
        "tracks": torch.from_numpy(pixels),
        "visible": torch.from_numpy(visible & inside & valid),
        "point_valid": torch.from_numpy(valid),
    }


def check_projection(
    what: str, tracks: Float[Tensor, "t n 2"], points_world: Float[Tensor, "t n 3"], cameras: Cameras
) -> None:
    """Refuse tracks of one view that are not where its cameras (t) see the points: files of different scenes.

    Args:
        what: File and field, for the message.
        tracks: Pixels.
        points_world: Scene units.
        cameras: One a frame.

    Raises:
        InputError: If one of some points, evenly chosen, is farther off than 0.1 px and 0.01 % of its coordinates.
    """
    chosen = torch.linspace(0, tracks.shape[1] - 1, min(_CHECKED_POINTS, tracks.shape[1])).long()
    pixels, in_front = project_points(
        points_world[:, chosen],
        rearrange(cameras.cam_from_world, "t i j -> t 1 i j"),
        rearrange(cameras.intrinsics, "t i j -> t 1 i j"),
        min_depth=0.01,
    )
    error = torch.linalg.vector_norm(pixels - tracks[:, chosen], dim=-1)
    allowed = _PROJECTION_TOLERANCE_PX + 1e-4 * torch.linalg.vector_norm(pixels, dim=-1)
    off = in_front & (error > allowed)
    if bool(off.any()):
        frame, point = off.nonzero()[0].tolist()
        raise InputError(
            f"{what}: got point {int(chosen[point])} of frame {frame} {float(error[frame, point]):.4g} px from where "
            "the camera sees it, want positions, cameras and tracks of one scene"
        )


def unknown_cameras(num_views: int, num_frames: int) -> Cameras:
    """Return cameras of which nothing is known: NaN all over, so that no result comes of them."""
    cam_from_world = torch.full((num_views, num_frames, 4, 4), torch.nan)
    intrinsics = torch.full((num_views, num_frames, 3, 3), torch.nan)
    return Cameras(cam_from_world, intrinsics)


def stacked(what: Path, name: str, values: Sequence[Shaped[Tensor, "..."]]) -> Shaped[Tensor, "v ..."]:
    """Stack the tensors of all views.

    Raises:
        InputError: If they differ in shape.
    """
    shapes = {tuple(value.shape) for value in values}
    if len(shapes) > 1:
        raise InputError(f"{what}: {name}: got views of shapes {sorted(shapes)}, want one shape")
    return torch.stack(list(values))


def stacked_if_all(
    what: Path, name: str, values: Sequence[Shaped[Tensor, "..."] | None]
) -> Shaped[Tensor, "v ..."] | None:
    """Stack the tensors of all views; None unless every view has one.

    Raises:
        InputError: If they differ in shape.
    """
    known = [value for value in values if value is not None]
    return stacked(what, name, known) if len(known) == len(values) else None
