"""What a synthetic scene is drawn from: counts, sizes and ranges, all values, no code.

Lengths are scene units (objects are about one unit), angles degrees, pairs are inclusive ranges.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from mvt4g.ranges import Frames, Positive, Side, Views, check_allocation, check_ranges, hints_of, is_pair
from mvt4g.synthetic.camera_specs import CameraSpec, LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.object_specs import DroppedObjects, ObjectSpec, Region
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.types import InputError

__all__ = ["RECIPE_VERSION", "CameraSpec", "LookSpec", "ObjectSpec", "PointSpec", "SceneSpec"]

BYTES_A_PIXEL = 24
BYTES_A_TRACK = 12
"""Of a clip: colour, depth, instance and what moves of a pixel, and place and visibility of a point in a frame."""
RECIPE_VERSION = 1
"""Raised whenever the same recipe gives other clips than before, so that no cache mixes the two."""


@dataclass(frozen=True)
class SceneSpec:
    """A recipe for clips: ``generate_clip(scene, seed, index)`` draws one.

    Attributes:
        num_frames: Frames a clip.
        image_size: Height and width, pixels.
        num_views: Cameras a clip.
        fps: Frames a second.
        objects: The rigid bodies; the type says how they are placed.
        cameras: The cameras; the type says how they are placed.
        looks: Textures and light.
        points: The tracked points.
    """

    num_frames: Frames = 5
    image_size: tuple[Side, Side] = (64, 64)
    num_views: Views = 3
    fps: Positive = 12.0
    objects: ObjectSpec | DroppedObjects = ObjectSpec()
    cameras: CameraSpec | LinearCameras | RingCameras | RecamCameras = CameraSpec()
    looks: LookSpec = LookSpec()
    points: PointSpec = PointSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a count is below its least value or a range is reversed.
        """
        check_ranges(self, "scene")
        height, width = self.image_size
        if min(height, width) < 2:
            raise InputError(f"scene.image_size: got {height}x{width}, want at least 2x2")
        axes = {"views": self.num_views, "frames": self.num_frames, "height": height, "width": width}
        check_allocation("scene", axes, bytes_each=BYTES_A_PIXEL)
        points = {"points": self.points.count, "views": self.num_views, "frames": self.num_frames}
        check_allocation("scene.points", points, bytes_each=BYTES_A_TRACK)
        for room in ("objects", "cameras", "looks"):
            _check_ranges(f"scene.{room}", getattr(self, room))
        if isinstance(self.objects, DroppedObjects):
            _check_dropped(self.objects)
        elif not self.objects.kinds or not 0 < self.objects.restitution < 1:
            raise InputError("scene.objects: want at least one kind and a restitution in (0, 1)")
        if isinstance(self.cameras, RingCameras):
            rings = {len(self.cameras.counts), len(self.cameras.elevations), len(self.cameras.azimuths)}
            if len(rings) > 1:
                raise InputError(f"scene.cameras: got counts, elevations, azimuths of {sorted(rings)} rings, want one")
        if isinstance(self.cameras, RecamCameras) and not self.cameras.lenses:
            raise InputError("scene.cameras.lenses: got none, want at least one")

    @classmethod
    def tiny(cls) -> "SceneSpec":
        """Return the recipe ``tiny``: 3 views x 5 frames of 64x64."""
        return cls()

    @classmethod
    def nano(cls) -> "SceneSpec":
        """Return the recipe ``nano``: 3 views x 3 frames of 48x48."""
        return cls(num_frames=3, image_size=(48, 48))


def _check_ranges(place: str, spec: Any) -> None:
    """Refuse what is out of its range, and ranges that are reversed, in specs within the spec too."""
    check_ranges(spec, place)
    for field in fields(spec):
        value = getattr(spec, field.name)
        name = f"{place}.{field.name}"
        if is_dataclass(value):
            _check_ranges(name, value)
        elif field.type == Region:
            for low, high in value:
                _check_range(name, low, high)
        elif is_pair(hints_of(type(spec))[field.name]):
            _check_range(name, *value)


def _check_range(name: str, low: float | int, high: float | int) -> None:
    if low > high:
        raise InputError(f"{name}: got {(low, high)}, want (least, largest)")


def _check_dropped(objects: DroppedObjects) -> None:
    if not objects.kinds or objects.first_frame < 0 or objects.settle < 0 or not objects.size[0] > 0:
        raise InputError("scene.objects: want at least one kind, sizes above 0, settle and first_frame at least 0")
    for name in ("floor_restitution", "restitution"):
        value = getattr(objects.surfaces, name)
        if not 0 <= value[0] <= value[1] <= 1:
            raise InputError(f"scene.objects.surfaces.{name}: got {value}, want within [0, 1]")
