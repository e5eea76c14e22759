"""Depth maps at another size or framed as a video is, and the depth of a plane."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.camera import pixel_rays
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import rotate
from mvt4g.geometry.surface_lifting import SAME_SURFACE
from mvt4g.types import Cameras


def resize_depth(
    depth: Float[Tensor, "t h w"],
    size: tuple[int, int],
) -> Float[Tensor, "t H W"]:
    """Return depth at another size of the same picture, no surface mixed with another.

    Where the four pixels about a new centre lie on one surface (inverse depths within ``SAME_SURFACE``), inverse depth
    is read bilinearly, which is exact on planes; elsewhere the nearest pixel is taken.

    Args:
        depth: z-depth, 0 = none.
        size: (height, width).
    """
    if depth.shape[-2:] == size:
        return depth
    rows = _neighbours(depth.shape[-2], size[0])
    columns = _neighbours(depth.shape[-1], size[1])
    return torch.stack([_resize_map(each, rows, columns) for each in depth])


def frame_depth(
    depth: Float[Tensor, "t h w"],
    framing: Framing,
) -> Float[Tensor, "t H W"]:
    """Return depth of a source cut, resized and padded as its pictures are; 0, none, where these are padded.

    Args:
        depth: z-depth of the source's pixel centres, 0 = none.
        framing: What is done to the pictures.
    """
    return framing.placed(resize_depth(framing.windowed(depth), framing.resized))


def plane_depth(
    cameras: Cameras,
    size: tuple[int, int],
    point: Float[Tensor, "3"],
    normal: Float[Tensor, "3"],
) -> Float[Tensor, "t h w"]:
    """Return the z-depth at which each pixel's ray meets a plane; 0 where it does not.

    Args:
        cameras: (t) that look at it.
        size: (height, width) of their pictures.
        point: Of the plane, world frame.
        normal: Of the plane, world frame, any length but 0.
    """
    pixels = rearrange(pixel_centres(*size).double(), "h w xy -> (h w) xy")
    maps = []
    for pose, intrinsics in zip(cameras.cam_from_world.double(), cameras.intrinsics.double(), strict=True):
        origin, direction = pixel_rays(pixels, pose, intrinsics)
        towards = (direction * normal.double()).sum(dim=-1)
        away = ((point.double() - origin) * normal.double()).sum(dim=-1)
        meets = (towards * away) > 0
        along = torch.where(meets, away / torch.where(meets, towards, 1.0), 0.0)
        forward = rotate(pose[:3, :3], direction)[..., 2]
        maps.append((along * forward).float())
    return rearrange(torch.stack(maps), "t (h w) -> t h w", h=size[0])


_Axis = tuple[Tensor, Tensor, Tensor]
"""Pixel before, pixel after, and share of the latter, of every new pixel."""


def _neighbours(was: int, now: int) -> _Axis:
    """Return which two pixels of an axis lie about each new centre; the border's pixel stands for what is beyond."""
    place = (torch.arange(now, dtype=torch.float64) + 0.5) * (was / now) - 0.5
    before = place.floor()
    share = (place - before).float()
    first = before.long()
    return first.clamp(0, was - 1), (first + 1).clamp(0, was - 1), share


def _resize_map(
    depth: Float[Tensor, "h w"],
    rows: _Axis,
    columns: _Axis,
) -> Float[Tensor, "H W"]:
    top, bottom, down = rows
    left, right, across = columns
    above = depth[top]
    below = depth[bottom]
    corners = torch.stack([above[:, left], above[:, right], below[:, left], below[:, right]])
    known: Bool[Tensor, "four H W"] = corners.isfinite() & (corners > 0)
    inverse = torch.where(known, torch.where(known, corners, 1.0).reciprocal(), 0.0)
    is_right = (across >= 0.5).float()
    is_low = (down >= 0.5).float()[:, None]
    farthest = torch.where(known, inverse, torch.inf).amin(dim=0)
    smooth = farthest >= (1 - SAME_SURFACE) * inverse.amax(dim=0)
    smooth = smooth & known.all(dim=0)
    # Weights of a map that is smooth are bilinear, of another all on the nearest pixel.
    across = torch.where(smooth, across, is_right)
    down = torch.where(smooth, down[:, None], is_low)
    up = 1 - down
    back = 1 - across
    weights = torch.stack([up * back, up * across, down * back, down * across])
    mixed = (weights * inverse).sum(dim=0)
    return torch.where(mixed > 0, torch.where(mixed > 0, mixed, 1.0).reciprocal(), 0.0)
