"""Camera paths from above and from the side, a frustum every few frames, start and end marked."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.geometry.camera import unproject_pixels
from mvt4g.geometry.pose import invert_pose
from mvt4g.types import Cameras
from mvt4g.viz.charts import Curve, Figure
from mvt4g.viz.plans import PlanLine, PlanPanel, draw_plans

_FRUSTA = 7
_FRUSTUM_SHARE = 0.14
"""Depth of a frustum, as a share of how far cameras and subject are spread."""
_ROOM = 1.08
START = "#009e73"
END = "#d55e00"
BETWEEN = "#56b4e9"
REFERENCE = "#828282"
SUBJECT = "#e69f00"


@dataclass(frozen=True)
class CameraScene:
    """What is drawn.

    Attributes:
        target: Cameras, one a frame.
        image_size: (height, width) of the image that intrinsics belong to.
        reference: Cameras of the source; None = not drawn.
        subject: Where the subject of the shot is in every frame, world; None = there is none.
    """

    target: Cameras
    image_size: tuple[int, int]
    reference: Cameras | None = None
    subject: Float[Tensor, "t 3"] | None = None


@dataclass(frozen=True)
class _Plane:
    """What of a point is drawn across and along."""

    across: int
    along: int

    def flat(self, points: Float[Tensor, "p 3"]) -> Curve:
        return [(x, y) for x, y in points[:, [self.across, self.along]].tolist()]


def draw_camera_paths(scene: CameraScene, caption: str) -> Figure:
    """Draw a path from above (x to the right, z up) and from the side (z to the right, y down), at one scale.

    Args:
        scene: Cameras in a world with OpenCV's axes.
        caption: Words below the picture.
    """
    depth = _frustum_depth(scene)
    frusta = {"target": _frusta(scene.target, scene.image_size, depth)}
    if scene.reference is not None:
        frusta["reference"] = _frusta(scene.reference, scene.image_size, depth)
    corners = torch.cat(list(frusta.values())).reshape(-1, 3)
    points = torch.cat([corners, _places(scene)])
    low = points.amin(dim=0)
    high = points.amax(dim=0)
    centre = ((low + high) / 2).tolist()
    panels = []
    for title, plane in (("from above", _Plane(0, 2)), ("from the side", _Plane(2, 1))):
        axes = (_axis_name(plane.across), _axis_name(plane.along))
        middle = (centre[plane.across], centre[plane.along])
        lines = _plan_lines(scene, frusta, plane)
        # OpenCV's y points down, and a plan that shows it keeps that.
        upside_down = plane.along == 1
        panels.append(PlanPanel(title, axes, lines, middle, upside_down))
    reach = float((high - low).max()) / 2 * _ROOM
    return draw_plans(panels, max(reach, 1e-6), caption)


def _axis_name(axis: int) -> str:
    return f"{'xyz'[axis]} (scene units)"


def _plan_lines(scene: CameraScene, frusta: Mapping[str, Float[Tensor, "_ 5 3"]], plane: _Plane) -> list[PlanLine]:
    """Return the lines of one plan; later ones lie over earlier ones, so that start and end stay in sight."""
    lines = []
    if scene.reference is not None:
        lines += _path_lines(scene.reference, frusta["reference"], plane, REFERENCE, "source")
    if scene.subject is not None:
        subject = plane.flat(scene.subject.float())
        ends = [subject[0], subject[-1]]
        lines.append(PlanLine(subject, SUBJECT))
        lines.append(PlanLine(ends, SUBJECT, 0, "subject", "x"))
    lines += _path_lines(scene.target, frusta["target"], plane, BETWEEN, "")
    for number, colour, name in ((-1, END, "end"), (0, START, "start")):
        shape = frusta["target"][number]
        lines.append(PlanLine(plane.flat(_outline(shape)), colour, 1.6))
        lines.append(PlanLine(plane.flat(shape[:1]), colour, 0, name, "o"))
    return lines


def _path_lines(
    cameras: Cameras, frusta: Float[Tensor, "k 5 3"], plane: _Plane, colour: str, name: str
) -> list[PlanLine]:
    centres = invert_pose(cameras.cam_from_world)[:, :3, 3]
    lines = [PlanLine(plane.flat(centres), colour, 1.6, name)]
    for shape in frusta:
        lines.append(PlanLine(plane.flat(_outline(shape)), colour, 0.6))
    return lines


def _outline(shape: Float[Tensor, "5 3"]) -> Float[Tensor, "p 3"]:
    """Return the corners of a frustum in an order in which one line draws all its edges."""
    return shape[[0, 1, 2, 0, 3, 4, 0, 1, 4, 3, 2]]


def _frusta(cameras: Cameras, image_size: tuple[int, int], depth: float) -> Float[Tensor, "k 5 3"]:
    """Return the centre and the four far corners of some of the cameras, first and last among them."""
    count = len(cameras.cam_from_world)
    # Rounded, so that first and last are among them whatever the count.
    chosen = torch.linspace(0, count - 1, min(count, _FRUSTA)).round().long()
    some = cameras[chosen]
    height, width = image_size
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    far_depth = torch.full((len(chosen), 4), depth)
    poses = some.cam_from_world[:, None]
    far = unproject_pixels(corners, far_depth, poses, some.intrinsics[:, None])
    return torch.cat([invert_pose(poses)[..., :3, 3], far], dim=1)


def _frustum_depth(scene: CameraScene) -> float:
    """Return how deep frusta are drawn, world."""
    spread = _places(scene)
    extent = float((spread.amax(dim=0) - spread.amin(dim=0)).max())
    return _FRUSTUM_SHARE * extent if extent > 1e-6 else 1.0


def _places(scene: CameraScene) -> Float[Tensor, "p 3"]:
    """Return every place that cameras and subject come to."""
    places = [invert_pose(scene.target.cam_from_world)[:, :3, 3]]
    if scene.reference is not None:
        places.append(invert_pose(scene.reference.cam_from_world)[:, :3, 3])
    if scene.subject is not None:
        places.append(scene.subject.float())
    return torch.cat(places)
