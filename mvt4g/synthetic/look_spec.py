"""How a scene looks: textures and light, all values."""

from dataclasses import dataclass


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
