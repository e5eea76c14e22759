"""Pinhole cameras: pixels <-> points, and what resizing and cropping do to K. Pixel centres at i + 0.5."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.geometry.pose import rotate, transform_points
from mvt4g.types import InputError


def project_points(
    points_world: Float[Tensor, "*#batch 3"],
    cam_from_world: Float[Tensor, "*#batch 4 4"],
    intrinsics: Float[Tensor, "*#batch 3 3"],
    min_depth: float | int = 1e-4,
) -> tuple[Float[Tensor, "*batch 2"], Bool[Tensor, " *batch"]]:
    """Project world points to pixels and flag those in front of the camera.

    Args:
        points_world: World frame, scene units.
        cam_from_world: Takes world points to the camera frame.
        intrinsics: K, in pixels of the image being projected to.
        min_depth: Nearest depth (scene units) that counts as in front.

    Returns:
        Pixels (x, y), finite everywhere but meaningful only where the mask is True, and the mask.

    Source: Hartley & Zisserman, Multiple View Geometry (2nd ed.), section 6.1.
    """
    points_cam = transform_points(cam_from_world, points_world)
    depth = points_cam[..., 2]
    rays = points_cam / depth.clamp(min=min_depth)[..., None]
    pixels = rotate(intrinsics, rays)[..., :2]
    return pixels, (depth >= min_depth).expand(pixels.shape[:-1])


def points_depth(
    points_world: Float[Tensor, "*#batch 3"],
    cam_from_world: Float[Tensor, "*#batch 4 4"],
) -> Float[Tensor, " *batch"]:
    """Return the z-depth of world points in a camera, scene units, negative behind it."""
    third_row = cam_from_world[..., 2, :3]
    return (third_row * points_world).sum(dim=-1) + cam_from_world[..., 2, 3]


def unproject_pixels(
    pixels: Float[Tensor, "*#b 2"],
    depth: Float[Tensor, "*#b"],
    cam_from_world: Float[Tensor, "*#b 4 4"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> Float[Tensor, "*b 3"]:
    """Lift pixels with a z-depth (scene units) to points of the world frame."""
    points_cam = _rays_cam(pixels, intrinsics) * depth[..., None]
    return _rotate_back(cam_from_world, points_cam - cam_from_world[..., :3, 3])


def pixel_rays(
    pixels: Float[Tensor, "*#b 2"],
    cam_from_world: Float[Tensor, "*#b 4 4"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b 3"]]:
    """Return the viewing rays of pixels: camera centres and unit directions, both in the world frame."""
    directions = _rotate_back(cam_from_world, _rays_cam(pixels, intrinsics))
    directions = directions / torch.linalg.vector_norm(directions, dim=-1, keepdim=True)
    origins = _rotate_back(cam_from_world, -cam_from_world[..., :3, 3])
    return origins.expand_as(directions), directions


def scale_intrinsics(
    intrinsics: Float[Tensor, "*b 3 3"], scale_x: float | int, scale_y: float | int
) -> Float[Tensor, "*b 3 3"]:
    """Return K of the image resized by ``scale_x`` in width and ``scale_y`` in height."""
    return intrinsics * intrinsics.new_tensor([[scale_x], [scale_y], [1.0]])


def crop_intrinsics(
    intrinsics: Float[Tensor, "*b 3 3"], left: float | int, top: float | int
) -> Float[Tensor, "*b 3 3"]:
    """Return K of the image without its first ``left`` columns and ``top`` rows; negative values pad."""
    return intrinsics - intrinsics.new_tensor([[0.0, 0.0, left], [0.0, 0.0, top], [0.0, 0.0, 0.0]])


def zoom_intrinsics(
    intrinsics: Float[Tensor, "*b 3 3"],
    factor: Float[Tensor, " *b"],
) -> Float[Tensor, "*b 3 3"]:
    """Return K of a lens whose focal length is ``factor`` times as long; the principal point stays."""
    lens = torch.zeros(3, 3, dtype=torch.bool, device=intrinsics.device)
    lens[:2, :2] = True
    zoomed = intrinsics * factor.to(intrinsics.dtype)[..., None, None]
    return torch.where(lens, zoomed, intrinsics)


def intrinsics_from_fov(
    fov_x_rad: float | int,
    height: int,
    width: int,
) -> Float[Tensor, "3 3"]:
    """Return K with square pixels and the principal point in the image centre.

    Args:
        fov_x_rad: Horizontal field of view between the image's outer edges, in (0, pi).
        height: Image rows.
        width: Image columns.

    Raises:
        InputError: If the field of view is not in (0, pi).
    """
    if not 0.0 < fov_x_rad < math.pi:
        raise InputError(f"fov_x_rad: got {fov_x_rad}, want an angle in (0, pi)")
    focal = 0.5 * width / math.tan(0.5 * fov_x_rad)
    return torch.tensor([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])


def _rays_cam(
    pixels: Float[Tensor, "*#b 2"],
    intrinsics: Float[Tensor, "*#b 3 3"],
) -> Float[Tensor, "*b 3"]:
    """K^-1 (x, y, 1) by back substitution: camera-frame points at depth 1."""
    y = (pixels[..., 1] - intrinsics[..., 1, 2]) / intrinsics[..., 1, 1]
    # Skew moves x by how far y lies from the centre.
    off_centre = pixels[..., 0] - intrinsics[..., 0, 2] - intrinsics[..., 0, 1] * y
    x = off_centre / intrinsics[..., 0, 0]
    return torch.stack([x, y, torch.ones_like(x)], dim=-1)


def _rotate_back(
    cam_from_world: Float[Tensor, "*#b 4 4"],
    vectors_cam: Float[Tensor, "*#b 3"],
) -> Float[Tensor, "*b 3"]:
    return rotate(cam_from_world[..., :3, :3].mT, vectors_cam)
