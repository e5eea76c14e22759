"""Smooth procedural colour: a base plus a few waves, each with a direction in space and one in colour."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.look_spec import LookSpec

DARKEST = 0.04
LIGHTEST = 0.96


@dataclass(frozen=True)
class Texture:
    """Colour as a function of position.

    Attributes:
        base: Colour without the waves.
        wave_vectors: Radians a unit of length.
        phases: Radians.
        amplitudes: Of each wave in each channel.
    """

    base: Float[ndarray, " 3"]
    wave_vectors: Float[ndarray, "k 3"]
    phases: Float[ndarray, " k"]
    amplitudes: Float[ndarray, "k 3"]

    def colour(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 3"]:
        """Return colours, squeezed smoothly into [DARKEST, LIGHTEST], at points of the frame the texture lives in."""
        phases = self.phases.astype(np.float32)
        waves = np.sin(points @ self.wave_vectors.T.astype(np.float32) + phases)
        colour = waves @ self.amplitudes.astype(np.float32) + self.base.astype(np.float32)
        half = (LIGHTEST - DARKEST) / 2
        return DARKEST + half + half * np.tanh((colour - 0.5) / half)


def draw_ground(rng: np.random.Generator, looks: LookSpec) -> Texture:
    """Draw a pattern over world x and y; wavelengths are log-uniform."""
    shortest, longest = np.log(looks.ground_wavelength)
    wavelengths = np.exp(rng.uniform(shortest, longest, looks.ground_waves))
    direction = rng.uniform(0, 2 * np.pi, looks.ground_waves)
    flat = np.stack([np.cos(direction), np.sin(direction), np.zeros_like(direction)], axis=-1)
    return _waves(rng, flat / wavelengths[:, None], rng.uniform(0.35, 0.65, 3), looks.ground_contrast)


def draw_object(rng: np.random.Generator, looks: LookSpec, size: float, hue: float) -> Texture:
    """Draw a pattern over object coordinates about a saturated base colour; waves are about an object's size long."""
    wavelengths = size * rng.uniform(0.6, 1.6, looks.object_waves)
    frequencies = _directions(rng, looks.object_waves) / wavelengths[:, None]
    return _waves(rng, frequencies, _hue(hue), looks.object_contrast)


def draw_sky(rng: np.random.Generator) -> Texture:
    """Draw a pattern over unit directions from the centre: pale, a little darker overhead, a few broad patches."""
    frequencies = _directions(rng, 3) * rng.uniform(0.15, 0.5, (3, 1))
    return _waves(rng, frequencies, 0.65 + 0.25 * (_hue(rng.uniform()) - 0.5), 0.15)


def _waves(
    rng: np.random.Generator,
    frequencies: Float[ndarray, "k 3"],
    base: Float[ndarray, " 3"],
    contrast: float,
) -> Texture:
    """Share the contrast among the waves, in random colours that lean to grey; ``frequencies`` in cycles a unit."""
    count = len(frequencies)
    colours = rng.normal(size=(count, 3)) + rng.normal(size=(count, 1))
    colours /= np.linalg.norm(colours, axis=-1, keepdims=True)
    amplitudes = colours * contrast * np.sqrt(6 / max(count, 1))  # r.m.s. of a channel = contrast
    phases = rng.uniform(0, 2 * np.pi, count)
    return Texture(base, 2 * np.pi * frequencies, phases, amplitudes)


def _directions(rng: np.random.Generator, count: int) -> Float[ndarray, "k 3"]:
    normal = rng.normal(size=(count, 3))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _hue(hue: float) -> Float[ndarray, " 3"]:
    """Return a saturated colour of this hue in [0, 1): red, green, blue at 0, 1/3, 2/3."""
    return 0.5 + 0.42 * np.cos(2 * np.pi * (hue - np.array([0.0, 1 / 3, 2 / 3])))
