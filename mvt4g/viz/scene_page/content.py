"""What a scene page holds beside its pictures: cameras and tracks in the page's own world.

The page's world is the reference camera of frame 0 (x right, y down, z forward), scaled so that the median depth of the
reference is 1: the viewer needs no other scale for its first view, the size of frusta and the speed of flight.
"""

import base64
import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.formats.scene4d import SceneTracks, SceneView, TrueTracks
from mvt4g.geometry.pose import compose, invert_pose, transform_points
from mvt4g.types import InputError
from mvt4g.viz.colours import rainbow_by_row
from mvt4g.viz.scene_page.pictures import ViewPictures

MAX_TRACKS = 400
"""Tracks that a page shows; of more, this many spread evenly over the list."""
_LABELS = {"reference": "Reference", "generated": "Generated"}


class Block:
    """Bytes that the page's description points into."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> tuple[int, int]:
        """Append and return offset and length."""
        place = (self.size, len(data))
        self._parts.append(data)
        self.size += len(data)
        return place

    def base64(self) -> str:
        """Return all of it as text."""
        return base64.b64encode(b"".join(self._parts)).decode()


@dataclass(frozen=True)
class PageWorld:
    """The world that a page draws in.

    Attributes:
        page_from_world: Rigid; the scene's units.
        scale: Scene units that are 1 in the page.
    """

    page_from_world: Float[Tensor, "4 4"]
    scale: float

    @classmethod
    def of(cls, reference: SceneView) -> "PageWorld":
        """Return the world about a reference view."""
        # The median, since a sky at 10,000 or one pixel at the lens must not shrink or blow up everything.
        scale = float(reference.depth[reference.depth > 0].median())
        return cls(reference.cameras.cam_from_world[0].double(), scale)

    def points(self, world: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
        """Return points of the scene's world in the page's."""
        return (transform_points(self.page_from_world, world.double()) / self.scale).float()

    def poses(self, cam_from_world: Float[Tensor, "t 4 4"]) -> list[list[float]]:
        """Return world_from_cam in the page's world, 12 numbers by rows."""
        poses = compose(self.page_from_world, invert_pose(cam_from_world.double()))
        poses[:, :3, 3] /= self.scale  # rotations have no scale
        return rounded(poses[:, :3].flatten(1))


def describe_view(name: str, view: SceneView, pictures: ViewPictures, world: PageWorld, block: Block) -> dict[str, Any]:
    """Return what the viewer is told of a view; its pictures go into the block."""
    lens = view.cameras.intrinsics.double()
    focal_x, skew, centre_x = lens[:, 0].unbind(dim=1)
    focal_y, centre_y = lens[:, 1, 1:].unbind(dim=1)
    scale = pictures.scale
    height, width = view.depth.shape[1:]
    described: dict[str, Any] = {
        "name": name,
        "label": _LABELS[name],
        "width": width,
        "height": height,
        "poses": world.poses(view.cameras.cam_from_world),
        "lenses": rounded(torch.stack([focal_x, skew, centre_x, focal_y, centre_y], dim=1)),
        "logNear": math.log(scale.nearest / world.scale),
        "logStep": scale.step,
        "levels": scale.num_levels,
        "hasConfidence": view.confidence is not None,
        "colour": [block.add(file) for file in pictures.colour],
        "depth": [block.add(file) for file in pictures.depth],
    }
    if view.true_cam_from_world is not None:
        described["truePoses"] = world.poses(view.true_cam_from_world)
    return described


def pack_tracks(tracks: SceneTracks, world: PageWorld, block: Block) -> dict[str, Any]:
    """Return what the viewer is told of tracks, of at most ``MAX_TRACKS`` points; their numbers go into the block."""
    kept = spread_over(tracks.visible.shape[-1])
    positions = world.points(tracks.world[:, :, kept])
    return _described_tracks(tracks.pixels[:, :, kept], positions, tracks.visible[:, :, kept], block)


def pack_truth(truth: TrueTracks, world: PageWorld, block: Block) -> dict[str, Any]:
    """Return what the viewer is told of true tracks; they have one position for both views."""
    kept = spread_over(truth.visible.shape[-1])
    positions = world.points(truth.world[:, kept])
    return _described_tracks(truth.pixels[:, :, kept], positions, truth.visible[:, :, kept], block)


def spread_over(count: int) -> list[int]:
    """Return at most ``MAX_TRACKS`` indices spread evenly over ``count``."""
    shown = min(count, MAX_TRACKS)
    return [index * count // shown for index in range(shown)]


def checked_view(name: str, view: SceneView) -> SceneView:
    """Return a view whose depth and confidence are finite and not negative.

    Raises:
        InputError: If no pixel has a depth.
    """
    depth = _finite(view.depth)
    if not bool((depth > 0).any()):
        raise InputError(f"{name}: got no pixel with a depth, want depth over 0 somewhere")
    confidence = None if view.confidence is None else _finite(view.confidence)
    return SceneView(view.video.cpu(), depth, view.cameras.to("cpu"), confidence, view.true_cam_from_world)


def rounded(values: Float[Tensor, "*b"], digits: int = 7) -> Any:
    """Return nested lists of numbers of few digits."""
    return torch.round(values.double(), decimals=digits).tolist()


def _described_tracks(
    pixels: Float[Tensor, "v t n 2"], world: Float[Tensor, "*v t n 3"], visible: Bool[Tensor, "v t n"], block: Block
) -> dict[str, Any]:
    return {
        "count": pixels.shape[2],
        "frames": pixels.shape[1],
        # The colours of overlay.mp4: a point is the same there and here.
        "colours": rounded(rainbow_by_row(pixels[0]), 3),
        "pixels": _add_floats(pixels, block),
        "world": _add_floats(world, block),
        "seen": _add_flags(visible, block),
    }


def _finite(values: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    values = values.cpu().float()
    return torch.where(values.isfinite() & (values > 0), values, 0.0)


def _add_floats(values: Float[Tensor, "..."], block: Block) -> tuple[int, int]:
    """Add little-endian float32; what is not finite is NaN."""
    finite = torch.where(values.isfinite(), values, torch.nan)
    return block.add(finite.cpu().float().contiguous().numpy().astype("<f4").tobytes())


def _add_flags(values: Bool[Tensor, "..."], block: Block) -> tuple[int, int]:
    return block.add(values.cpu().contiguous().numpy().astype("u1").tobytes())
