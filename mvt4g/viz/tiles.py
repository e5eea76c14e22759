"""Videos and images in captioned rows on one sheet."""

import itertools
from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from mvt4g.viz.canvas import magnification, magnify, to_frame

_PAPER = 22
_INK = 232
_GAP = 6
_CAPTION_HEIGHT = 22
_FONT_SIZE = 14
_SMALLEST_FONT_SIZE = 8


def tile_videos(
    rows: Sequence[Sequence[Float[Tensor, "_ 3 _ _"]]], captions: Sequence[Sequence[str]] | None = None
) -> Float[Tensor, "t 3 h w"]:
    """Lay videos out in rows, each under its caption.

    A column is as wide as its widest video and a row as high as its highest; smaller ones are centred. A video shorter
    than the longest stands still on its last frame.

    Args:
        rows: RGB in [0, 1]; small ones are best enlarged first (``magnify``).
        captions: One per video, or None for a sheet without text.
    """
    length = max(map(len, itertools.chain.from_iterable(rows)))
    widths = _column_widths(rows)
    sheet_width = sum(widths) + _GAP * len(widths)
    strips = []
    for index, row in enumerate(rows):
        height = max(video.shape[-2] for video in row)
        cells = []
        for column, video in enumerate(row):
            cell = _centre(_hold(video, length), height, widths[column])
            if captions is not None:
                cell = _put_caption(cell, captions[index][column])
            cells.append(_pad(cell, right=_GAP, bottom=_GAP))
        strip = torch.cat(cells, dim=-1)
        # A row of fewer videos is filled up with paper.
        strips.append(_pad(strip, right=sheet_width - strip.shape[-1]))
    return _pad(torch.cat(strips, dim=-2), left=_GAP, top=_GAP)


def _column_widths(rows: Sequence[Sequence[Float[Tensor, "_ 3 _ _"]]]) -> list[int]:
    widths = [0] * max(map(len, rows))
    for row in rows:
        for column, video in enumerate(row):
            widths[column] = max(widths[column], video.shape[-1])
    return widths


def tile_images(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]], captions: Sequence[Sequence[str]] | None = None
) -> Float[Tensor, "3 h w"]:
    """Lay images out in rows as ``tile_videos`` does."""
    one_frame_videos = []
    for row in rows:
        one_frame_videos.append([image[None] for image in row])
    return tile_videos(one_frame_videos, captions)[0]


def film_strip(
    videos: Sequence[Float[Tensor, "_ 3 _ _"]], captions: Sequence[str], columns: int = 5
) -> Float[Tensor, "3 h w"]:
    """Show one video a row by up to ``columns`` frames spread evenly over its length, small frames enlarged.

    Args:
        videos: RGB in [0, 1].
        captions: One per video, written over its first frame; later frames carry their number.
        columns: Frames a row.
    """
    rows = []
    texts = []
    for video, caption in zip(videos, captions, strict=True):
        columns_here = min(columns, len(video))
        picked = torch.linspace(0, len(video) - 1, columns_here).round().long().tolist()
        factor = magnification(video.shape[-2], video.shape[-1])
        row = []
        for frame in picked:
            row.append(magnify(video[frame], factor))
        rows.append(row)
        texts.append([caption, *(f"frame {frame}" for frame in picked[1:])])
    return tile_images(rows, texts)


def _hold(video: Float[Tensor, "t c h w"], length: int) -> Float[Tensor, "{length} c h w"]:
    last = video[-1:].expand(length - len(video), -1, -1, -1)
    return torch.cat([video, last])


def _centre(video: Float[Tensor, "t c h w"], height: int, width: int) -> Float[Tensor, "t c {height} {width}"]:
    spare_y = height - video.shape[-2]
    spare_x = width - video.shape[-1]
    left = spare_x // 2
    top = spare_y // 2
    return _pad(video, left=left, right=spare_x - left, top=top, bottom=spare_y - top)


def _pad(
    video: Float[Tensor, "t c h w"], left: int = 0, right: int = 0, top: int = 0, bottom: int = 0
) -> Float[Tensor, "t c h+{top+bottom} w+{left+right}"]:
    levels = video.detach().float().cpu().clamp(0, 1)
    return F.pad(levels, (left, right, top, bottom), value=_PAPER / 255)


def _put_caption(video: Float[Tensor, "t 3 h w"], text: str) -> Float[Tensor, "t 3 H w"]:
    strip = _caption(text, video.shape[-1]).expand(len(video), -1, -1, -1)
    return torch.cat([strip, video], dim=-2)
    return torch.cat([strip.expand(len(video), -1, -1, -1), video], dim=-2)


def _caption(text: str, width: int) -> Float[Tensor, "1 3 h {width}"]:
    """Write a line of text, smaller where it would not fit, cut off with dots where that is not enough."""
    strip = Image.new("RGB", (width, _CAPTION_HEIGHT), (_PAPER,) * 3)
    draw = ImageDraw.Draw(strip)
    size = _FONT_SIZE
    while size > _SMALLEST_FONT_SIZE and draw.textlength(text, _font(size)) > width - 2:
        size -= 1
    while draw.textlength(text, _font(size)) > width - 2 and len(text) > 1:
        # A text too short for dots loses its last letter alone.
        text = text.removesuffix("...")[:-1] + "..." if len(text) > 4 else text[:-1]
    draw.text((1, _CAPTION_HEIGHT // 2), text, fill=(_INK,) * 3, font=_font(size), anchor="lm")
    return rearrange(to_frame(strip), "c h w -> 1 c h w")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
