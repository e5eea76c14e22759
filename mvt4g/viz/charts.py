"""Charts: dots of every seed, curves with bands, heat maps. This module and ``plans`` alone import matplotlib.

Each function returns a matplotlib figure. A figure has white paper of its own, so that it reads on a dark page too.
``save_chart`` writes it as SVG or PNG.
"""

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import torch
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from mvt4g.viz.canvas import to_frame

Curve = Sequence[tuple[int | float, int | float]]
"""(x, y) of one run, in the order in which they are joined."""

XScale = Literal["rising", "falling", "doubling"]

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#785ef0", "#828282", "#633c14", "#143c28",
)  # fmt: skip
"""Colours that colour-blind readers tell apart too: Okabe and Ito's, and four more."""
STYLE: Any = {  # the names of matplotlib's settings are a type of its own
    "axes.axisbelow": True,
    "axes.edgecolor": "#9a9a9a",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.size": 8.5,
    "grid.color": "#e2e2e2",
    "legend.frameon": False,
    "text.parse_math": False,  # a label says what it says, $ too
    "svg.hashsalt": "mvt4g",  # otherwise the names of SVG elements are random
}
"""Settings of every figure."""
_DPI = 150
_BAND_OPACITY = 0.18
_UNKNOWN = "#c8c8c8"
_FRAME = "#00b060"
_MAP_SIZE = (3.4, 2.6)
"""Inches that the cells of a heat map share, before the size of a cell is clamped."""
_CELL_WIDTHS = (0.12, 0.46)
_CELL_HEIGHTS = (0.12, 0.26)
"""Least and greatest size of a cell, in inches."""
_LEGIBLE_CELL = (0.3, 0.15)
"""Inches that a cell needs to have its value written in it."""
_NAME_WIDTH = 0.3
_NAME_HEIGHT = 0.14
"""Inches that a name beside the cells takes."""


@dataclass(frozen=True)
class DotPanel:
    """One score of several arms.

    Attributes:
        label: Name and unit of the score.
        values: The seeds' values, by arm; an arm may have none.
    """

    label: str
    values: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class CurvePanel:
    """One pair of axes with a line a name.

    Attributes:
        axes: Names and units of x and y.
        curves: The runs of every name. The line of several runs is their mean where all have a value, and the band
            reaches from the least to the greatest. A value that is not finite breaks the line.
        title: Stands above the axes.
        limits: Least and greatest y; None = as the values ask.
        x_scale: ``falling`` from left to right, or ``doubling``: equal room from 0 to 1, from 1 to 2 and from 2 to 4.
    """

    axes: tuple[str, str]
    curves: Mapping[str, Sequence[Curve]]
    title: str = ""
    limits: tuple[float, float] | None = None
    x_scale: XScale = "rising"


@dataclass(frozen=True)
class HeatRow:
    """Heat maps side by side that share one scale of colours.

    Attributes:
        label: Name and unit of the values.
        maps: Values (rows, columns), by the title above each map.
        limits: Values of the first and the last colour.
        signed: Purple for low, white for the middle and orange for high, instead of dark for low and bright for high.
    """

    label: str
    maps: Mapping[str, Float[Tensor, "_ _"]]
    limits: tuple[float, float]
    signed: bool = False


@mpl.rc_context(STYLE)
def draw_dots(panels: Sequence[DotPanel], columns: int = 4) -> Figure:
    """Draw one panel a score: a row an arm, a dot a seed, and a bar at their mean."""
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    arms = list(panels[0].values)
    size = (2.3 * columns + 0.8, (0.22 * len(arms) + 0.75) * rows)
    figure, grid = new_figure(size, rows, columns)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for index, (panel, axes) in enumerate(zip(panels, grid.flat, strict=False)):
        for place, (arm, values) in enumerate(panel.values.items()):
            known = np.asarray(values, dtype=float)
            known = known[np.isfinite(known)]
            colour = COLOURS[place % len(COLOURS)]
            heights = [place] * len(known)
            axes.plot(known, heights, "o", color=colour, markersize=5, alpha=0.75, label=arm)
            if len(known):
                mean = [known.mean()]
                axes.plot(mean, [place], "|", color=colour, markersize=13, markeredgewidth=2)
        axes.set_title(panel.label)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        # Arms are named beside the first panel of a row alone: the rows of all panels are the same.
        names = arms if index % columns == 0 else [""] * len(arms)
        axes.set_yticks(range(len(arms)), names)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    return figure


@mpl.rc_context(STYLE)
def draw_curves(panels: Sequence[Sequence[CurvePanel]]) -> Figure:
    """Draw panels in rows, with one legend for all: a name has one colour in every panel."""
    columns = max(map(len, panels))
    size = (3.1 * columns + 1.4, 2.2 * len(panels))
    figure, grid = new_figure(size, len(panels), columns)
    names: list[str] = []  # once each, in the order of their first panel
    for panel in itertools.chain.from_iterable(panels):
        names.extend(name for name in panel.curves if name not in names)
    handles: dict[str, Line2D] = {}
    for row, row_axes in zip(panels, grid, strict=True):
        for axes in row_axes[len(row) :]:
            axes.remove()
        for panel, axes in zip(row, row_axes, strict=False):
            for name, runs in panel.curves.items():
                colour = COLOURS[names.index(name) % len(COLOURS)]
                _draw_runs(axes, name, runs, colour)
            if panel.limits is not None:
                axes.set_ylim(*_with_room(*panel.limits))
            _scale_x(axes, panel.x_scale)
            axes.set(xlabel=panel.axes[0], ylabel=panel.axes[1], title=panel.title)
            for line in axes.get_lines():
                handles[str(line.get_label())] = line
    drawn = sorted(handles, key=names.index)
    if drawn:
        figure.legend([handles[name] for name in drawn], drawn, loc="outside right upper")
    return figure


@mpl.rc_context(STYLE)
def draw_heat_maps(
    rows: Sequence[HeatRow], row_names: Sequence[str], column_names: Sequence[str], axes_names: tuple[str, str]
) -> Figure:
    """Draw rows of heat maps, each row with its bar of colours; the largest cell of a map is framed.

    Values are written in the cells where these are large enough. NaN is grey.

    Args:
        rows: As many maps in each, all of one shape.
        row_names: Of the cells, from the top.
        column_names: Of the cells, from the left.
        axes_names: What the cells' rows are, and what their columns are.
    """
    columns = len(rows[0].maps)
    width = float(np.clip(_MAP_SIZE[0] / max(len(column_names), 1), *_CELL_WIDTHS))
    height = float(np.clip(_MAP_SIZE[1] / max(len(row_names), 1), *_CELL_HEIGHTS))
    legible = width >= _LEGIBLE_CELL[0] and height >= _LEGIBLE_CELL[1]
    map_width = width * len(column_names) + 0.6
    map_height = height * len(row_names) + 0.8
    size = (map_width * columns + 0.9, map_height * len(rows))
    figure, grid = new_figure(size, len(rows), columns)
    for row, row_axes in zip(rows, grid, strict=True):
        for (title, values), axes in zip(row.maps.items(), row_axes, strict=True):
            cells = values.detach().double().cpu().numpy()
            image = _draw_map(axes, cells, row, legible)
            axes.set(title=title, xlabel=axes_names[1], ylabel=axes_names[0])
            _name_cells(axes.xaxis, column_names, math.ceil(_NAME_WIDTH / width))
            _name_cells(axes.yaxis, row_names, math.ceil(_NAME_HEIGHT / height))
        figure.colorbar(image, ax=list(row_axes), label=row.label, aspect=14, pad=0.01)
    return figure


def common_limits(maps: Sequence[Float[Tensor, "_ _"]]) -> tuple[float, float]:
    """Return the least and the largest finite value of all maps; (0, 1) where there is none."""
    known = torch.cat([values.detach().double().flatten().cpu() for values in maps])
    known = known[known.isfinite()]
    if not known.numel():
        return 0.0, 1.0
    return float(known.min()), float(known.max())


def mean_curve(runs: Sequence[Curve]) -> list[tuple[int | float, float]]:
    """Return the mean of curves at the x that all of them have."""
    means = []
    for x, values in _common_values(runs).items():
        means.append((x, float(np.mean(values))))
    return means


def save_chart(figure: Figure, path: Path) -> None:
    """Write a figure to a file ``.svg`` or ``.png``, the same bytes for the same figure."""
    path.write_bytes(chart_bytes(figure, path.suffix.removeprefix(".")))


@mpl.rc_context(STYLE)
def chart_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file of a kind, ``svg`` or ``png``."""
    buffer = io.BytesIO()
    unchanging = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=_DPI, metadata=unchanging)
    return buffer.getvalue()


def chart_to_frame(figure: Figure) -> Float[Tensor, "3 h w"]:
    """Return a figure as RGB in [0, 1]."""
    with Image.open(io.BytesIO(chart_bytes(figure, "png"))) as image:
        return to_frame(image)


def new_figure(
    size: tuple[float, float], rows: int, columns: int
) -> tuple[Figure, Shaped[np.ndarray, "{rows} {columns}"]]:
    """Return a figure of a size in inches and its axes (rows, columns)."""
    figure = Figure(figsize=size)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _scale_x(axes: Axes, scale: XScale) -> None:
    """Lay out the x axis."""
    if scale == "falling":
        axes.invert_xaxis()
    elif scale == "doubling":
        axes.set_xscale("symlog", base=2, linthresh=1, linscale=0.5)
        axes.xaxis.set_major_formatter("{x:g}")


def _draw_runs(axes: Axes, name: str, runs: Sequence[Curve], colour: str) -> None:
    """Draw the mean of runs, and the band of their values where there are several."""
    common = _common_values(runs)
    if not common:
        return
    x = list(common)
    values = np.array(list(common.values()), dtype=float)
    values[~np.isfinite(values)] = np.nan
    style = "o-" if len(x) <= 12 else "-"  # more dots would hide the line
    axes.plot(x, values.mean(axis=1), style, color=colour, markersize=3.5, linewidth=1.6, label=name)
    if len(runs) > 1:
        low = values.min(axis=1)
        high = values.max(axis=1)
        axes.fill_between(x, low, high, color=colour, alpha=_BAND_OPACITY, linewidth=0)


def _common_values(runs: Sequence[Curve]) -> dict[int | float, list[int | float]]:
    """Return the value of every run at each x that all runs have, in the order of the first run."""
    by_x = [dict(run) for run in runs]
    common = {}
    for x in by_x[0] if by_x else ():
        values = [run[x] for run in by_x if x in run]
        if len(values) == len(by_x):
            common[x] = values
    return common


def _draw_map(
    axes: Axes,
    values: Float[np.ndarray, "rows columns"],
    row: HeatRow,
    legible: bool,
) -> AxesImage:
    """Draw the cells of one map, their values if there is room for them, and the frame of the largest."""
    colour_map = mpl.colormaps["PuOr_r" if row.signed else "inferno"]
    colours = colour_map.with_extremes(bad=_UNKNOWN)
    low, high = row.limits
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    if np.isfinite(values).any():
        best_row, best_column = np.unravel_index(np.nanargmax(values), values.shape)
        corner = (float(best_column) - 0.5, float(best_row) - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=_FRAME, linewidth=1.8, clip_on=False))
    if legible:
        decimals = _decimals(row.limits)
        for (cell_row, cell_column), value in np.ndenumerate(values):
            red, green, blue, _ = image.to_rgba(value)
            # Luma of ITU-R BT.601: dark letters on bright cells.
            bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
            text = f"{value:.{decimals}f}" if math.isfinite(value) else "n/a"
            ink = "#141414" if bright else "white"
            axes.text(cell_column, cell_row, text, color=ink, ha="center", va="center", fontsize=6.5)
    return image


def _name_cells(axis: Axis, names: Sequence[str], step: int) -> None:
    """Write every ``step``-th name, since the names between would overlap."""
    axis.set_ticks(range(0, len(names), step), list(names[::step]))


def _decimals(limits: tuple[float, float]) -> int:
    """Return how many decimals tell the numbers of one map apart."""
    span = max(abs(limits[0]), abs(limits[1]), limits[1] - limits[0])
    if span >= 0.2:
        return 2
    return 3 if span >= 0.02 else 4


def _with_room(low: float, high: float) -> tuple[float, float]:
    """Return a range a little wider, so that a line at its end is not cut."""
    room = 0.05 * (high - low) if high > low else 0.5 * (abs(high) or 1.0)
    return low - room, high + room
