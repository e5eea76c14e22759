"""How frames are made ready for a network, as data: a protocol is these numbers as much as it is weights."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from mvt4g.types import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """What happens to frames in [0, 1], in this order: resize, centre crop, cut to a multiple, normalise.

    Attributes:
        mean: Subtracted from each channel.
        std: Divides each channel.
        shorter_side: Pixels it is resized to; the longer side is rounded down. None = as it comes.
        interpolation: Of the resizing; bicubic overshoots [0, 1] and is not clamped.
        antialias: Whether the resizing widens its filter when it shrinks.
        center_crop: Side of the square kept, pixels. None = no crop.
        multiple_of: Rows at the bottom and columns at the right beyond a multiple are cut, as a strided convolution
            without padding ignores them.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    shorter_side: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = False
    center_crop: int | None = None
    multiple_of: int = 1


DINO_FRAMES = Preprocessing(IMAGENET_MEAN, IMAGENET_STD, shorter_side=224, multiple_of=16)
"""VBench's subject consistency: the whole frame, 224 pixels on its shorter side, for DINO ViT-B/16."""
CLIP_FRAMES = Preprocessing(CLIP_MEAN, CLIP_STD, shorter_side=224, interpolation="bicubic", center_crop=224)
"""VBench's background consistency and aesthetic quality: the middle square, for OpenAI's CLIP."""


def preprocess(images: Float[Tensor, "n 3 h w"], how: Preprocessing) -> Float[Tensor, "n 3 height width"]:
    """Make images in [0, 1] ready for a network.

    Raises:
        InputError: If an image is smaller than what is cropped out of it.

    Source:
        VBench's ``dino_transform`` and ``clip_transform``; sizes and offsets round as torchvision's do.
    """
    if how.shorter_side is not None:
        size = resized_size(images.shape[-2], images.shape[-1], how.shorter_side)
        images = F.interpolate(images, size, mode=how.interpolation, antialias=how.antialias, align_corners=False)
    if how.center_crop is not None:
        images = center_crop(images, how.center_crop)
    return normalize(crop_to_multiple(images, how.multiple_of), how.mean, how.std)


def resized_size(height: int, width: int, shorter_side: int) -> tuple[int, int]:
    """Return the size with that shorter side and, but for rounding down, the same aspect."""
    long = int(shorter_side * max(height, width) / min(height, width))
    return (shorter_side, long) if height <= width else (long, shorter_side)


def center_crop(images: Float[Tensor, "n 3 h w"], side: int) -> Float[Tensor, "n 3 side side"]:
    """Keep the middle square; an odd margin is halved to the even side, as torchvision does.

    Raises:
        InputError: If the image is smaller.
    """
    height, width = images.shape[-2:]
    if min(height, width) < side:
        raise InputError(f"images: got {height}x{width}, want at least {side}x{side} to crop from")
    # Python rounds ties to even, as torchvision does.
    top = round((height - side) / 2)
    left = round((width - side) / 2)
    return images[..., top : top + side, left : left + side]


def crop_to_multiple(
    images: Float[Tensor, "n c h w"],
    multiple: int,
) -> Float[Tensor, "n c height width"]:
    """Cut rows at the bottom and columns at the right until both sides are multiples.

    Raises:
        InputError: If nothing would be left.
    """
    height = images.shape[-2] // multiple * multiple
    width = images.shape[-1] // multiple * multiple
    if not height or not width:
        raise InputError(f"images: got {images.shape[-2]}x{images.shape[-1]}, want at least {multiple}x{multiple}")
    return images[..., :height, :width]


def normalize(
    images: Float[Tensor, "n 3 h w"],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Float[Tensor, "n 3 h w"]:
    """Subtract each channel's mean and divide by its standard deviation."""
    offset = rearrange(images.new_tensor(mean), "c -> c 1 1")
    return (images - offset) / rearrange(images.new_tensor(std), "c -> c 1 1")
