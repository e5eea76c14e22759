"""Camera paths from above and from the side, a frustum every few frames, start and end marked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras
from mvt4g.viz.canvas import to_frame
from mvt4g.viz.heat_maps import FAINT, INK, PAPER, font, text_width

_FINE = 3
"""Lines are drawn so many times finer than they are shown."""
_SIDE, _MARGIN, _GAP, _FONT_SIZE = 420, 28, 12, 13
_FRUSTA = 7
_FRUSTUM_SHARE = 0.14
"""Depth of a frustum, as a share of the whole extent."""
START, END, SUBJECT, REFERENCE = (88, 214, 141), (255, 97, 97), (255, 196, 0), (160, 160, 160)
_EARLY, _LATE = (88, 160, 255), (230, 150, 255)


@dataclass(frozen=True)
class CameraScene:
    """What is drawn.

    Attributes:
        target: Cameras, one a frame.
        image_size: (height, width) of the image that intrinsics belong to.
        reference: Cameras of the source; None = not drawn.
        subject: Points that the shot is about, one a frame, world; None = none.
    """

    target: Cameras
    image_size: tuple[int, int]
    reference: Cameras | None = None
    subject: Float[Tensor, "t 3"] | None = None


def draw_camera_paths(scene: CameraScene, lines: Sequence[str] = ()) -> Float[Tensor, "3 H W"]:
    """Draw a path from above (x to the right, z up) and from the side (z to the right, y down), at one scale.

    Args:
        scene: Cameras in a world with OpenCV's axes.
        lines: Words below the picture.
    """
    reach = _reach(scene)
    shapes = {"target": _frusta(scene.target, scene.image_size, reach)}
    if scene.reference is not None:
        shapes["reference"] = _frusta(scene.reference, scene.image_size, reach)
    points = torch.cat([*(corners.reshape(-1, 3) for corners in shapes.values()), _places(scene)])
    low, high = points.amin(dim=0), points.amax(dim=0)
    scale = (_SIDE - 2 * _MARGIN) / max(float((high - low).max()), 1e-9)
    top = _FONT_SIZE + 2 * _GAP
    size = (2 * _SIDE + 3 * _GAP, top + _SIDE + _GAP + (len(lines) + 1) * (_FONT_SIZE + _GAP))
    image = Image.new("RGB", (size[0] * _FINE, size[1] * _FINE), PAPER)
    fine = ImageDraw.Draw(image)
    views = {"from above (x right, z up)": (0, 2, -1.0), "from the side (z right, y down)": (2, 1, 1.0)}
    for panel, (across, along, sign) in enumerate(views.values()):
        left = _GAP + panel * (_SIDE + _GAP)
        middle = (left + _SIDE / 2, top + _SIDE / 2)
        _draw_panel(fine, scene, shapes, _Plane(across, along, sign, (low + high) / 2, scale, middle), (left, top))
    image = image.resize(size, Image.Resampling.BOX)
    draw = ImageDraw.Draw(image)
    for panel, title in enumerate(views):
        draw.text((_GAP + panel * (_SIDE + _GAP), _GAP), title, fill=FAINT, font=font(_FONT_SIZE), anchor="lt")
    _draw_scale_bar(draw, scale, (_GAP + _MARGIN / 2, top + _SIDE - _GAP))
    _draw_legend(draw, scene, (_GAP, top + _SIDE + _GAP + _FONT_SIZE // 2))
    for number, line in enumerate(lines, start=1):
        place = (_GAP, top + _SIDE + _GAP + number * (_FONT_SIZE + _GAP))
        draw.text(place, line, fill=INK, font=font(_FONT_SIZE), anchor="lt")
    return to_frame(image)


@dataclass(frozen=True)
class _Plane:
    """Where points of the world are in one panel, fine pixels."""

    across: int
    along: int
    sign: float
    centre: Float[Tensor, "3"]
    scale: float
    middle: tuple[float, float]

    def at(self, point: Float[Tensor, "3"]) -> tuple[float, float]:
        offset = (point - self.centre) * self.scale
        x = self.middle[0] + float(offset[self.across])
        return x * _FINE, (self.middle[1] + self.sign * float(offset[self.along])) * _FINE


def _draw_panel(
    draw: ImageDraw.ImageDraw,
    scene: CameraScene,
    shapes: Mapping[str, Float[Tensor, "k 5 3"]],
    plane: _Plane,
    corner: tuple[int, int],
) -> None:
    box = [side * _FINE for side in (*corner, corner[0] + _SIDE, corner[1] + _SIDE)]
    draw.rectangle(box, outline=(56, 56, 56), width=_FINE)
    if scene.reference is not None:
        _draw_path(draw, scene.reference, plane, (REFERENCE, REFERENCE))
        for frustum in shapes["reference"]:
            _draw_frustum(draw, frustum, plane, REFERENCE, 1)
    if scene.subject is not None:
        places = [plane.at(point) for point in scene.subject.float()]
        draw.line([coordinate for place in places for coordinate in place], fill=SUBJECT, width=_FINE)
        for x, y in (places[0], places[-1]):
            for slope in (-1, 1):
                reach = 4 * _FINE
                draw.line((x - reach, y - slope * reach, x + reach, y + slope * reach), fill=SUBJECT, width=2 * _FINE)
    _draw_path(draw, scene.target, plane, (_EARLY, _LATE))
    frusta = shapes["target"]
    for number, frustum in enumerate(frusta):
        is_end = number in (0, len(frusta) - 1)
        colour = (START if number == 0 else END) if is_end else _mixed(_EARLY, _LATE, number / (len(frusta) - 1))
        _draw_frustum(draw, frustum, plane, colour, 2 if is_end else 1)
    for frustum, colour in ((frusta[-1], END), (frusta[0], START)):
        x, y = plane.at(frustum[0])
        radius = 5 * _FINE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _draw_path(
    draw: ImageDraw.ImageDraw, cameras: Cameras, plane: _Plane, colours: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    places = [plane.at(centre) for centre in invert_pose(cameras.cam_from_world)[:, :3, 3]]
    for number, (start, end) in enumerate(pairwise(places)):
        draw.line((*start, *end), fill=_mixed(*colours, number / max(len(places) - 2, 1)), width=2 * _FINE)


def _draw_frustum(
    draw: ImageDraw.ImageDraw, frustum: Float[Tensor, "5 3"], plane: _Plane, colour: tuple[int, ...], width: int
) -> None:
    apex, *corners = [plane.at(point) for point in frustum]
    for corner, after in zip(corners, [*corners[1:], corners[0]], strict=True):
        draw.line((*apex, *corner), fill=colour, width=width * _FINE)
        draw.line((*corner, *after), fill=colour, width=width * _FINE)


def _draw_scale_bar(draw: ImageDraw.ImageDraw, scale: float, place: tuple[float, int]) -> None:
    """Draw a bar of a round length, at most a quarter of a panel."""
    most = _SIDE / 4 / scale
    power = 10.0 ** math.floor(math.log10(most))
    length = power * max(factor for factor in (1, 2, 5) if factor * power <= most)
    x, y = place
    draw.line((x, y, x + length * scale, y), fill=INK, width=2)
    draw.text((x, y - 4), f"{length:g} scene units", fill=INK, font=font(_FONT_SIZE), anchor="lb")


def _draw_legend(draw: ImageDraw.ImageDraw, scene: CameraScene, place: tuple[int, int]) -> None:
    names = {"start": START, "end": END}
    names |= {} if scene.reference is None else {"source": REFERENCE}
    names |= {} if scene.subject is None else {"subject": SUBJECT}
    x, y = place
    for name, colour in names.items():
        draw.ellipse((x, y - 4, x + 8, y + 4), fill=colour)
        draw.text((x + 14, y), name, fill=INK, font=font(_FONT_SIZE), anchor="lm")
        x += 14 + text_width(name) + 2 * _GAP


def _frusta(cameras: Cameras, image_size: tuple[int, int], reach: float) -> Float[Tensor, "k 5 3"]:
    """Return the centre and the four far corners of some of the cameras, first and last among them."""
    count = len(cameras.cam_from_world)
    shown = torch.linspace(0, count - 1, min(count, _FRUSTA)).round().long()
    height, width = image_size
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    some = cameras[shown]
    depth = torch.full((len(shown), 4), reach)
    far = unproject_pixels(corners, depth, some.cam_from_world[:, None], some.intrinsics[:, None])
    return torch.cat([invert_pose(some.cam_from_world)[:, None, :3, 3], far], dim=1)


def _reach(scene: CameraScene) -> float:
    """Return how deep frusta are drawn, world."""
    spread = _places(scene)
    extent = float((spread.amax(dim=0) - spread.amin(dim=0)).max())
    return _FRUSTUM_SHARE * extent if extent > 1e-6 else 1.0


def _places(scene: CameraScene) -> Float[Tensor, "p 3"]:
    """Return every place that cameras and subject come to."""
    paths = [scene.target] if scene.reference is None else [scene.target, scene.reference]
    centres = [invert_pose(path.cam_from_world)[:, :3, 3] for path in paths]
    return torch.cat(centres if scene.subject is None else [*centres, scene.subject.float()])


def _mixed(first: tuple[int, ...], second: tuple[int, ...], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
