"""Backward warping by depth: what an image shows of another view's surface."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.camera import points_depth, project_points, unproject_pixels
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.sampling import bilinear_sample

WHOLE = 0.999
"""Interpolated share of source pixels with a depth that counts as all of them."""


def warp_by_depth(
    source: Float[Tensor, "*b c h_source w_source"],
    source_depth: Float[Tensor, "*b h_source w_source"] | None,
    depth: Float[Tensor, "*b h w"],
    cam_from_world: Float[Tensor, "*b 4 4"],
    intrinsics: Float[Tensor, "*b 3 3"],
    source_cam_from_world: Float[Tensor, "*b 4 4"],
    source_intrinsics: Float[Tensor, "*b 3 3"],
    occlusion_tolerance: float | int = 0.02,
) -> tuple[Float[Tensor, "*b c h w"], Bool[Tensor, "*b h w"]]:
    """Bring ``source`` into the view that has ``depth``.

    Every pixel centre of the view is lifted by its depth, projected into the source and read there bilinearly.

    Args:
        source: Image or features of the source camera.
        source_depth: z-depth of the source, scene units, 0 or non-finite = none; None skips the occlusion test.
        depth: z-depth of the view, scene units, 0 or non-finite = none.
        cam_from_world: The view's camera.
        intrinsics: The view's K, in pixels of ``depth``.
        source_cam_from_world: The source's camera.
        source_intrinsics: The source's K, in pixels of ``source``.
        occlusion_tolerance: Largest relative difference between a point's depth in the source and the source's own
            depth there (interpolated as inverse depth, which is exact on planes) for the point to count as seen.

    Returns:
        The warped source, 0 where it is not valid, and the mask: the pixel has a depth, its point lies in front of
        the source and inside its image, and the source's depth agrees. At depth edges of the source the mask is
        False for up to a pixel, since nearer and farther surface blend there.
    """
    height, width = depth.shape[-2:]
    has_depth = depth.isfinite() & (depth > 0)
    safe_depth = torch.where(has_depth, depth, 1.0)
    points_world = unproject_pixels(
        pixel_centres(height, width, device=depth.device).to(depth.dtype),
        safe_depth,
        rearrange(cam_from_world, "... i j -> ... 1 1 i j"),
        rearrange(intrinsics, "... i j -> ... 1 1 i j"),
    )
    source_camera = rearrange(source_cam_from_world, "... i j -> ... 1 1 i j")
    source_k = rearrange(source_intrinsics, "... i j -> ... 1 1 i j")
    xy, in_front = project_points(points_world, source_camera, source_k)
    size = xy.new_tensor([source.shape[-1], source.shape[-2]])
    inside = ((xy >= 0) & (xy < size)).all(dim=-1)
    valid = has_depth & in_front & inside
    if source_depth is not None:
        point_depth = points_depth(points_world, source_camera)
        valid = valid & _agrees(source_depth, xy, point_depth, occlusion_tolerance)
    values = bilinear_sample(source, rearrange(xy, "... h w xy -> ... (h w) xy"))
    warped = rearrange(values, "... (h w) c -> ... c h w", h=height)
    return torch.where(rearrange(valid, "... h w -> ... 1 h w"), warped, 0.0), valid


def _agrees(
    source_depth: Float[Tensor, "*b h w"],
    xy: Float[Tensor, "*b H W 2"],
    point_depth: Float[Tensor, "*b H W"],
    tolerance: float,
) -> Bool[Tensor, "*b H W"]:
    """Tell where the source's surface at ``xy`` is as far from it as the point is."""
    known = source_depth.isfinite() & (source_depth > 0)
    inverse = torch.where(known, source_depth, 1.0).reciprocal()
    maps = torch.stack([inverse, known.to(inverse.dtype)], dim=-3)
    read = bilinear_sample(maps, rearrange(xy, "... h w xy -> ... (h w) xy"))
    surface_inverse, share_known = rearrange(read, "... (h w) c -> c ... h w", h=xy.shape[-3])
    # |z_surface - z_point| <= tolerance * z_point, both sides divided by z_surface
    difference = (1.0 - surface_inverse * point_depth).abs()
    near_enough = difference <= tolerance * surface_inverse * point_depth.abs()
    return near_enough & (share_known >= WHOLE)
