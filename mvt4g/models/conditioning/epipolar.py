"""The epipolar prior: attention between the two views leans to where the cameras allow a match.

The views of a clip are synchronous. So at one time every point, still or moving, lies on the epipolar line that the
known cameras give; neither depth nor reconstruction is needed to say where that is.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.geometry.epipolar import epipolar_distances
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.models.conditioning.epipolar_scores import EpipolarLines, LineBias
from mvt4g.models.conditioning.interface import CameraConditioning
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.ranges import Natural, Positive
from mvt4g.types import REFERENCE, TARGET, Cameras, InputError, LatentGrid

FAR = 1e4
"""Squared distance, tokens, that stands for any larger one: infinity times 0 would be no gradient of a width."""


class EpipolarDistances(nn.Module):
    """How far two tokens of the two views are from showing one point: squared Sampson distances, in tokens."""

    def __init__(self, grid: LatentGrid, patch: int, neighbours: int = 0) -> None:
        """Set the sizes.

        Args:
            grid: How the latents lie over the video.
            patch: Latent cells of a token on each side.
            neighbours: Frames of the other view before and after a token's own that are measured too.
        """
        super().__init__()
        self.grid = grid
        self.patch = patch
        self.stride = patch * grid.spatial_stride
        self.neighbours = neighbours

    def forward(self, cameras: Cameras, height: int, width: int) -> Float[Tensor, "b 2 f h w n"]:
        """Return, for every token of a view, its squared distance to tokens of the other view.

        They are those of its frame and of ``neighbours`` frames before and after, frame by frame and row by row; a
        frame that is not there is FAR.
        """
        rows = height // self.patch
        columns = width // self.patch
        centres = pixel_centres(rows, columns, self.stride, cameras.intrinsics.device).flatten(0, 1)
        at_latents = slice(None, None, self.grid.temporal_stride)
        pose = cameras.cam_from_world[:, :, at_latents]
        intrinsics = cameras.intrinsics[:, :, at_latents]
        clips, frames = len(pose), pose.shape[2]
        cells = len(centres)
        offsets = range(-self.neighbours, self.neighbours + 1)
        squared = centres.new_full((clips, 2, frames, cells, len(offsets), cells), FAR)
        for place, offset in enumerate(offsets):
            # A reference frame beside the target frame `offset` later, and the same pair seen from the target.
            count = frames - abs(offset)
            of_reference = slice(max(-offset, 0), max(-offset, 0) + count)
            of_target = slice(max(offset, 0), max(offset, 0) + count)
            if count <= 0:
                continue
            distance = epipolar_distances(
                centres,
                centres,
                intrinsics[:, REFERENCE, of_reference],
                intrinsics[:, TARGET, of_target],
                compose(pose[:, TARGET, of_target], invert_pose(pose[:, REFERENCE, of_reference])),
            )
            in_tokens = (distance / self.stride).square().clamp(max=FAR).to(squared.dtype)
            squared[:, REFERENCE, of_reference, :, place] = in_tokens
            squared[:, TARGET, of_target, :, len(offsets) - 1 - place] = in_tokens.mT
        return rearrange(squared, "b v f (h w) offset cells -> b v f h w (offset cells)", h=rows)


class EpipolarGains(nn.Module):
    """One learnt gain a head, which makes closeness exp(-d^2 / 2 s^2) a bias on its logits.

    Frames beside the token's own have gains of their own, which start at 0: only still points obey there.
    """

    def __init__(
        self,
        heads: Sequence[int],
        num_heads: int,
        initial: float,
        width: float,
        neighbours: int,
    ) -> None:
        """Set the sizes.

        Args:
            heads: Those that have a gain, 0-based.
            num_heads: All heads.
            initial: Gain at first.
            width: s, in tokens.
            neighbours: Frames before and after a token's own.
        """
        super().__init__()
        self.heads = tuple(heads)
        self.num_heads = num_heads
        self.neighbours = neighbours
        self.width = width
        self.gain = nn.Parameter(torch.full((len(self.heads),), float(initial)))
        if neighbours:
            self.neighbour_gain = nn.Parameter(torch.zeros(len(self.heads), 2 * neighbours))
        self.log_width: nn.Parameter | None = None

    def learn_width(self) -> None:
        """Let every head learn its own width, from the one that is set."""
        self.log_width = nn.Parameter(torch.full((len(self.heads),), math.log(self.width)))

    def forward(self, squared: Float[Tensor, "b f h w n"]) -> Float[Tensor, "b k f h w n"]:
        """Return the bias of every head, 0 for those without a gain."""
        width = self.gain.new_full((), self.width) if self.log_width is None else self.log_width.exp()
        width = rearrange(width.expand(len(self.heads)), "k -> k 1 1 1 1")
        exponent = -rearrange(squared.to(self.gain.dtype), "b f h w n -> b 1 f h w n")
        closeness = torch.exp(exponent / (2 * width.square()))
        offsets = 2 * self.neighbours + 1
        by_frame = rearrange(closeness, "b k f h w (offset cells) -> b k f h w offset cells", offset=offsets)
        gains = self._by_offset()
        bias = einsum(gains, by_frame, "k offset, b k f h w offset cells -> b k f h w offset cells")
        bias = rearrange(bias, "b k f h w offset cells -> b k f h w (offset cells)")
        if len(self.heads) == self.num_heads:
            return bias
        whole = bias.new_zeros(len(bias), self.num_heads, *bias.shape[2:])
        whole[:, list(self.heads)] = bias
        return whole

    def _by_offset(self) -> Float[Tensor, "k offset"]:
        # Frames before, the own one, frames after: the order of the offsets that distances come in.
        own = rearrange(self.gain, "k -> k 1")
        if not self.neighbours:
            return own
        before, after = self.neighbour_gain.chunk(2, dim=1)
        return torch.cat([before, own, after], dim=1)


class EpipolarBand(nn.Module):
    """A hard mask: of the other view's same frame a token sees what lies within a band about its epipolar line.

    Nothing is learnt. Tokens of the own view and of other times are seen as ever.
    """

    def __init__(self, heads: Sequence[int], num_heads: int, width: float) -> None:
        """Set half the band's width, in tokens, and the heads that are masked, 0-based, of all."""
        super().__init__()
        self.heads = tuple(heads)
        self.num_heads = num_heads
        self.width = width

    def forward(self, squared: Float[Tensor, "b f h w cells"]) -> Float[Tensor, "b k f h w cells"]:
        """Return 0 within the band, minus infinity outside it."""
        outside = squared.new_zeros(squared.shape).masked_fill(squared > self.width**2, -math.inf)
        bias = squared.new_zeros(len(squared), self.num_heads, *squared.shape[1:])
        bias[:, list(self.heads)] = outside[:, None]
        return bias


class EpipolarConditioning(CameraConditioning):
    """Adds ``gain * exp(-d^2 / 2 s^2)`` to the logits between target and reference tokens of the same time.

    d is the Sampson distance of the two tokens' centres in pixels; where the cameras share a centre it is the distance
    to the one place where a match can be. A gain for every head and block is learnt, so that a network takes as much
    of it as it wants. Small sequences alone, but for ``form`` "lines": the bias is a map over all tokens.

    Source: ours, beyond MVTrack4Gen. Relatives with hard masks: CVD (arXiv 2405.17414, a module between same-time
    frames of two generated videos) and CamI2V (2410.15957, between frames of one video).
    """

    name = "epipolar"
    place = "attention_bias"

    def __init__(
        self,
        width: Positive = 0.5,
        initial_gain: float = 0.0,
        last_width: Positive | None = None,
        learn_width: bool = False,
        neighbours: Natural = 0,
        blocks: Sequence[Natural] | None = None,
        heads: Sequence[Natural] | None = None,
        form: Literal["map", "lines", "band"] = "map",
    ) -> None:
        """Say where it acts, how wide it is and where the gains start.

        Args:
            width: s, in tokens; of ``form`` "band", half the band.
            initial_gain: 0 changes nothing at first, for a trained backbone; from scratch 3 learns faster.
            last_width: s of the last block, those between by equal factors; None = ``width`` in every block.
            learn_width: Every head and block learns its s, from there.
            neighbours: Latent frames of the other view before and after a token's own that are biased too, by gains
                of their own that start at 0.
            blocks: 0-based blocks that have it; None = all.
            heads: 0-based heads of these that have it; None = all.
            form: "map": the bias as a map that is added to the logits. "lines": the same bias, computed inside
                FlexAttention from one line a token, so that no map is stored. "band": a hard mask as the relatives
                have, nothing is learnt.

        Raises:
            InputError: If a value is out of range, or two options do not go together.
        """
        for name, value in (("width", width), ("last_width", last_width)):
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"epipolar.{name}: got {value}, want a positive number of tokens")
        if not math.isfinite(initial_gain):
            raise InputError(f"epipolar.initial_gain: got {initial_gain}, want a finite number")
        if form != "map" and (neighbours or (form == "band" and learn_width)):
            raise InputError(f"epipolar.form: got {form} and neighbours or a learnt width, want map for these")
        self.width = width
        self.initial_gain = initial_gain
        self.last_width = last_width
        self.learn_width = learn_width
        self.neighbours = neighbours
        self.blocks = blocks
        self.heads = heads
        self.form = form

    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module:
        """Build what all blocks share: no parameters."""
        if self.form == "lines":
            return EpipolarLines(grid, dit.patch_size[1])
        return EpipolarDistances(grid, dit.patch_size[1], self.neighbours)

    def build_block(self, dit: VideoDiTConfig, layer: int) -> nn.Module | None:
        """Build what one block owns, None for one that has no prior.

        Raises:
            InputError: If there is no such block or head.
        """
        for name, chosen, count in (("blocks", self.blocks, dit.num_layers), ("heads", self.heads, dit.num_heads)):
            if chosen is not None and not (chosen and set(chosen) <= set(range(count))):
                raise InputError(f"epipolar.{name}: got {list(chosen)}, want some of 0 to {count - 1}")
        if self.blocks is not None and layer not in self.blocks:
            return None
        heads = range(dit.num_heads) if self.heads is None else sorted(set(self.heads))
        width = self._width_of(layer, dit.num_layers)
        if self.form == "band":
            return EpipolarBand(heads, dit.num_heads, width)
        gains = EpipolarGains(heads, dit.num_heads, self.initial_gain, width, self.neighbours)
        if self.learn_width:
            gains.learn_width()
        if self.form == "map":
            return gains
        return LineBias(gains.gain, heads, dit.num_heads, width, gains.log_width)

    def build_input(self, dit: VideoDiTConfig) -> nn.Module | None:
        """Build what the first block owns."""
        return self.build_block(dit, 0)

    def _width_of(self, layer: int, num_layers: int) -> float:
        if self.last_width is None or num_layers == 1:
            return self.width
        # Equal factors from block to block.
        depth = layer / (num_layers - 1)
        return float(self.width * (self.last_width / self.width) ** depth)
