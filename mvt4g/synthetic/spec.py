"""What a synthetic scene is drawn from: counts, sizes and ranges, all values, no code.

Lengths are scene units (objects are about one unit), angles degrees, pairs are inclusive ranges.
"""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from mvt4g.synthetic.camera_specs import CameraSpec, LinearCameras, RecamCameras, RingCameras
from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.object_specs import DroppedObjects, ObjectSpec, Region
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.types import InputError

__all__ = ["RECIPE_VERSION", "CameraSpec", "LookSpec", "ObjectSpec", "PointSpec", "SceneSpec"]

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

    num_frames: int = 5
    image_size: tuple[int, int] = (64, 64)
    num_views: int = 3
    fps: float = 12.0
    objects: ObjectSpec | DroppedObjects = ObjectSpec()
    cameras: CameraSpec | LinearCameras | RingCameras | RecamCameras = CameraSpec()
    looks: LookSpec = LookSpec()
    points: PointSpec = PointSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a count is below its least value or a range is reversed.
        """
        height, width = self.image_size
        for name in ("num_frames", "num_views"):
            _want_at_least(f"scene.{name}", getattr(self, name), 1)
        _want_at_least("scene.points.count", self.points.count, 1)
        if min(height, width) < 2 or self.fps <= 0:
            raise InputError(f"scene.image_size, fps: got {height}x{width}, {self.fps}, want at least 2x2, above 0")
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
        """Return the recipe of DESIGN section 7's tiny size: 3 views x 5 frames of 64x64."""
        return cls()

    @classmethod
    def nano(cls) -> "SceneSpec":
        """Return the recipe of DESIGN section 7's nano size: 3 views x 3 frames of 48x48."""
        return cls(num_frames=3, image_size=(48, 48))


def _check_ranges(place: str, spec: Any) -> None:
    """Refuse reversed ranges and negative counts, in specs within the spec too."""
    for field in fields(spec):
        value, name = getattr(spec, field.name), f"{place}.{field.name}"
        if is_dataclass(value):
            _check_ranges(name, value)
        elif field.type == Region:
            for low, high in value:
                _check_range(name, low, high)
        elif field.type in (tuple[int, int], tuple[float, float]):
            _check_range(name, *value)
            if field.type == tuple[int, int]:
                _want_at_least(name, value[0], 0)


def _check_range(name: str, low: float | int, high: float | int) -> None:
    if low > high:
        raise InputError(f"{name}: got {(low, high)}, want (least, largest)")


def _want_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"{name}: got {value}, want at least {least}")


def _check_dropped(objects: DroppedObjects) -> None:
    if not objects.kinds or objects.first_frame < 0 or objects.settle < 0 or not objects.size[0] > 0:
        raise InputError("scene.objects: want at least one kind, sizes above 0, settle and first_frame at least 0")
    for name in ("floor_restitution", "restitution"):
        if not 0 <= (value := getattr(objects.surfaces, name))[0] <= value[1] <= 1:
            raise InputError(f"scene.objects.surfaces.{name}: got {value}, want within [0, 1]")
