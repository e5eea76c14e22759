"""Pixels and a depth map to points of the world."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.sampling import bilinear_sample


def lift_pixels(
    pixels: Float[Tensor, "*b n 2"],
    depth: Float[Tensor, "*b h w"],
    cam_from_world: Float[Tensor, "*b 4 4"],
    intrinsics: Float[Tensor, "*b 3 3"],
    edge_tolerance: float | int = 0.05,
) -> tuple[Float[Tensor, "*b n 3"], Bool[Tensor, "*b n"]]:
    """Return world points of pixels by a depth map, and where the map says enough.

    Depth is read bilinearly as inverse depth, which is exact on planes.

    Args:
        pixels: Anywhere; outside the image and NaN there is no point.
        depth: z-depth of pixel centres, scene units, 0 or non-finite = none.
        cam_from_world: The map's camera.
        intrinsics: K, in pixels of ``depth``.
        edge_tolerance: Largest spread of the inverse depths about the reading, as a share of it: across the edge of
            an object the reading lies on neither surface.
    """
    known = depth.isfinite() & (depth > 0)
    inverse = torch.where(known, depth, 1.0).reciprocal()
    maps = torch.stack([inverse, inverse.square(), known.to(inverse.dtype)], dim=-3)
    size = pixels.new_tensor([depth.shape[-1], depth.shape[-2]])
    inside = pixels.isfinite().all(dim=-1)
    inside = inside & ((pixels >= 0) & (pixels < size)).all(dim=-1)
    pixels = torch.where(inside[..., None], pixels, 0.0)
    mean, mean_square, share_known = bilinear_sample(maps, pixels).unbind(dim=-1)
    spread = (mean_square - mean.square()).clamp(min=0).sqrt()
    cam_from_world = rearrange(cam_from_world, "... i j -> ... 1 i j")
    intrinsics = rearrange(intrinsics, "... i j -> ... 1 i j")
    # Where nothing is known the mean is 0: its point is far away, and said not to count.
    depth_there = mean.clamp(min=torch.finfo(mean.dtype).tiny).reciprocal()
    points = unproject_pixels(pixels, depth_there, cam_from_world, intrinsics)
    one_surface = (share_known > 0.999) & (spread <= edge_tolerance * mean)
    return points, inside & one_surface
