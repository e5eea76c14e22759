"""Plans: lines seen from above or from the side, at one scale in both directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.figure import Figure

from mvt4g.viz.charts import STYLE, Curve, new_figure


@dataclass(frozen=True)
class PlanLine:
    """A line on a plan.

    Attributes:
        points: (x, y) in order.
        colour: Of the line.
        width: Points of print.
        name: In the legend; empty = not there.
        marker: Drawn at every point, as matplotlib calls it; empty = none.
    """

    points: Curve
    colour: str
    width: float | int = 1.0
    name: str = ""
    marker: str = ""


@dataclass(frozen=True)
class PlanPanel:
    """A plan: lines drawn at one scale in both directions.

    Attributes:
        title: Stands above it.
        axes: Names and units of x and y.
        lines: From the lowest to the topmost.
        centre: (x, y) in the middle.
        upside_down: y grows downwards.
    """

    title: str
    axes: tuple[str, str]
    lines: Sequence[PlanLine]
    centre: tuple[float, float]
    upside_down: bool = False


@mpl.rc_context(STYLE)
def draw_plans(panels: Sequence[PlanPanel], reach: float, caption: str) -> Figure:
    """Draw plans side by side, all at one scale, with one legend.

    Args:
        panels: At least one.
        reach: From a panel's centre to its edges, in units of its axes.
        caption: Stands below.
    """
    figure, grid = new_figure((3.6 * len(panels), 4.2), 1, len(panels))
    for panel, axes in zip(panels, grid.flat, strict=True):
        for line in panel.lines:
            x, y = zip(*line.points, strict=True)
            label = line.name or "_"  # matplotlib leaves names with a leading _ out of the legend
            marker = line.marker or None
            axes.plot(x, y, color=line.colour, linewidth=line.width, marker=marker, label=label)
        axes.set_aspect("equal")
        across, along = panel.centre
        axes.set_xlim(across - reach, across + reach)
        axes.set_ylim(along - reach, along + reach)
        if panel.upside_down:
            axes.invert_yaxis()
        axes.set(title=panel.title, xlabel=panel.axes[0], ylabel=panel.axes[1])
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    figure.supxlabel(caption, fontsize=8)
    return figure
