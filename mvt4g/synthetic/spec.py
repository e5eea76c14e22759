"""What a synthetic scene is drawn from: counts, sizes and ranges, all values, no code.

Lengths are scene units (objects are about one unit), angles degrees, pairs are inclusive ranges.
"""

from dataclasses import dataclass

from mvt4g.synthetic.camera_specs import CameraSpec
from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.object_specs import ObjectSpec
from mvt4g.synthetic.point_spec import PointSpec
from mvt4g.types import InputError

__all__ = ["CameraSpec", "LookSpec", "ObjectSpec", "PointSpec", "SceneSpec"]

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
        objects: The rigid bodies.
        cameras: The cameras.
        looks: Textures and light.
        points: The tracked points.
    """

    num_frames: int = 5
    image_size: tuple[int, int] = (64, 64)
    num_views: int = 3
    fps: float = 12.0
    objects: ObjectSpec = ObjectSpec()
    cameras: CameraSpec = CameraSpec()
    looks: LookSpec = LookSpec()
    points: PointSpec = PointSpec()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a count is below its least value or a range is reversed.
        """
        height, width = self.image_size
        least = {"num_frames": 1, "num_views": 1, "points.count": 1, "objects.resting": 0, "objects.thrown": 0}
        got = (self.num_frames, self.num_views, self.points.count, self.objects.resting[0], self.objects.thrown[0])
        for (name, lowest), value in zip(least.items(), got, strict=True):
            if value < lowest:
                raise InputError(f"scene.{name}: got {value}, want at least {lowest}")
        if min(height, width) < 2 or self.fps <= 0:
            raise InputError(f"scene.image_size, fps: got {height}x{width}, {self.fps}, want at least 2x2, above 0")
        for room in ("objects", "cameras", "looks"):
            for name, value in vars(getattr(self, room)).items():
                if name != "kinds" and isinstance(value, tuple) and value[0] > value[1]:
                    raise InputError(f"scene.{room}.{name}: got {value}, want (least, largest)")
        if not self.objects.kinds or not 0 < self.objects.restitution < 1:
            raise InputError("scene.objects: want at least one kind and a restitution in (0, 1)")

    @classmethod
    def tiny(cls) -> "SceneSpec":
        """Return the recipe of DESIGN section 7's tiny size: 3 views x 5 frames of 64x64."""
        return cls()

    @classmethod
    def nano(cls) -> "SceneSpec":
        """Return the recipe of DESIGN section 7's nano size: 3 views x 3 frames of 48x48."""
        return cls(num_frames=3, image_size=(48, 48))
