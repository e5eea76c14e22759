"""How a scene looks: textures, light and the sensor, all values."""

from dataclasses import dataclass
from typing import Literal, get_args

from mvt4g.ranges import Angle, Depth, Elevation, Few, NonNegative, Positive, Share, Side, check_ranges
from mvt4g.types import InputError

PatternKind = Literal["noise", "patches", "stripes", "checks", "spots"]


@dataclass(frozen=True)
class TexturedSpec:
    """Patterned and photographed surfaces under a sun and a sky, as in Kubric's MOVi scenes.

    Attributes:
        patterns: Kinds of procedural texture of objects and ground to draw from; fine noise lies over every one.
        object_texels: Side of an object's texture, a power of two.
        ground_texels: Side of the ground's, a power of two.
        ground_tile: Length of the ground that its texture covers before it repeats, units.
        images: Folder of images to take textures from (searched below it too); None = patterns alone.
        image_share: Share of the textures that are images, in [0, 1].
        sun_elevation: Degrees above the horizon.
        sun_share: Share of the sun in the light on a surface that faces it; the rest comes from sky and ground.
        sun_radius: Half the angle the sun fills, degrees; shadows are as soft.
        shadow_rays: Rays a pixel in a penumbra; 1 = hard shadows.
        clouds: Share of the sky they cover.
        contact: How much of the sky's light bodies take from the ground they touch, in [0, 1].
        gloss: Strength of the sun's highlight on an object, drawn for each.
    """

    patterns: tuple[PatternKind, ...] = get_args(PatternKind)
    object_texels: Side = 256
    ground_texels: Side = 512
    ground_tile: Positive = 20.0
    images: str | None = None
    image_share: Share = 0.5
    sun_elevation: tuple[Elevation, Elevation] = (25.0, 70.0)
    sun_share: tuple[Share, Share] = (0.35, 0.75)
    sun_radius: tuple[Angle, Angle] = (1.0, 4.0)
    shadow_rays: Depth = 8
    clouds: tuple[Share, Share] = (0.0, 0.7)
    contact: Share = 0.8
    gloss: tuple[NonNegative, NonNegative] = (0.0, 0.35)

    def __post_init__(self) -> None:
        """Check what the scene's own check of ranges does not see.

        Raises:
            InputError: If a value is out of its range.
        """
        check_ranges(self, "scene.looks.textured")
        for name in ("object_texels", "ground_texels"):
            texels = getattr(self, name)
            if not 4 <= texels <= 4096 or texels & (texels - 1):
                raise InputError(f"scene.looks.textured.{name}: got {texels}, want a power of two from 4 to 4096")
        for name in ("sun_elevation", "sun_share", "sun_radius", "clouds", "gloss"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise InputError(f"scene.looks.textured.{name}: got {low, high}, want 0 <= least <= largest")
        for name, value in (("image_share", self.image_share), ("contact", self.contact), ("sun", self.sun_share[1])):
            if not 0 <= value <= 1:
                raise InputError(f"scene.looks.textured.{name}: got {value}, want a share in [0, 1]")
        if not self.patterns or self.shadow_rays < 1 or self.ground_tile <= 0:
            raise InputError("scene.looks.textured: want a pattern, shadow_rays >= 1 and ground_tile > 0")


@dataclass(frozen=True)
class LookSpec:
    """Textures, light and sensor.

    Attributes:
        ground_wavelength: Wavelengths of the ground's colour waves, units.
        ground_waves: How many of them.
        ground_contrast: Their root-mean-square amplitude, in [0, 1].
        object_waves: Colour waves of an object, about one to a side of it.
        object_contrast: As ``ground_contrast``.
        ambient: Share of the light that has no direction.
        shadows: Whether the directional light casts shadows.
        antialias: Average 2x2 rays where a pixel and its neighbours differ; else one ray a pixel.
        textured: Takes the place of waves and ``ambient``; None = those.
        shutter: Time a frame is exposed, in frame intervals about its own time, drawn for each clip; 0 = no blur.
        shutter_samples: Moments that a blurred frame is the mean of.
        shot_noise: Variance of the sensor's noise for each unit of light, 0 = none.
        read_noise: Standard deviation of the noise in the dark, in units of light.
    """

    ground_wavelength: tuple[Positive, Positive] = (3.0, 9.0)
    ground_waves: Few = 6
    ground_contrast: Share = 0.22
    object_waves: Few = 3
    object_contrast: Share = 0.15
    ambient: Share = 0.5
    shadows: bool = True
    antialias: bool = True
    textured: TexturedSpec | None = None
    shutter: tuple[NonNegative, NonNegative] = (0.0, 0.0)
    shutter_samples: Depth = 8
    shot_noise: NonNegative = 0.0
    read_noise: NonNegative = 0.0

    def __post_init__(self) -> None:
        """Check the sensor.

        Raises:
            InputError: If a value is negative, or no moments are asked for.
        """
        check_ranges(self, "scene.looks")
        if min(self.shutter) < 0 or self.shutter_samples < 1 or min(self.shot_noise, self.read_noise) < 0:
            raise InputError("scene.looks: want shutter and noise of at least 0 and shutter_samples of at least 1")

    @classmethod
    def kubric(cls) -> "LookSpec":
        """Return the look of MOVi-D, MOVi-E and Kubric-4D: textured, sharp, clean."""
        return cls(textured=TexturedSpec())

    @classmethod
    def kubric_blurred(cls) -> "LookSpec":
        """Return MOVi-F's look: as ``kubric`` with motion blur over 0 to 2 frame intervals."""
        return cls(textured=TexturedSpec(), shutter=(0.0, 2.0))

    @classmethod
    def filmed(cls) -> "LookSpec":
        """Return a camera's look: as ``kubric`` with a half-open shutter and a little sensor noise."""
        return cls(textured=TexturedSpec(), shutter=(0.0, 0.5), shot_noise=5e-4, read_noise=3e-3)
