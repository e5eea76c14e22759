"""Plücker coordinates of viewing rays, channels [o x d, d] with unit d, in the world frame of the cameras given."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.camera import pixel_rays
from mvt4g.geometry.pixels import pixel_centres


def plucker_rays(
    cam_from_world: Float[Tensor, "*b 4 4"],
    intrinsics: Float[Tensor, "*b 3 3"],
    height: int,
    width: int,
) -> Float[Tensor, "*b 6 h w"]:
    """Return the ray of every pixel centre of images of this size.

    Args:
        cam_from_world: Relative to whatever frame the rays are wanted in, such as reference frame 0.
        intrinsics: K, in pixels of the ``height`` x ``width`` image.
        height: Image rows.
        width: Image columns.

    Source: Sitzmann et al., Light Field Networks (arXiv 2106.02634), section 3.1; moment first.
    """
    pixels = pixel_centres(height, width, device=cam_from_world.device).to(cam_from_world.dtype)
    rays = plucker_at(
        pixels,
        rearrange(cam_from_world, "... i j -> ... 1 1 i j"),
        rearrange(intrinsics, "... i j -> ... 1 1 i j"),
    )
    return rearrange(rays, "... h w c -> ... c h w")


def plucker_at(
    pixels: Float[Tensor, "*#b 2"],
    cam_from_world: Float[Tensor, "*#b 4 4"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> Float[Tensor, "*b 6"]:
    """Return the rays through given pixels."""
    origins, directions = pixel_rays(pixels, cam_from_world, intrinsics)
    return torch.cat([torch.linalg.cross(origins, directions), directions], dim=-1)
