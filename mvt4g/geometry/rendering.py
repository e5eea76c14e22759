"""An image with depth seen from another camera, by points or by a mesh: what explicit lifting shows a generator.

Holes stay holes: what no surface of the source covers is black, without depth, and False in the mask. Scaling depth and
translation alike changes nothing, but for the soft blend.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.reprojection import EDGE_TOLERANCE, reproject, reproject_rows, smooth_depth
from mvt4g.geometry.splat import NO_POINT, first_at_pixels, splat_soft
from mvt4g.geometry.triangles import grid_faces, rasterize, sharp_faces, uneven_faces
from mvt4g.ranges import check_word
from mvt4g.types import Cameras, InputError

Blend = Literal["hard", "soft"]
EdgeRule = Literal["angle", "ratio"]
LEAST_ANGLE_DEG = 2.5
"""EX-4D's: faces with a smaller angle are stretched from one surface to another."""


@dataclass(frozen=True)
class Rendering:
    """What a camera sees of a lifted image.

    Attributes:
        image: 0 where nothing is seen.
        mask: True where something is.
        depth: z-depth, scene units, 0 where nothing is seen.
    """

    image: Float[Tensor, "*b c h w"]
    mask: Bool[Tensor, "*b h w"]
    depth: Float[Tensor, "*b h w"]


def render_points(
    image: Float[Tensor, "*b c h w"],
    depth: Float[Tensor, "*b h w"],
    source: Cameras,
    target: Cameras,
    image_size: tuple[int, int],
    edge_filter: bool = True,
    blend: Blend = "hard",
) -> Rendering:
    """Render the pixels of ``image`` as points, seen from ``target``; a frame at a time.

    Args:
        image: Colours or features.
        depth: z-depth of its pixel centres, scene units; 0 or non-finite = no point.
        source: Cameras (*b) of ``image``; K in its pixels.
        target: Cameras (*b) to render from; K in pixels of ``image_size``.
        image_size: (height, width) of the rendering.
        edge_filter: Leave out points on depth edges, see ``reprojection.smooth_depth``.
        blend: "hard": a point covers the pixel that it falls into, the nearest one wins. "soft": see
            ``splat.splat_soft``, the rule of GEN3C, TrajectoryCrafter and CogNVS. It is no depth test, bleeds a pixel
            outwards, and depends on the unit of depth.

    Raises:
        InputError: If sizes do not fit, or the blend is none.

    Example:
        >>> import torch
        >>> camera = Cameras(torch.eye(4), torch.tensor([[8.0, 0.0, 4.0], [0.0, 8.0, 2.0], [0.0, 0.0, 1.0]]))
        >>> moved_to_the_right = torch.eye(4)
        >>> moved_to_the_right[0, 3] = -0.5
        >>> moved = Cameras(moved_to_the_right, camera.intrinsics)
        >>> seen = render_points(torch.rand(3, 4, 8), torch.full((4, 8), 2.0), camera, moved, (4, 8))
        >>> seen.mask[0].tolist()  # a plane at depth 2 moves by 8 * 0.5 / 2 = 2 pixels
        [True, True, True, True, True, True, False, False]
    """
    check_word("blend", blend, Blend)

    def one(image: Float[Tensor, "c h w"], depth: Float[Tensor, "h w"], source: Cameras, target: Cameras) -> Rendering:
        points = torch.where(smooth_depth(depth), depth, 0.0) if edge_filter else depth
        if blend == "hard":
            return _hard_points(image, points, source, target, image_size)
        xy, z, kept = reproject(points, source, target)
        colours = rearrange(image, "c h w -> c (h w)")
        seen = splat_soft(xy[kept], z[kept], colours[:, kept.flatten()], image_size)
        return Rendering(*seen)

    return _frame_by_frame(one, image, depth, source, target, image_size)


def render_mesh(
    image: Float[Tensor, "*b c h w"],
    depth: Float[Tensor, "*b h w"],
    source: Cameras,
    target: Cameras,
    image_size: tuple[int, int],
    edge_filter: bool = True,
    edge_rule: EdgeRule = "angle",
    rejected_occlude: bool = False,
) -> Rendering:
    """Render the pixels of ``image`` as the corners of a mesh, two triangles for every four neighbours.

    A face with a corner that has no depth, or that is not in front of the target, is left out whole. Between pixel
    centres colours are interpolated, perspective-correct, so that a surface seen from nearer has no holes.

    Args:
        image: Colours or features.
        depth: z-depth of its pixel centres, scene units; 0 or non-finite = no corner.
        source: Cameras (*b) of ``image``; K in its pixels.
        target: Cameras (*b) to render from; K in pixels of ``image_size``.
        image_size: (height, width) of the rendering.
        edge_filter: Reject faces that are stretched from one surface to another.
        edge_rule: "angle": an angle under 2.5 degrees, EX-4D's. "ratio": corners whose depths differ by over 5 %.
        rejected_occlude: Rejected faces still hide what is behind them, as in EX-4D: a hole is seen there, not the
            surface behind.

    Raises:
        InputError: If sizes do not fit, or the rule is none.

    Source: EX-4D (arXiv 2506.05554), its depth watertight mesh without the pushed-back border.
    """
    check_word("edge_rule", edge_rule, EdgeRule)

    def one(image: Float[Tensor, "c h w"], depth: Float[Tensor, "h w"], source: Cameras, target: Cameras) -> Rendering:
        xy, z, kept = reproject(depth, source, target)
        faces = grid_faces(depth.shape[0], depth.shape[1], depth.device)
        faces = faces[kept.flatten()[faces].all(dim=1)]
        rejected = torch.zeros(len(faces), dtype=torch.bool, device=faces.device)
        if edge_filter:
            rejected = _stretched(depth, source, faces, edge_rule)
        if not rejected_occlude:
            faces = faces[~rejected]
            rejected = rejected[~rejected]
        if not len(faces):
            return _nothing(image, image_size)
        corners = rearrange(xy, "h w xy -> (h w) xy")
        shown, shares = rasterize(corners, z.flatten(), faces, image_size)
        mask = shown != NO_POINT
        mask = mask & ~rejected[shown.clamp(min=0)]
        corner = faces[shown.clamp(min=0)]
        colours = rearrange(image, "c h w -> c (h w)").double()[:, corner]
        seen = torch.where(mask, (colours * shares).sum(dim=-1), 0.0)
        # Depth along z is linear in the perspective-correct shares.
        z_seen = torch.where(mask, (z.flatten()[corner] * shares).sum(dim=-1), 0.0)
        return Rendering(seen.to(image.dtype), mask, z_seen.to(depth.dtype))

    return _frame_by_frame(one, image, depth, source, target, image_size)


def double_reproject(
    image: Float[Tensor, "*b c h w"],
    depth: Float[Tensor, "*b h w"],
    source: Cameras,
    target: Cameras,
    edge_filter: bool = True,
    blend: Blend = "hard",
) -> Rendering:
    """Render from the source to the target, lift what is seen there, and render it back to the source.

    What comes back is what both cameras see, with the holes and errors of lifting. Beside ``image`` it is a training
    pair for filling them, made of one video alone. Arguments as in ``render_points``.

    Source: the pairs of CogNVS (arXiv 2507.12646) and TrajectoryCrafter (arXiv 2503.05638).
    """
    size = (image.shape[-2], image.shape[-1])
    there = render_points(image, depth, source, target, size, edge_filter, blend)
    return render_points(there.image, there.depth, target, source, size, edge_filter, blend)


def _hard_points(
    image: Float[Tensor, "c h w"],
    depth: Float[Tensor, "h w"],
    source: Cameras,
    target: Cameras,
    image_size: tuple[int, int],
) -> Rendering:
    """Show the nearest point of every pixel."""
    height, width = image_size
    outside = height * width  # a pixel of its own for all points that are not seen
    pixel = torch.empty(depth.shape, dtype=torch.long, device=depth.device)
    z = torch.empty(depth.shape, dtype=torch.float32, device=depth.device)
    for rows, x, y, distance, seen in reproject_rows(depth, source, target):
        inside = seen & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        number = y.floor_().mul_(width).add_(x.floor_())
        pixel[rows] = torch.where(inside, number, outside)
        z[rows] = torch.where(inside, distance, torch.inf)
    first = first_at_pixels(pixel.flatten(), z.flatten(), outside + 1)[:outside]
    mask = first != NO_POINT
    first = first.clamp(min=0)
    colours = rearrange(image, "c h w -> c (h w)").index_select(1, first)
    distance = z.flatten().index_select(0, first)
    return Rendering(
        rearrange(torch.where(mask, colours, 0.0), "c (h w) -> c h w", h=height),
        rearrange(mask, "(h w) -> h w", h=height),
        rearrange(torch.where(mask, distance, 0.0).to(depth.dtype), "(h w) -> h w", h=height),
    )


def _stretched(
    depth: Float[Tensor, "h w"],
    source: Cameras,
    faces: Int[Tensor, "f 3"],
    rule: EdgeRule,
) -> Bool[Tensor, " f"]:
    if rule == "ratio":
        return uneven_faces(depth.flatten(), faces, EDGE_TOLERANCE)
    centres = pixel_centres(depth.shape[0], depth.shape[1], device=depth.device).double()
    # In the source's camera, where an angle does not depend on where the image is seen from.
    rays = F.pad(centres, (0, 1), value=1.0) @ torch.linalg.inv(source.intrinsics.double()).mT
    points = rearrange(rays * depth.double()[..., None], "h w xyz -> (h w) xyz")
    return sharp_faces(points, faces, LEAST_ANGLE_DEG)


def _nothing(
    image: Float[Tensor, "c h w"],
    image_size: tuple[int, int],
) -> Rendering:
    empty = image.new_zeros(image_size)
    return Rendering(image.new_zeros(len(image), *image_size), empty.bool(), empty)


def _frame_by_frame(
    one: Callable[[Float[Tensor, "c h w"], Float[Tensor, "h w"], Cameras, Cameras], Rendering],
    image: Float[Tensor, "*b c h w"],
    depth: Float[Tensor, "*b h w"],
    source: Cameras,
    target: Cameras,
    image_size: tuple[int, int],
) -> Rendering:
    """Render every entry of the leading axes by itself, so that memory does not grow with their number.

    Raises:
        InputError: If sizes do not fit.
    """
    batch = image.shape[:-3]
    wanted = (*batch, *image.shape[-2:])
    if depth.shape != wanted:
        raise InputError(f"depth: got shape {tuple(depth.shape)}, want {wanted} as the image has")
    for name, cameras in (("source", source), ("target", target)):
        if cameras.cam_from_world.shape != (*batch, 4, 4) or cameras.intrinsics.shape != (*batch, 3, 3):
            got = tuple(cameras.cam_from_world.shape[:-2])
            raise InputError(f"{name}: got cameras of shape {got}, want {tuple(batch)}, one for each image")
    height, width = image_size
    if min(height, width) < 1:
        raise InputError(f"image_size: got {image_size}, want (height, width), both at least 1")
    if not batch:
        return one(image, depth, source, target)
    images = image.flatten(0, -4)
    depths = depth.flatten(0, -3)
    here = _flatten_cameras(source)
    there = _flatten_cameras(target)
    colours = images.new_empty(len(images), images.shape[1], height, width)
    masks = torch.empty(len(images), height, width, dtype=torch.bool, device=image.device)
    z = depths.new_empty(len(images), height, width)
    for i in range(len(images)):
        seen = one(images[i], depths[i], here[i], there[i])
        colours[i] = seen.image
        masks[i] = seen.mask
        z[i] = seen.depth
    shape = (*batch, height, width)
    return Rendering(colours.reshape(*batch, -1, height, width), masks.reshape(shape), z.reshape(shape))


def _flatten_cameras(cameras: Cameras) -> Cameras:
    return Cameras(cameras.cam_from_world.reshape(-1, 4, 4), cameras.intrinsics.reshape(-1, 3, 3))
