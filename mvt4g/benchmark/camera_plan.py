"""All camera paths of a scene in one drawing, from above and from the side, as SVG."""

import html
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.pose import transform_points

SIZE, MARGIN = 360.0, 34.0
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f3c8d", "#a0522d", "#4b6a00", "#333333",
)  # fmt: skip
_FRUSTUM = ((0.0, 0.0, 0.0), (-0.5, -0.3, 1.0), (0.5, -0.3, 1.0), (0.5, 0.3, 1.0), (-0.5, 0.3, 1.0))
"""A pyramid of depth 1, its tip first: OpenCV's axes."""
_FRUSTUM_SHARE = 0.12
_VIEWS = (("from above (x to the right, z up)", 0, 2, -1.0), ("from the side (z to the right, y down)", 2, 1, 1.0))
"""Title, axis across, axis along, and the sign of the latter on a screen whose y points down."""


def draw_paths(paths: Mapping[str, Float[Tensor, "t 4 4"]]) -> str:
    """Return two SVG drawings of cameras by name, at one scale; a group of each has ``data-camera`` and a dot.

    The dot has its places of all frames in ``data-points``, so that a page can move it.

    Args:
        paths: World from camera, one world for all.
    """
    reach = 0.0
    for path in paths.values():
        reach = max(reach, float(path[:, :3, 3].abs().max()))
    reach = max(reach, 1e-3) * (1 + 2 * _FRUSTUM_SHARE)
    drawings = []
    for title, across, along, sign in _VIEWS:
        plane = _Plane(across, along, sign, reach)
        groups = []
        for number, (name, path) in enumerate(paths.items()):
            groups.append(_group(name, path.double(), plane, COLOURS[number % len(COLOURS)]))
        middle = SIZE / 2
        axes = f'<path class="axis" d="M{MARGIN} {middle}H{SIZE - MARGIN}M{middle} {MARGIN}V{SIZE - MARGIN}"/>'
        words = f'<text x="{MARGIN}" y="{MARGIN / 2}">{title}; to the edge {reach:.2f} scene units</text>'
        drawings.append(f'<svg viewBox="0 0 {SIZE:g} {SIZE:g}" role="img">{axes}{words}{"".join(groups)}</svg>')
    return "\n".join(drawings)


class _Plane:
    """What of a point is drawn where.

    Args:
        across: Axis that goes to the right.
        along: Axis that goes up or down.
        sign: 1 = down.
        reach: Distance from the middle to the margin, scene units.
    """

    def __init__(self, across: int, along: int, sign: float, reach: float) -> None:
        self.across = across
        self.along = along
        self.sign = sign
        self.scale = (SIZE / 2 - MARGIN) / reach

    def places(self, points: Float[Tensor, "p 3"]) -> list[str]:
        """Return ``x,y`` of each point."""
        found = []
        for point in points.tolist():
            x = SIZE / 2 + self.scale * point[self.across]
            y = SIZE / 2 + self.scale * self.sign * point[self.along]
            found.append(f"{x:.1f},{y:.1f}")
        return found


def _group(name: str, path: Float[Tensor, "t 4 4"], plane: _Plane, colour: str) -> str:
    """Draw one camera's path with the frustum of its last frame and a dot at its first."""
    places = plane.places(path[:, :3, 3])
    depth = _FRUSTUM_SHARE * (SIZE / 2 - MARGIN) / plane.scale
    corners = transform_points(path[-1], depth * torch.tensor(_FRUSTUM, dtype=path.dtype))
    tip, *base = plane.places(corners)
    edges = "".join(f"M{tip}L{corner}" for corner in base)
    told = html.escape(name)
    x, y = base[0].split(",")
    return (
        f'<g data-camera="{told}"><polyline class="path" stroke="{colour}" points="{" ".join(places)}"/>'
        f'<path class="frustum" stroke="{colour}" d="{edges}M{"L".join(base)}Z"/>'
        f'<circle r="4" fill="{colour}" cx="{places[0].split(",")[0]}" cy="{places[0].split(",")[1]}" '
        f'data-points="{" ".join(places)}"/><text class="name" style="fill:{colour}" x="{x}" y="{y}">{told}</text></g>'
    )
