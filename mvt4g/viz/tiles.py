"""Videos and images in captioned rows on one sheet."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from mvt4g.viz.canvas import magnification, magnify, to_frame

_PAPER, _INK = 22, 232
_GAP = 6
_CAPTION_HEIGHT, _FONT_SIZE, _SMALLEST_FONT_SIZE = 22, 14, 8


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
    length = max(len(video) for row in rows for video in row)
    columns = max(len(row) for row in rows)
    widths = [max(row[column].shape[-1] for row in rows if column < len(row)) for column in range(columns)]
    strips = []
    for index, row in enumerate(rows):
        height = max(video.shape[-2] for video in row)
        texts = captions[index] if captions is not None else [None] * len(row)
        cells = [
            _with_caption(_centred(_held(video, length), height, width), text)
            for video, width, text in zip(row, widths, texts, strict=False)
        ]
        strip = torch.cat([_framed(cell) for cell in cells], dim=-1)
        strips.append(_padded(strip, right=sum(widths) + _GAP * columns - strip.shape[-1]))
    return _padded(torch.cat(strips, dim=-2), left=_GAP, top=_GAP)


def tile_images(
    rows: Sequence[Sequence[Float[Tensor, "3 _ _"]]], captions: Sequence[Sequence[str]] | None = None
) -> Float[Tensor, "3 h w"]:
    """Lay images out in rows as ``tile_videos`` does."""
    return tile_videos([[image[None] for image in row] for row in rows], captions)[0]


def film_strip(
    videos: Sequence[Float[Tensor, "_ 3 _ _"]], captions: Sequence[str], columns: int = 5
) -> Float[Tensor, "3 h w"]:
    """Show one video a row by up to ``columns`` frames spread evenly over its length, small frames enlarged.

    Args:
        videos: RGB in [0, 1].
        captions: One per video, written over its first frame; later frames carry their number.
        columns: Frames a row.
    """
    rows, texts = [], []
    for video, caption in zip(videos, captions, strict=True):
        picked = torch.linspace(0, len(video) - 1, min(columns, len(video))).round().long().tolist()
        factor = magnification(video.shape[-2], video.shape[-1])
        rows.append([magnify(video[frame], factor) for frame in picked])
        texts.append([caption, *(f"frame {frame}" for frame in picked[1:])])
    return tile_images(rows, texts)


def _held(video: Float[Tensor, "t c h w"], length: int) -> Float[Tensor, "{length} c h w"]:
    return torch.cat([video, video[-1:].expand(length - len(video), -1, -1, -1)])


def _centred(video: Float[Tensor, "t c h w"], height: int, width: int) -> Float[Tensor, "t c {height} {width}"]:
    spare_y, spare_x = height - video.shape[-2], width - video.shape[-1]
    left, top = spare_x // 2, spare_y // 2
    return _padded(video, left=left, right=spare_x - left, top=top, bottom=spare_y - top)


def _framed(video: Float[Tensor, "t c h w"]) -> Float[Tensor, "t c H W"]:
    return _padded(video, right=_GAP, bottom=_GAP)


def _padded(
    video: Float[Tensor, "t c h w"], left: int = 0, right: int = 0, top: int = 0, bottom: int = 0
) -> Float[Tensor, "t c h+{top+bottom} w+{left+right}"]:
    return F.pad(video.detach().float().cpu().clamp(0, 1), (left, right, top, bottom), value=_PAPER / 255)


def _with_caption(video: Float[Tensor, "t 3 h w"], text: str | None) -> Float[Tensor, "t 3 H w"]:
    if text is None:
        return video
    strip = _caption(text, video.shape[-1])
    return torch.cat([strip.expand(len(video), -1, -1, -1), video], dim=-2)


def _caption(text: str, width: int) -> Float[Tensor, "1 3 h {width}"]:
    """Write a line of text, smaller where it would not fit, cut off with dots where that is not enough."""
    strip = Image.new("RGB", (width, _CAPTION_HEIGHT), (_PAPER,) * 3)
    draw = ImageDraw.Draw(strip)
    size = next(
        (
            size
            for size in range(_FONT_SIZE, _SMALLEST_FONT_SIZE, -1)
            if draw.textlength(text, _font(size)) <= width - 2
        ),
        _SMALLEST_FONT_SIZE,
    )
    while draw.textlength(text, _font(size)) > width - 2 and len(text) > 1:
        text = text.removesuffix("...")[:-1] + "..." if len(text) > 4 else text[:-1]
    draw.text((1, _CAPTION_HEIGHT // 2), text, fill=(_INK,) * 3, font=_font(size), anchor="lm")
    return rearrange(to_frame(strip), "c h w -> 1 c h w")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
