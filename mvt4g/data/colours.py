"""Colours of training samples: channels permuted and scaled, or brightness, contrast, saturation and hue jittered."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from mvt4g.ranges import Range, Share, check_ranges
from mvt4g.types import MultiViewClip

GAIN = (0.7, 1.2)
"""Range of the factors of ``recolour``."""
LUMA = (0.299, 0.587, 0.114)
"""Share of each colour channel in grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class JitterSpec:
    """Colour jitter: brightness, contrast, saturation and hue at once.

    Attributes:
        probability: Of a sample to be jittered.
        brightness: Factors are drawn from 1 - this to 1 + this; so are those of contrast and saturation.
        contrast: Of the distance to the mean grey.
        saturation: Of the distance to a pixel's own grey.
        hue_deg: Largest turn of the hues, degrees.
        alike: What has the same draw: all of a clip, each view, or each frame of each view. A target view with colours
            of its own cannot be foretold from the reference, so L_diff would teach guessing.
    """

    probability: Share = 0.0
    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2
    hue_deg: Annotated[float, Range(0, 180)] = 15.0
    alike: Literal["clip", "view", "frame"] = "clip"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "sampling.augment.jitter")

    def draw(self, clip: MultiViewClip, rng: np.random.Generator) -> MultiViewClip:
        """Return the clip, jittered or as it is."""
        if rng.random() >= self.probability:
            return clip
        views, frames = clip.video.shape[:2]
        draws = {"clip": (1, 1), "view": (views, 1), "frame": (views, frames)}[self.alike]
        # The order of the draws is part of what a seed stands for.
        factors = []
        for reach in (self.brightness, self.contrast, self.saturation):
            factor = rng.uniform(1 - reach, 1 + reach, draws)
            factors.append(torch.from_numpy(factor).to(clip.video.dtype))
        turn = np.deg2rad(rng.uniform(-self.hue_deg, self.hue_deg, draws))
        hue = torch.from_numpy(turn).to(clip.video.dtype)
        brightness, contrast, saturation = factors
        return replace(clip, video=jitter(clip.video, brightness, contrast, saturation, hue))


def recolour(video: Float[Tensor, "*b c h w"], rng: np.random.Generator) -> Float[Tensor, "*b c h w"]:
    """Permute the colour channels and scale each by its own gain; values stay in [0, 1]."""
    channels = torch.from_numpy(rng.permutation(video.shape[-3]))
    gains = torch.from_numpy(rng.uniform(*GAIN, video.shape[-3])).to(video.dtype)
    return (video.index_select(-3, channels) * gains[:, None, None]).clamp(0, 1)


def jitter(
    video: Float[Tensor, "v t 3 h w"],
    brightness: Float[Tensor, "#v #t"],
    contrast: Float[Tensor, "#v #t"],
    saturation: Float[Tensor, "#v #t"],
    hue: Float[Tensor, "#v #t"],
) -> Float[Tensor, "v t 3 h w"]:
    """Turn hues by ``hue`` (radians) about grey, then scale saturation, contrast and brightness; cut to [0, 1].

    All four are one affine map of the colours. Contrast is about the mean grey of all that shares its draw.
    """
    luma = video.new_tensor(LUMA)
    grey = luma.expand(3, 3)  # takes a colour to its grey
    matrix = saturation[..., None, None] * (_hue_turn(hue) - grey) + grey
    mean = reduce(einsum(video, luma, "v t c h w, c -> v t h w"), "v t h w -> v t", "mean")
    if contrast.shape[1] == 1:
        mean = mean.mean(dim=1, keepdim=True)
    if contrast.shape[0] == 1:
        mean = mean.mean(dim=0, keepdim=True)
    matrix = (brightness * contrast)[..., None, None] * matrix
    offset = brightness * (1 - contrast) * mean
    views, frames = video.shape[:2]
    mixed = einsum(video, matrix.expand(views, frames, 3, 3), "v t c h w, v t d c -> v t d h w")
    return (mixed + rearrange(offset, "v t -> v t 1 1 1")).clamp(0, 1)


def _hue_turn(angle: Float[Tensor, "v t"]) -> Float[Tensor, "v t 3 3"]:
    """Return the map of colours that turns them about the grey axis and keeps their luma."""
    axis = angle.new_full((3,), 3**-0.5)
    cross = torch.linalg.cross(axis.expand(3, 3), torch.eye(3, dtype=angle.dtype), dim=-1).mT
    outer = axis[:, None] * axis
    cosine = angle.cos()[..., None, None]
    sine = angle.sin()[..., None, None]
    turn = cosine * torch.eye(3, dtype=angle.dtype) + sine * cross + (1 - cosine) * outer
    # A turn about grey moves luma a little; what it moves is given back alike in all channels.
    luma = angle.new_tensor(LUMA)
    moved = einsum(luma, turn, "c, v t c d -> v t d") - luma
    return turn - rearrange(moved, "v t d -> v t 1 d")
