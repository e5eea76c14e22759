"""What a synthetic scene is drawn from: counts, sizes and ranges, all values, no code.

Lengths are scene units (objects are about one unit), angles degrees, pairs are inclusive ranges.
"""

from dataclasses import dataclass
from typing import Literal

from mvt4g.types import InputError

RECIPE_VERSION = 1
"""Raised whenever the same recipe gives other clips than before, so that no cache mixes the two."""

ShapeKind = Literal["box", "ellipsoid", "cylinder", "capsule"]


@dataclass(frozen=True)
class ObjectSpec:
    """The rigid bodies.

    Attributes:
        resting: How many lie on the ground.
        thrown: How many fly; each is dynamic from the first frame.
        size: Longest side of a body.
        spawn_radius: Horizontal distance from the centre within which bodies start.
        speed: Horizontal speed of a thrown body, units a second.
        spin: Largest angular speed of a thrown body, radians a second.
        restitution: Share of the speed a bounce keeps, 0 < e < 1.
        kinds: Shapes to draw from.
    """

    resting: tuple[int, int] = (1, 2)
    thrown: tuple[int, int] = (1, 2)
    size: tuple[float, float] = (1.0, 1.9)
    spawn_radius: float = 2.2
    speed: tuple[float, float] = (2.0, 4.0)
    spin: float = 3.0
    restitution: float = 0.5
    kinds: tuple[ShapeKind, ...] = ("box", "ellipsoid", "cylinder", "capsule")


@dataclass(frozen=True)
class CameraSpec:
    """The cameras: each on a shell about the centre, moving in a straight line, looking near the centre.

    Attributes:
        radius: Distance of a camera from the centre in the middle of its path.
        elevation: Angle above the ground of the middle of all views, degrees.
        separation: Least and largest angle between the directions of two views at any frame, degrees.
        travel: Length of a camera's path over the clip.
        look_at_radius: How far from the centre the point a camera looks at may lie.
        fov: Horizontal field of view, degrees.
    """

    radius: tuple[float, float] = (7.5, 8.5)
    elevation: tuple[float, float] = (30.0, 45.0)
    separation: tuple[float, float] = (6.0, 20.0)
    travel: tuple[float, float] = (0.2, 0.8)
    look_at_radius: float = 0.3
    fov: tuple[float, float] = (42.0, 46.0)


@dataclass(frozen=True)
class LookSpec:
    """Textures and light.

    Attributes:
        ground_wavelength: Wavelengths of the ground's colour waves, units.
        ground_waves: How many of them.
        ground_contrast: Their root-mean-square amplitude, in [0, 1].
        object_waves: Colour waves of an object, about one to a side of it.
        object_contrast: As ``ground_contrast``.
        ambient: Share of the light that has no direction.
        shadows: Whether the directional light casts shadows.
        antialias: Average 2x2 rays where a pixel and its neighbours differ; else one ray a pixel.
    """

    ground_wavelength: tuple[float, float] = (3.0, 9.0)
    ground_waves: int = 6
    ground_contrast: float = 0.22
    object_waves: int = 3
    object_contrast: float = 0.15
    ambient: float = 0.5
    shadows: bool = True
    antialias: bool = True


@dataclass(frozen=True)
class PointSpec:
    """The tracked points.

    Attributes:
        count: Points a clip; padded (``point_valid`` False) only where a scene shows fewer pixels.
        foreground: Share of them on objects, equal for every object seen.
        depth_tolerance: A point is hidden when all depths about it are nearer than (1 - this) times its own.
    """

    count: int = 128
    foreground: float = 0.5
    depth_tolerance: float = 0.01


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
