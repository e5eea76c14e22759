"""The epipolar prior: attention between the two views leans to where the cameras allow a match.

The views of a clip are synchronous. So at one time every point, still or moving, lies on the epipolar line that the
known cameras give; neither depth nor reconstruction is needed to say where that is.
"""

import math

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.epipolar import epipolar_distances
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.ranges import Positive
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError, LatentGrid


class EpipolarCloseness(nn.Module):
    """How near two tokens of one time are to showing one point: exp(-d^2 / 2 s^2) of the Sampson distance d, pixels."""

    def __init__(self, grid: LatentGrid, patch: int, width: float) -> None:
        """Set the sizes.

        Args:
            grid: How the latents lie over the video.
            patch: Latent cells of a token on each side.
            width: s, in tokens.
        """
        super().__init__()
        self.grid, self.patch, self.stride = grid, patch, patch * grid.spatial_stride
        self.sigma_px = width * self.stride

    def forward(self, cameras: Cameras, height: int, width: int) -> Float[Tensor, "b 2 f h w cells"]:
        """Return, for every token of a view, its closeness to the tokens of the other view's same frame, row by row."""
        rows, columns = height // self.patch, width // self.patch
        centres = pixel_centres(rows, columns, self.stride, cameras.intrinsics.device).flatten(0, 1)
        at_latents = slice(None, None, self.grid.temporal_stride)
        pose, intrinsics = cameras.cam_from_world[:, :, at_latents], cameras.intrinsics[:, :, at_latents]
        target_from_reference = compose(pose[:, TARGET], invert_pose(pose[:, REFERENCE]))
        distance = epipolar_distances(
            centres, centres, intrinsics[:, REFERENCE], intrinsics[:, TARGET], target_from_reference
        )
        closeness = torch.exp(-(distance**2) / (2 * self.sigma_px**2)).float()
        by_view = torch.stack([closeness, closeness.mT], dim=1)
        return rearrange(by_view, "b v f (h w) cells -> b v f h w cells", h=rows)


class EpipolarGains(nn.Module):
    """One learnt gain a head, which makes closeness a bias on its logits."""

    def __init__(self, num_heads: int, initial: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((num_heads,), float(initial)))

    def forward(self, closeness: Float[Tensor, "b f h w cells"]) -> Float[Tensor, "b k f h w cells"]:
        """Return the bias of every head."""
        return einsum(self.gain, closeness.to(self.gain.dtype), "k, b f h w cells -> b k f h w cells")


class EpipolarConditioning(CameraConditioning):
    """Adds ``gain * exp(-d^2 / 2 s^2)`` to the logits between target and reference tokens of the same time.

    d is the Sampson distance of the two tokens' centres in pixels; where the cameras share a centre it is the distance
    to the one place where a match can be. A gain for every head and block is learnt, so that a network takes as much
    of it as it wants. Small sequences alone: the bias is a map over all tokens.

    Source: ours, beyond MVTrack4Gen. Relatives with hard masks: CVD (arXiv 2405.17414, a module between same-time
    frames of two generated videos) and CamI2V (2410.15957, between frames of one video).
    """

    name = "epipolar"
    place = "attention_bias"

    def __init__(self, width: Positive = 0.5, initial_gain: float = 0.0) -> None:
        """Set the width and where the gains start.

        Args:
            width: s, in tokens.
            initial_gain: 0 changes nothing at first, for a trained backbone; from scratch 3 learns faster.

        Raises:
            InputError: If the width is not positive, or a value is not finite.
        """
        if not 0 < width < math.inf:
            raise InputError(f"epipolar.width: got {width}, want a positive number of tokens")
        if not math.isfinite(initial_gain):
            raise InputError(f"epipolar.initial_gain: got {initial_gain}, want a finite number")
        self.width, self.initial_gain = width, initial_gain

    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module:
        """Build what all blocks share: no parameters."""
        return EpipolarCloseness(grid, dit.patch_size[1], self.width)

    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""
        return EpipolarGains(dit.num_heads, self.initial_gain)
