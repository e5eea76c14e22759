"""Tables of numbers as coloured cells with names and values: where in a network something is high."""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mvt4g.viz.canvas import to_frame
from mvt4g.viz.colours import difference_colours, heat_colours

Paint = Callable[[Tensor], Tensor]
"""Shares (...) in [0, 1] to RGB (... 3)."""

PAPER, INK, FAINT = (22, 22, 22), (232, 232, 232), (120, 120, 120)
_UNKNOWN = (58, 58, 58)
_BEST = (64, 255, 140)
_FONT_SIZE, _CELL_FONT_SIZE = 13, 12
_GAP = 8
_WIDTH, _HEIGHT = 420, 300
"""What the cells share, before their sizes are clamped."""
_CELL_WIDTH, _CELL_HEIGHT = (12, 52), (12, 30)
_LEGIBLE = (34, 16)
"""Least width and height of a cell that has its value written in it."""
_BAR_WIDTH = 12


def draw_heat_map(
    values: Float[Tensor, "rows columns"],
    row_names: Sequence[str],
    column_names: Sequence[str],
    axes: tuple[str, str],
    limits: tuple[float, float],
    signed: bool = False,
) -> Float[Tensor, "3 H W"]:
    """Draw one cell an entry, dark for low and bright for high, with a colour bar; the largest is framed.

    Values are written in the cells where these are wide enough, names are left out where they would overlap. NaN is
    grey.

    Args:
        values: Any numbers.
        row_names: From the top.
        column_names: From the left.
        axes: What rows are, what columns are.
        limits: Values of the darkest and the brightest colour.
        signed: Blue for low and orange for high instead, dark between them.
    """
    paint = difference_colours if signed else heat_colours
    values = values.detach().double().cpu()
    rows, columns = values.shape
    width = _clamped(_WIDTH // max(columns, 1), _CELL_WIDTH)
    height = _clamped(_HEIGHT // max(rows, 1), _CELL_HEIGHT)
    left = max(text_width(name) for name in (*row_names, axes[0])) + 2 * _GAP
    top, line = _FONT_SIZE + 2 * _GAP, _FONT_SIZE + _GAP
    right = 3 * _GAP + _BAR_WIDTH + max(text_width(_number(limit, limits)) for limit in limits) + _GAP
    image = Image.new("RGB", (left + columns * width + right, top + rows * height + 2 * line + _GAP), PAPER)
    draw = ImageDraw.Draw(image)
    for row in range(rows):
        for column in range(columns):
            box = (left + column * width, top + row * height, left + (column + 1) * width, top + (row + 1) * height)
            _cell(draw, box, float(values[row, column]), limits, paint)
    if rows * columns and not values.isnan().all():
        best = int(values.nan_to_num(nan=-torch.inf).argmax())
        x, y = left + best % columns * width, top + best // columns * height
        draw.rectangle((x, y, x + width - 1, y + height - 1), outline=_BEST, width=2)
    _text(draw, (left - _GAP, top - _GAP), axes[0], "rs", FAINT)
    _text(draw, (left + columns * width / 2, top + rows * height + 2 * line - 2), axes[1], "ms", FAINT)
    for row in range(0, rows, 1 + (_FONT_SIZE + 2) // height):
        _text(draw, (left - _GAP, top + (row + 0.5) * height), row_names[row], "rm")
    widest = max((text_width(name) for name in column_names), default=1)
    for column in range(0, columns, 1 + (widest + 4) // width):
        _text(draw, (left + (column + 0.5) * width, top + rows * height + line - 4), column_names[column], "ms")
    _bar(draw, (left + columns * width + 2 * _GAP, top, rows * height), limits, paint)
    return to_frame(image)


def common_limits(maps: Sequence[Tensor]) -> tuple[float, float]:
    """Return the least and largest value of all maps that is no NaN; (0, 1) where there is none."""
    known = torch.cat([values.detach().double().flatten().cpu() for values in maps])
    known = known[known.isfinite()]
    return (float(known.min()), float(known.max())) if known.numel() else (0.0, 1.0)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int = _FONT_SIZE) -> int:
    """Return how many pixels wide a line of text is."""
    return round(ImageDraw.Draw(Image.new("L", (1, 1))).textlength(text, font(size)))


def _cell(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], value: float, limits: tuple[float, float], paint: Paint
) -> None:
    known = not math.isnan(value)
    share = _share(value, limits) if known else 0.0
    red, green, blue = (round(255 * part) for part in paint(torch.tensor(share)).tolist()) if known else _UNKNOWN
    draw.rectangle((box[0], box[1], box[2] - 2, box[3] - 2), fill=(red, green, blue))
    if box[2] - box[0] >= _LEGIBLE[0] and box[3] - box[1] >= _LEGIBLE[1]:
        ink = (20, 20, 20) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (245, 245, 245)
        middle = ((box[0] + box[2]) / 2 - 1, (box[1] + box[3]) / 2 - 1)
        _text(draw, middle, _number(value, limits) if known else "n/a", "mm", ink, _CELL_FONT_SIZE)


def _bar(draw: ImageDraw.ImageDraw, place: tuple[int, int, int], limits: tuple[float, float], paint: Paint) -> None:
    x, top, length = place
    colours = paint(torch.linspace(1, 0, length)).mul(255).round().long().tolist()
    for y, colour in enumerate(colours):
        draw.line((x, top + y, x + _BAR_WIDTH, top + y), fill=tuple(colour))
    _text(draw, (x + _BAR_WIDTH + _GAP, top + 1), _number(limits[1], limits), "lt")
    _text(draw, (x + _BAR_WIDTH + _GAP, top + length - 1), _number(limits[0], limits), "lb")


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return 0.5 if high <= low else (value - low) / (high - low)


def _number(value: float, limits: tuple[float, float]) -> str:
    """Write a number of one map: all of them with as many decimals, so that differences show."""
    span = max(abs(limits[0]), abs(limits[1]), limits[1] - limits[0])
    return f"{value:.{2 if span >= 0.2 else 3 if span >= 0.02 else 4}f}"


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float | int, float | int],
    text: str,
    anchor: str,
    colour: tuple[int, int, int] = INK,
    size: int = _FONT_SIZE,
) -> None:
    draw.text(place, text, fill=colour, font=font(size), anchor=anchor)


def _clamped(value: int, limits: tuple[int, int]) -> int:
    return min(max(value, limits[0]), limits[1])
