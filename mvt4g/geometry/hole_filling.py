"""Colours for the holes of a rendering: that of the nearest pixel, or diffused from all round."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mvt4g.ranges import check_word

HoleRule = Literal["black", "nearest", "diffuse"]
SWEEPS = 8
"""Steps of diffusion at each size of the pyramid."""


def fill_holes(
    video: Float[Tensor, "t c h w"],
    mask: Bool[Tensor, "t h w"],
    rule: HoleRule,
) -> Float[Tensor, "t c h w"]:
    """Return a video without holes; what the mask has is left bit for bit, and a frame that shows nothing stays black.

    Args:
        video: Renderings.
        mask: True where something is seen.
        rule: "black" leaves the holes. "nearest" takes the colour of the nearest pixel that is seen, among equally near
            ones that of the nearest column, left before right, upper before lower. "diffuse" lets colours flow into the
            hole from its edge until each pixel is about the mean of its four neighbours (Laplace's equation).

    Raises:
        InputError: If there is no such rule.
    """
    check_word("holes", rule, HoleRule)
    if rule == "black":
        return torch.where(mask[:, None], video, 0.0)
    fill = _from_nearest if rule == "nearest" else _diffused
    frames = []
    for image, seen in zip(video, mask, strict=True):
        if bool(seen.all()):
            frames.append(image)
        elif bool(seen.any()):
            frames.append(fill(image, seen))
        else:
            frames.append(torch.zeros_like(image))
    return torch.stack(frames)


def _from_nearest(image: Float[Tensor, "c h w"], mask: Bool[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
    row, distance = _nearest_in_column(mask)
    square = distance.square()
    y, x = (~mask).nonzero(as_tuple=True)
    # The nearest pixel of a hole is, in its own column, the nearest one to the hole's row: columns alone are searched.
    column = x.clone()
    best = square[y, x]
    width = mask.shape[1]
    away = 1
    searching = torch.arange(len(y), device=mask.device)
    while len(searching):
        for step in (-away, away):
            place = x[searching] + step
            inside = (place >= 0) & (place < width)
            place = place.clamp(0, width - 1)
            found = square[y[searching], place] + away**2
            nearer = inside & (found < best[searching])
            better = searching[nearer]
            best[better] = found[nearer]
            column[better] = place[nearer]
        away += 1
        # Columns as far away as the best found cannot be nearer.
        searching = searching[best[searching] > away**2]
    filled = image.clone()
    filled[:, y, x] = image[:, row[y, column], column]
    return filled


def _nearest_in_column(mask: Bool[Tensor, "h w"]) -> tuple[Int[Tensor, "h w"], Int[Tensor, "h w"]]:
    """Return for each pixel the row of the nearest seen pixel of its column, and how far that is.

    A column without any is said to be farther than any pixel of the image; its rows mean nothing.
    """
    height, width = mask.shape
    row = torch.arange(height, device=mask.device)[:, None].expand(height, width)
    far = 2 * (height + width)
    above = torch.where(mask, row, -far).cummax(dim=0).values
    below = torch.where(mask, row, height + far).flip(0).cummin(dim=0).values.flip(0)
    is_above = row - above <= below - row
    nearest = torch.where(is_above, above, below)
    return nearest.clamp(0, height - 1), (nearest - row).abs()


def _diffused(image: Float[Tensor, "c h w"], mask: Bool[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
    """Fill holes from a picture of half the size that has none, then let neighbours level out."""
    size = (image.shape[-2], image.shape[-1])
    seen = mask.to(image.dtype)[None, None]
    weight = F.avg_pool2d(seen, 2, ceil_mode=True)[0]
    total = F.avg_pool2d(image[None] * seen, 2, ceil_mode=True)[0]
    known = weight > 0
    coarse = torch.where(known, total / torch.where(known, weight, 1.0), 0.0)
    if not bool(known.all()):
        coarse = _diffused(coarse, known[0])
    smooth = F.interpolate(coarse[None], size, mode="bilinear", align_corners=False)[0]
    filled = torch.where(mask, image, smooth)
    for _ in range(SWEEPS):
        padded = F.pad(filled[None], (1, 1, 1, 1), mode="replicate")[0]
        across = padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
        along = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
        filled = torch.where(mask, image, (across + along) / 4)
    return filled
