"""MVTrack4Gen's conditioning: dense Plücker rays of both views, real intrinsics included, told to every block."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.plucker import plucker_rays
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.models.conditioning.interface import CameraConditioning, zero_linear
from mvt4g.models.layers.patches import PatchEmbedding
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import REFERENCE, Cameras, LatentGrid


def packed_channels(grid: LatentGrid) -> int:
    """Return the number of channels of ``packed_rays``."""
    return 6 * grid.temporal_stride * grid.spatial_stride**2


def packed_rays(
    cameras: Cameras,
    grid: LatentGrid,
    height: int,
    width: int,
) -> Float[Tensor, "b v c f h w"]:
    """Return rays ``[o x d, d]`` relative to the reference's first camera, packed on the grid of the latents, fp32.

    The first frame is repeated ``temporal_stride`` times, so that every latent frame owns a group of that many video
    frames; component, frame of the group and the pixels under a latent cell become channels, in this order.

    Args:
        cameras: (b v t), view 0 the reference; translations count in scene units, as given.
        grid: How the latents lie over the video.
        height: Rows of the latents.
        width: Columns of the latents.

    Source: The input of Wan2.1-Fun's control adapter.
    """
    frames = grid.temporal_stride
    stride = grid.spatial_stride
    cam_from_world = cameras.cam_from_world.float()
    world_from_reference = invert_pose(cam_from_world[:, REFERENCE, 0])
    cam_from_reference = compose(cam_from_world, world_from_reference[:, None, None])
    rays = plucker_rays(cam_from_reference, cameras.intrinsics.float(), height * stride, width * stride)
    # The codec takes the first frame alone and the others in groups: repeated, it fills a group too.
    first = rays[:, :, :1].expand(-1, -1, frames - 1, -1, -1, -1)
    rays = torch.cat([first, rays], dim=2)
    return rearrange(rays, "b v (f t) c (h y) (w x) -> b v (c t y x) f h w", t=frames, y=stride, x=stride)


class PluckerEncoder(nn.Module):
    """Packed rays of both views and one convolution over the DiT's patches: one feature a token.

    Source: MVTrack4Gen's project page, "Improved camera encoding".
    """

    def __init__(self, dit: VideoDiTConfig, grid: LatentGrid) -> None:
        super().__init__()
        self.grid = grid
        self.pack = PatchEmbedding(packed_channels(grid), dit.dim, dit.patch_size)
        # The start of a Linear over all of a patch, which is what this convolution computes.
        nn.init.xavier_uniform_(self.pack.weight.flatten(1))

    def forward(self, cameras: Cameras, height: int, width: int) -> Float[Tensor, "b v f h w d"]:
        """Return features for latents of ``height`` x ``width``."""
        packed = packed_rays(cameras, self.grid, height, width)
        features = self.pack(rearrange(packed, "b v c f h w -> (b v) c f h w"))
        return rearrange(features, "(b v) f h w d -> b v f h w d", b=len(packed))


class PluckerConditioning(CameraConditioning):
    """The encoder above and one zero-initialised Linear a block; appended to what a backbone has of its own."""

    name = "plucker"

    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module:
        """Build what all blocks share."""
        return PluckerEncoder(dit, grid)

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return zero_linear(dit.dim, dit.dim)
