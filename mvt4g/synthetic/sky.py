"""A procedural sky over the horizon, the sun in it, and the light that both give."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt64
from numpy import ndarray

from mvt4g.synthetic.bitmaps import pack
from mvt4g.synthetic.look_spec import TexturedSpec
from mvt4g.synthetic.patterns import draw_ramp, octaves

SKY_TEXELS = 512
MARGIN = 2 / SKY_TEXELS
"""Share of the bitmap left at horizon and zenith, which would run into each other where it repeats."""
SKYLINE_DEG = (2.0, 14.0)
"""Highest of the hills, trees and houses about the scene."""
SKYLINE_POINTS = 128
GLOW_DEG = 9.0
CLOUD = np.array([0.97, 0.97, 1.0], dtype=np.float32)
GLOW = np.array([1.0, 0.9, 0.7], dtype=np.float32)


@dataclass(frozen=True)
class Lighting:
    """The light on a scene, in units in which a white floor in the sun is 1 on average over the channels.

    Attributes:
        sun: Unit direction towards the middle of the sun.
        sun_radius: Half the angle it fills, radians.
        sun_light: On a surface that faces it.
        sky_light: On a surface that sees nothing but sky.
        ground_light: On a surface that sees nothing but ground.
        horizon: Light that comes from the horizon: far ground fades into it.
    """

    sun: Float[ndarray, " 3"]
    sun_radius: float
    sun_light: Float[ndarray, " 3"]
    sky_light: Float[ndarray, " 3"]
    ground_light: Float[ndarray, " 3"]
    horizon: Float[ndarray, " 3"]


def sky_coordinates(directions: Float[ndarray, "3 n"]) -> tuple[Float[ndarray, " n"], Float[ndarray, " n"]]:
    """Return u = azimuth and v = elevation above the horizon of unit directions, as shares of a sky bitmap's sides."""
    u = np.arctan2(directions[1], directions[0]) * np.float32(0.5 / np.pi)
    elevation = np.arcsin(np.clip(directions[2], 0, 1)) * np.float32(2 / np.pi)
    return u, elevation * np.float32(1 - 2 * MARGIN) + np.float32(MARGIN)


def draw_sky_bitmap(
    rng: np.random.Generator, spec: TexturedSpec, sun: Float[ndarray, " 3"]
) -> tuple[UInt64[ndarray, "s s"], Float[ndarray, " 3"]]:
    """Draw a gradient from horizon to zenith, clouds, the sun's glow and a skyline; and return the horizon's light."""
    horizon, zenith = _gradient_ends(rng)
    # Rows are elevations, from the horizon up; columns go once around.
    step = (np.arange(SKY_TEXELS, dtype=np.float32) + np.float32(0.5)) / np.float32(SKY_TEXELS)
    elevation = np.clip((step - MARGIN) / (1 - 2 * MARGIN), 0, 1)[:, None].astype(np.float32)
    climb = np.sqrt(elevation)[..., None]
    image = horizon * (1 - climb) + zenith * climb
    image = np.broadcast_to(image, (SKY_TEXELS, SKY_TEXELS, 3)).astype(np.float32)

    cover = np.float32(rng.uniform(*spec.clouds))
    clouds = octaves(rng, SKY_TEXELS, 0.6)
    # Clouds thin out at the zenith, and are the greyer the thicker they are.
    above = clouds - (1 - cover)
    share = np.clip(above / np.float32(0.3), 0, 1) * np.minimum(1, 4 * (1 - elevation))
    grey = np.float32(1) - np.float32(0.45) * np.clip(above / np.float32(0.6), 0, 1)
    image += share[..., None] * (grey[..., None] * CLOUD - image)

    image += _glow(step, elevation, sun)[..., None] * GLOW
    land, skyline = _skyline(rng, elevation)
    hazy_land = np.float32(0.65) * skyline + np.float32(0.35) * horizon
    image = np.where(land[..., None], hazy_land, image)
    return pack(image), np.square(horizon)


def draw_sun(rng: np.random.Generator, spec: TexturedSpec) -> tuple[Float[ndarray, " 3"], float]:
    """Draw the unit direction towards the sun and half the angle it fills, radians."""
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(rng.uniform(*spec.sun_elevation))
    level = np.cos(elevation)
    sun = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
    return sun, float(np.deg2rad(rng.uniform(*spec.sun_radius)))


def draw_lighting(
    rng: np.random.Generator,
    spec: TexturedSpec,
    sun: tuple[Float[ndarray, " 3"], float],
    sky: Float[ndarray, " 3"],
    ground: Float[ndarray, " 3"],
    horizon: Float[ndarray, " 3"],
) -> Lighting:
    """Share the light between the sun and a sky of this mean colour; ``ground`` is the floor's mean albedo."""
    direction, radius = sun
    share = rng.uniform(*spec.sun_share)
    # A white floor in the sun, share * sin(elevation) + the sky's part, comes out at 1.
    exposure = 1 / (share * direction[2] + 1 - share)
    warmth = rng.uniform(0, 0.25)
    sun_light = exposure * share * np.array([1 + warmth, 1.0, 1 - warmth])
    tint = 0.5 + 0.5 * sky / max(float(sky.mean()), 1e-6)
    sky_light = exposure * (1 - share) * tint
    ground_light = ground * (direction[2] * sun_light + sky_light)
    return Lighting(direction, radius, sun_light, sky_light, ground_light, horizon)


def _gradient_ends(rng: np.random.Generator) -> tuple[Float[ndarray, " 3"], Float[ndarray, " 3"]]:
    """Draw the colours of horizon and zenith: mostly pale and blue, at times of dusk or of a grey day."""
    kind = rng.uniform()
    if kind < 0.6:
        horizon = np.array([0.80, 0.87, 0.94])
        zenith = np.array([0.30, 0.50, 0.85])
    elif kind < 0.8:
        horizon = np.array([0.93, 0.74, 0.58])
        zenith = np.array([0.40, 0.42, 0.66])
    else:
        horizon = np.array([0.78, 0.79, 0.80])
        zenith = np.array([0.60, 0.63, 0.68])
    jitter = rng.normal(0, 0.04, (2, 3))
    horizon = np.clip(horizon + jitter[0], 0, 1)
    zenith = np.clip(zenith + jitter[1], 0, 1)
    return horizon.astype(np.float32), zenith.astype(np.float32)


def _glow(
    step: Float[ndarray, " s"],
    elevation: Float[ndarray, "s 1"],
    sun: Float[ndarray, " 3"],
) -> Float[ndarray, "s s"]:
    """Return how bright the air about the sun is, by the angle from it."""
    azimuth = (2 * np.pi) * step[None]
    height = (np.pi / 2) * elevation
    x, y, z = sun.tolist()
    cosine = np.cos(height) * (x * np.cos(azimuth) + y * np.sin(azimuth)) + z * np.sin(height)
    squared = (cosine - 1) * float(-2 / np.deg2rad(GLOW_DEG) ** 2)  # angle in glows, squared, when small
    return np.exp(-squared) + 0.25 * np.exp(squared * (-1 / 12))


def _skyline(
    rng: np.random.Generator, elevation: Float[ndarray, "s 1"]
) -> tuple[Bool[ndarray, "s s"], Float[ndarray, "s s 3"]]:
    """Draw where land stands before the sky and its colours: soft hills and, at times, blocks."""
    highest = np.float32(rng.uniform(*SKYLINE_DEG) / 90)
    place = np.arange(SKY_TEXELS) / np.float32(SKY_TEXELS // SKYLINE_POINTS)
    # The first point stands behind the last too, so that the skyline closes.
    heights = np.pad(octaves(rng, SKYLINE_POINTS, 0.5)[0], (0, 1), mode="wrap")
    profile = np.interp(place, np.arange(SKYLINE_POINTS + 1), heights)
    if rng.uniform() < 0.5:
        blocks = np.repeat(rng.random(64, dtype=np.float32), SKY_TEXELS // 64)
        profile = np.maximum(profile * np.float32(0.6), blocks)
    ramp = draw_ramp(rng).astype(np.float32)
    noise = octaves(rng, SKY_TEXELS, 0.8)
    colours = ramp[(noise * np.float32(len(ramp) - 1)).astype(np.int32)]
    return elevation < highest * profile[None], colours
