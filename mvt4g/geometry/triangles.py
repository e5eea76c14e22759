"""Triangles onto pixels: which face each pixel centre shows, nearest first, and where in the face it lies."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.splat import NO_POINT, first_at_pixels

PAIRS_AT_ONCE = 2**21
"""Pairs of a face and a pixel of its bounding box that are in memory together."""
ON_EDGE = 1e-9
"""Share of a face by which a pixel centre may lie outside of it: shared edges and the border of a mesh have no gaps."""


def grid_faces(
    height: int,
    width: int,
    device: torch.device | None = None,
) -> Int[Tensor, "m 3"]:
    """Return two triangles for every four neighbouring pixels of an image, by the pixels' numbers row by row."""
    number = torch.arange(height * width, device=device).reshape(height, width)
    top_left = number[:-1, :-1]
    top_right = number[:-1, 1:]
    bottom_left = number[1:, :-1]
    bottom_right = number[1:, 1:]
    upper = torch.stack([top_left, bottom_left, top_right], dim=-1)
    lower = torch.stack([bottom_left, bottom_right, top_right], dim=-1)
    return rearrange([upper, lower], "two h w corner -> (h w two) corner")


def rasterize(
    xy: Float[Tensor, "n 2"],
    z: Float[Tensor, " n"],
    faces: Int[Tensor, "m 3"],
    image_size: tuple[int, int],
) -> tuple[Int[Tensor, "h w"], Float[Tensor, "h w 3"]]:
    """Return the nearest face over each pixel centre, and how much of each corner it sees there.

    Args:
        xy: Pixels (x, y) of the corners.
        z: Their z-depths, scene units; a face with a corner that is not in front of the camera is left out whole.
        faces: Three corners each.
        image_size: (height, width).

    Returns:
        The face's number, NO_POINT where there is none; of equally near ones the lowest. And the shares of its corners,
        perspective-correct, 0 where there is no face. They add up to 1.
    """
    height, width = image_size
    corners = xy.double()[faces]
    depths = z.double()[faces]
    drawn = ((depths > 0) & corners.isfinite().all(dim=-1)).all(dim=-1)
    face = drawn.nonzero()[:, 0]
    # Pixel i has its centre at i + 0.5: the first and the last one within the box about a face.
    low = (corners[face].amin(dim=1) - 0.5 - ON_EDGE).ceil().clamp(min=0)
    high = (corners[face].amax(dim=1) - 0.5 + ON_EDGE).floor()
    high = torch.minimum(high, high.new_tensor([width - 1, height - 1]))
    extent = (high - low + 1).clamp(min=0)
    count = (extent[:, 0] * extent[:, 1]).long()
    filled = count > 0
    face = face[filled]
    low = low[filled].long()
    columns = extent[filled, 0].long()
    count = count[filled]
    pixel_of: list[Tensor] = []
    face_of: list[Tensor] = []
    depth_of: list[Tensor] = []
    for some in _chunks(count):
        pair = torch.repeat_interleave(some, count[some])
        place = _numbers_within(count[some])
        column = low[pair, 0] + place % columns[pair]
        row = low[pair, 1] + place // columns[pair]
        centre = torch.stack([column, row], dim=-1).double() + 0.5
        share = _shares(corners[face[pair]], centre)
        # 1 / z is linear in the image, z itself is not.
        inverse_depth = (share / depths[face[pair]]).sum(dim=-1)
        inside = (share >= -ON_EDGE).all(dim=-1) & (inverse_depth > 0)
        pixel_of.append((row * width + column)[inside])
        face_of.append(face[pair][inside])
        depth_of.append(inverse_depth[inside].reciprocal())
    if not pixel_of:
        nothing = faces.new_full((height, width), NO_POINT)
        return nothing, xy.new_zeros(height, width, 3, dtype=torch.float64)
    shown = _nearest(torch.cat(pixel_of), torch.cat(face_of), torch.cat(depth_of), height * width)
    centre = pixel_centres(height, width, device=xy.device).double().flatten(0, 1)
    seen = shown != NO_POINT
    weight = _shares(corners[shown[seen]], centre[seen]).clamp(min=0) / depths[shown[seen]]
    shares = weight.new_zeros(height * width, 3)
    shares[seen] = weight / weight.sum(dim=-1, keepdim=True)
    return shown.view(height, width), shares.view(height, width, 3)


def _nearest(
    pixel: Int[Tensor, " pairs"],
    face: Int[Tensor, " pairs"],
    depth: Float[Tensor, " pairs"],
    num_pixels: int,
) -> Int[Tensor, " num_pixels"]:
    """Return the nearest face of every pixel, or NO_POINT."""
    order = face.argsort(stable=True)  # of equally near faces the lowest number wins, whatever the chunks
    first = first_at_pixels(pixel[order], depth[order].float(), num_pixels)
    nearest = face[order][first.clamp(min=0)]
    return torch.where(first == NO_POINT, NO_POINT, nearest)


def sharp_faces(
    points: Float[Tensor, "n 3"],
    faces: Int[Tensor, "m 3"],
    least_deg: float,
) -> Bool[Tensor, " m"]:
    """Return which faces have an angle under ``least_deg`` degrees: those stretched from one surface to another.

    Args:
        points: Corners in space, any unit.
        faces: Three corners each.
        least_deg: The least angle of a face that is kept.

    Source: EX-4D (arXiv 2506.05554), whose least angle is 2.5 degrees.
    """
    corners = points[faces]
    side = corners.roll(-1, dims=1) - corners
    length = torch.linalg.vector_norm(side, dim=-1, keepdim=True)
    side = side / length.clamp(min=torch.finfo(side.dtype).tiny)
    # Sides go around the face: the angle at a corner is that between one side and the reverse of the one before.
    cosine = -(side * side.roll(1, dims=1)).sum(dim=-1)
    largest = torch.cos(torch.deg2rad(cosine.new_tensor(least_deg)))
    return (cosine > largest).any(dim=-1)


def uneven_faces(
    depth: Float[Tensor, " n"],
    faces: Int[Tensor, "m 3"],
    tolerance: float,
) -> Bool[Tensor, " m"]:
    """Return which faces' farthest corner is over ``1 + tolerance`` times as deep as the nearest."""
    of_corners = depth[faces]
    return of_corners.amax(dim=1) > (1 + tolerance) * of_corners.amin(dim=1)


def _shares(
    corners: Float[Tensor, "p 3 2"],
    at: Float[Tensor, "p 2"],
) -> Float[Tensor, "p 3"]:
    """Return barycentric coordinates in the image; of a face seen edge-on, which covers no pixel, -1."""
    a, b, c = corners.unbind(dim=1)
    area = _cross(b - a, c - a)
    flat = area == 0
    opposite = [_cross(c - b, at - b), _cross(a - c, at - c), _cross(b - a, at - a)]
    inside = torch.stack(opposite, dim=-1)
    return torch.where(flat[:, None], -1.0, inside / torch.where(flat, 1.0, area)[:, None])


def _cross(a: Float[Tensor, "p 2"], b: Float[Tensor, "p 2"]) -> Float[Tensor, " p"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _chunks(count: Int[Tensor, " m"]) -> list[Int[Tensor, " some"]]:
    """Split faces so that no chunk has many more pairs than PAIRS_AT_ONCE; a single face may have more."""
    if not len(count):
        return []
    number = (count.cumsum(0) - 1) // PAIRS_AT_ONCE
    sizes = torch.unique_consecutive(number, return_counts=True)[1]
    return list(torch.arange(len(count), device=count.device).split(sizes.tolist()))


def _numbers_within(count: Int[Tensor, " m"]) -> Int[Tensor, " pairs"]:
    """Return 0, 1, ... count - 1 for every entry, one after the other."""
    start = count.cumsum(0) - count
    every = torch.arange(int(count.sum()), device=count.device)
    return every - torch.repeat_interleave(start, count)
