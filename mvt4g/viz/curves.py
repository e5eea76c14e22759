"""Curves with named axes and a legend."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from mvt4g.viz.canvas import to_frame
from mvt4g.viz.heat_maps import FAINT, INK, PAPER, font, text_width

_FINE = 3
"""Curves are drawn so many times finer than they are shown."""
_PLOT = (400, 220)
_TOP, _BOTTOM, _GAP = 12, 46, 8
_FONT_SIZE = 13
_COLOURS = ((255, 176, 0), (84, 174, 255), (255, 97, 148), (88, 214, 141), (190, 149, 255), (220, 220, 220))
_TICKS = 5


def draw_curves(
    x: Sequence[float],
    curves: Mapping[str, Float[Tensor, " n"]],
    axes: tuple[str, str],
    limits: tuple[float, float],
) -> Float[Tensor, "3 H W"]:
    """Draw curves over common positions, a dot at each; NaN breaks a curve.

    Args:
        x: Positions, rising or falling: the first is on the left. Told to two digits behind the point.
        curves: Values by name, as told in the legend.
        axes: What positions are, what values are.
        limits: Values between which the curves run; the axis goes on to round ones.
    """
    ticks = _ticks(*(limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[0] + 0.5)))
    low, high = ticks[0], ticks[-1]
    left = max(text_width(_number(tick, ticks)) for tick in ticks) + 2 * _GAP
    width, height = _PLOT
    legend = max((text_width(name) for name in curves), default=0) + 4 * _GAP
    size = (left + width + legend, _TOP + _FONT_SIZE + _GAP + height + _BOTTOM)
    top = _TOP + _FONT_SIZE + _GAP
    image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), PAPER)
    fine = ImageDraw.Draw(image)
    first, last = (x[0], x[-1]) if x[0] != x[-1] else (x[0] - 0.5, x[0] + 0.5)

    def at(position: float, value: float) -> tuple[float, float]:
        across, up = (position - first) / (last - first), (value - low) / (high - low)
        return (left + 10 + across * (width - 20)) * _FINE, (top + (1 - up) * height) * _FINE

    for tick in ticks:
        y = at(first, tick)[1]
        fine.line((left * _FINE, y, (left + width) * _FINE, y), fill=(56, 56, 56), width=_FINE)
    for index, values in enumerate(curves.values()):
        _curve(fine, [at(*point) for point in zip(x, values.tolist(), strict=True)], _COLOURS[index % len(_COLOURS)])
    image = image.resize(size, Image.Resampling.BOX)
    draw = ImageDraw.Draw(image)
    draw.text((_GAP, _TOP), axes[1], fill=FAINT, font=font(_FONT_SIZE), anchor="lm")
    draw.text((left + width / 2, size[1] - 6), axes[0], fill=FAINT, font=font(_FONT_SIZE), anchor="ms")
    for tick in ticks:
        place = (left - _GAP, at(first, tick)[1] / _FINE)
        draw.text(place, _number(tick, ticks), fill=INK, font=font(_FONT_SIZE), anchor="rm")
    _positions(draw, [(at(position, low)[0] / _FINE, f"{round(position, 2):g}") for position in x], top + height + 16)
    for index, name in enumerate(curves):
        y = top + 10 + index * (_FONT_SIZE + 8)
        draw.rectangle((left + width + _GAP, y - 2, left + width + 3 * _GAP, y + 1), fill=_COLOURS[index % 6])
        draw.text((left + width + 4 * _GAP, y), name, fill=INK, font=font(_FONT_SIZE), anchor="lm")
    return to_frame(image)


def _curve(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
    for start, end in pairwise(points):
        if not (math.isnan(start[1]) or math.isnan(end[1])):
            draw.line((*start, *end), fill=colour, width=2 * _FINE)
    radius = 3.5 * _FINE
    for x, y in points:
        if not math.isnan(y):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _positions(draw: ImageDraw.ImageDraw, places: list[tuple[float, str]], y: int) -> None:
    """Write the positions below the axis, but for those that would touch the one before."""
    free = -math.inf
    for x, text in places:
        half = text_width(text) / 2
        if x - half > free:
            draw.text((x, y), text, fill=INK, font=font(_FONT_SIZE), anchor="ms")
            free = x + half + _GAP


def _ticks(low: float, high: float) -> list[float]:
    """Return evenly spaced round values, from at or below ``low`` to at or above ``high``."""
    step = 10.0 ** math.floor(math.log10((high - low) / _TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= _TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def _number(value: float, ticks: Sequence[float]) -> str:
    gap = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    return f"{value:.{max(0, -math.floor(math.log10(gap) + 1e-9))}f}"
