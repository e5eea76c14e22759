"""Plots as pictures, drawn with Pillow: dots of every seed, and curves over training steps."""

import math
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

SCALE = 2
"""Pixels of the picture for a pixel on the page."""
COLOURS = (
    (0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (230, 159, 0), (120, 94, 240),
    (130, 130, 130), (99, 60, 20), (20, 60, 40),
)  # fmt: skip
"""Told apart by colour-blind readers too: Okabe and Ito's, and four more."""
INK, FAINT, PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)
TEXT = 12
Number = int | float
Points = Sequence[tuple[Number, Number]]


class Panel:
    """A rectangle of a picture with a horizontal and a vertical scale.

    Args:
        draw: The picture.
        box: Left, top, right, bottom of the area inside the axes.
        x_range: Values at its left and right.
        y_range: Values at its bottom and top.
    """

    def __init__(
        self,
        draw: ImageDraw.ImageDraw,
        box: tuple[Number, Number, Number, Number],
        x_range: tuple[Number, Number],
        y_range: tuple[Number, Number],
    ) -> None:
        self.draw, self.box, self.x_range, self.y_range = draw, box, x_range, y_range

    def at(self, x: Number, y: Number) -> tuple[Number, Number]:
        """Return where a point lies in the picture."""
        left, top, right, bottom = self.box
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return left + across * (right - left), bottom - up * (bottom - top)

    def x_axis(self) -> None:
        """Draw upright lines at round values, and the values."""
        for value in round_values(*self.x_range):
            (x, bottom), (_, top) = self.at(value, self.y_range[0]), self.at(value, self.y_range[1])
            self.draw.line((x, bottom, x, top), fill=FAINT, width=SCALE)
            self.draw.text((x, bottom + 4 * SCALE), f"{value:.6g}", fill=INK, font=font(), anchor="ma")

    def y_axis(self) -> None:
        """Draw level lines at round values, and the values."""
        for value in round_values(*self.y_range):
            (left, y), (right, _) = self.at(self.x_range[0], value), self.at(self.x_range[1], value)
            self.draw.line((left, y, right, y), fill=FAINT, width=SCALE)
            self.draw.text((left - 4 * SCALE, y), f"{value:.6g}", fill=INK, font=font(), anchor="rm")

    def dot(self, x: Number, y: Number, colour: tuple[int, int, int], radius: Number = 3.5) -> None:
        """Draw a dot."""
        (x, y), r = self.at(x, y), radius * SCALE
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def line(self, points: Points, colour: tuple[int, int, int], width: Number = 1.5) -> None:
        """Draw a line through points."""
        self.draw.line([self.at(*point) for point in points], fill=colour, width=round(width * SCALE), joint="curve")


def dot_plot(panels: Sequence[tuple[str, Mapping[str, Sequence[Number]]]], columns: int = 4) -> Image.Image:
    """Return a panel a score: a row an arm, a dot a seed, and a bar at their mean."""
    arms = list(panels[0][1])
    label = max(font().getlength(arm) for arm in arms) + 12 * SCALE
    width, row, above, below = 230 * SCALE, 20 * SCALE, 30 * SCALE, 30 * SCALE
    columns = min(columns, len(panels))
    height = above + row * len(arms) + below
    image = Image.new("RGB", (int(label + columns * width), int(math.ceil(len(panels) / columns) * height)), PAPER)
    draw = ImageDraw.Draw(image)
    for index, (title, values) in enumerate(panels):
        left, top = label + index % columns * width, index // columns * height
        box = (left, top + above, left + width - 24 * SCALE, top + height - below)
        draw.text((left, top + above - 6 * SCALE), title, fill=INK, font=font(), anchor="ls")
        shown = [value for row_values in values.values() for value in row_values]
        panel = Panel(draw, box, padded_range(shown), (len(arms) - 0.5, -0.5))
        if shown:
            panel.x_axis()
        for place, arm in enumerate(arms):
            colour = COLOURS[place % len(COLOURS)]
            if index % columns == 0:
                y = panel.at(panel.x_range[0], place)[1]
                draw.text((label - 8 * SCALE, y), arm, fill=INK, font=font(), anchor="rm")
            for value in values[arm]:
                panel.dot(value, place, colour)
            if values[arm]:
                mean = sum(values[arm]) / len(values[arm])
                panel.line([(mean, place - 0.4), (mean, place + 0.4)], colour, width=2)
    return image


def curve_plot(title: str, arms: Mapping[str, Sequence[Points]], size: tuple[int, int] = (460, 260)) -> Image.Image:
    """Return a line an arm: the mean of its seeds where all have a value, each seed faint behind it.

    An arm without runs has no line, but keeps its colour; a value that is not finite is left out.
    """
    arms = {arm: [[point for point in run if math.isfinite(point[1])] for run in runs] for arm, runs in arms.items()}
    width, height = (side * SCALE for side in size)
    label = max(font().getlength(arm) for arm in arms) + 30 * SCALE
    image = Image.new("RGB", (int(width + label), height), PAPER)
    draw = ImageDraw.Draw(image)
    points = [point for runs in arms.values() for run in runs for point in run]
    draw.text((50 * SCALE, 20 * SCALE), title, fill=INK, font=font(), anchor="ls")
    if not points:
        return image
    xs, ys = zip(*points, strict=True)
    box = (50 * SCALE, 30 * SCALE, width - 10 * SCALE, height - 24 * SCALE)
    panel = Panel(draw, box, padded_range(xs, 0), padded_range(ys))
    panel.x_axis()
    panel.y_axis()
    for place, runs in enumerate(arms.values()):
        colour = COLOURS[place % len(COLOURS)]
        pale = (round(0.3 * colour[0] + 178), round(0.3 * colour[1] + 178), round(0.3 * colour[2] + 178))
        for run in runs:
            panel.line(run, pale, width=0.75)
    shown = [(place, arm) for place, arm in enumerate(arms) if arms[arm]]
    for row, (place, arm) in enumerate(shown):
        colour = COLOURS[place % len(COLOURS)]
        panel.line(mean_curve(arms[arm]), colour, width=2)
        y = (36 + 18 * row) * SCALE
        draw.line((width, y, width + 16 * SCALE, y), fill=colour, width=3 * SCALE)
        draw.text((width + 22 * SCALE, y), arm, fill=INK, font=font(), anchor="lm")
    return image


def mean_curve(runs: Sequence[Points]) -> list[tuple[Number, Number]]:
    """Return the mean of curves at the steps that all of them have."""
    by_step = [dict(run) for run in runs]
    steps = sorted(set.intersection(*(set(run) for run in by_step))) if by_step else []
    return [(step, sum(run[step] for run in by_step) / len(by_step)) for step in steps]


def padded_range(values: Sequence[Number], share: Number = 0.06) -> tuple[Number, Number]:
    """Return the least and the greatest value with some room around them."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = share * (high - low) if high > low else 0.5 * (abs(high) or 1.0)
    return low - room, high + room


def round_values(low: Number, high: Number, about: int = 4) -> list[Number]:
    """Return round numbers within a range, about so many."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [round(index * step, 12) for index in range(first, math.floor(high / step) + 1)]


def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of all texts."""
    return ImageFont.load_default(TEXT * SCALE)
