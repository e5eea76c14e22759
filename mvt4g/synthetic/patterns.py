"""Procedural texture images that repeat: a pattern of medium size, two ramps of colours, fine noise over both."""

import numpy as np
from jaxtyping import Float, Int, UInt64
from numpy import ndarray

from mvt4g.synthetic.bitmaps import pack
from mvt4g.synthetic.look_spec import PatternKind

COARSEST = 4
"""Cells a side of the coarsest octave of noise."""
SHADES = 64
"""Steps of a colour ramp, and of the mixture of two."""
PATTERN_TEXELS = 512
"""Side up to which patterns are drawn at full resolution: their edges are softer beyond, the fine noise is not."""
PERSISTENCE = (0.5, 0.8)
GROUND_PERSISTENCE = (0.65, 0.95)
"""Of the fine noise."""
GROUND_REPEATS = (3, 9)
GROUND_VIVID = 0.6
GROUND_SHARE = (0.3, 1.0)
"""How far the ground's second ramp differs from its first."""
SPOT_REACH = 1.6
"""Radius of the widest spot in cells of the grid it is jittered on: no farther than the neighbouring cells."""


def draw_bitmap(
    rng: np.random.Generator, kind: PatternKind, texels: int, ground: bool = False
) -> UInt64[ndarray, "s s"]:
    """Draw a texture: where the pattern is 0 the noise runs through one ramp of colours, where it is 1 another.

    Args:
        rng: Of this texture alone.
        kind: Of the pattern.
        texels: Side, a power of two.
        ground: Whether it is for the ground: several times as many stripes, checks and spots, finer noise, and
            colours of one family that are less vivid.
    """
    repeats = int(rng.integers(*GROUND_REPEATS)) if ground else 1
    pattern = draw_pattern(rng, kind, min(texels, PATTERN_TEXELS), repeats)
    while len(pattern) < texels:
        pattern = _doubled(pattern)
    persistence = rng.uniform(*(GROUND_PERSISTENCE if ground else PERSISTENCE))
    noise = octaves(rng, texels, float(persistence))
    vivid = GROUND_VIVID if ground else 1.0
    low = draw_ramp(rng, vivid)
    high = draw_ramp(rng, vivid)
    largest = rng.uniform(*GROUND_SHARE) if ground else 1.0
    share = np.linspace(0, 1, SHADES)[:, None, None] * largest
    colours = pack((1 - share) * low + share * high)
    # Colours are a table (share of the second ramp, step of the noise), read by one number.
    return colours.ravel()[_step(pattern) * np.int32(SHADES) + _step(noise)]


def draw_pattern(rng: np.random.Generator, kind: PatternKind, texels: int, repeats: int = 1) -> Float[ndarray, "s s"]:
    """Draw shares in [0, 1], mostly near 0 or 1."""
    if kind == "noise":
        return np.clip(2 * _smooth(rng, texels, 0.35) - 0.5, 0, 1)
    if kind == "patches":
        levels = int(rng.integers(2, 5))
        return np.floor(_smooth(rng, texels, 0.4) * 0.999 * (levels + 1)) / levels
    if kind == "spots":
        return _doubled(_spots(rng, repeats * int(rng.integers(5, 13)), max(texels // 2, 1)))
    # Waves whose cycles fit the side a whole number of times repeat; a warp that repeats keeps that so.
    strength = 2 * np.pi * float(rng.uniform(0, 0.6))
    warp = strength * (_smooth(rng, texels, 0.3) - np.float32(0.5))
    turns = np.linspace(0, 2 * np.pi, texels, endpoint=False, dtype=np.float32)
    cycles = repeats * rng.integers(2, 7, 2) * rng.choice([-1, 1], 2)
    u = turns[None] * cycles[0] + warp
    v = turns[:, None] * cycles[1] + warp
    wave = np.sin(u + v) if kind == "stripes" else 2 * np.sin(u) * np.sin(v)
    sharpness = np.float32(0.5 * texels / np.abs(cycles).sum() / np.pi)  # an edge is about two texels wide
    threshold = np.float32(rng.uniform(-0.3, 0.3))
    return np.clip(np.float32(0.5) + sharpness * (wave - threshold), 0, 1)


def octaves(rng: np.random.Generator, texels: int, persistence: float) -> Float[ndarray, "s s"]:
    """Draw noise of all wavelengths from a quarter of the side to two texels, stretched to [0, 1]; it repeats.

    Args:
        rng: Coarse octaves come first: a larger image is the smaller one with more detail.
        texels: Side, a power of two.
        persistence: Amplitude of an octave over that of the one twice as long.
    """
    side = min(COARSEST, texels)
    amplitude = 1.0
    noise = rng.random((side, side), dtype=np.float32)
    while side < texels:
        side = 2 * side
        amplitude = amplitude * persistence
        noise = _doubled(noise)
        noise += np.float32(amplitude) * rng.random((side, side), dtype=np.float32)
    # Every so many texels are enough for the range, and a hundredth of them may lie beyond it at either end.
    every = max(texels // 64, 1)
    low, high = np.quantile(noise[::every, ::every], [0.01, 0.99])
    reach = np.float32(max(high - low, 1e-6))
    return np.clip((noise - np.float32(low)) / reach, 0, 1)


def _smooth(rng: np.random.Generator, texels: int, persistence: float) -> Float[ndarray, "s s"]:
    """Draw noise that has no waves shorter than eight texels."""
    noise = octaves(rng, max(texels // 4, 1), persistence)
    while len(noise) < texels:
        noise = _doubled(noise)
    return noise


def draw_ramp(rng: np.random.Generator, vivid: float | int = 1.0) -> Float[ndarray, "shades 3"]:
    """Draw a ramp of colours, dark to light, about one hue that drifts; square roots of light; ``vivid`` 0 = greys."""
    hue = rng.uniform()
    drift = rng.normal(0, 0.08)
    saturation = vivid * rng.uniform(0.05, 0.9) ** 1.3
    dark = rng.uniform(0.12, 0.45)
    light = rng.uniform(0.5, 0.95)
    step = np.linspace(0, 1, SHADES)[:, None]
    value = dark + (light - dark) * step
    # Red, green and blue are the cosine of one hue, a third of the circle apart.
    circle = np.cos(2 * np.pi * (hue + drift * step - np.array([0, 1 / 3, 2 / 3])))
    return np.clip(value * (1 + saturation * (0.6 * circle - 0.25)), 0.02, 0.98)


def _doubled(noise: Float[ndarray, "s s"]) -> Float[ndarray, "r r"]:
    """Return twice the resolution, linear between the centres of the old cells, around the edges."""
    side = len(noise)
    # A new centre lies a quarter of an old cell from its own centre and three quarters from the next one.
    near = np.float32(0.75)
    far = np.float32(0.25)
    around = far * np.concatenate([noise[-1:], noise, noise[:1]])
    tall = np.empty((side, 2, side), dtype=np.float32)
    np.add(near * noise, around[:-2], out=tall[:, 0])
    np.add(near * noise, around[2:], out=tall[:, 1])
    noise = tall.reshape(2 * side, side)
    around = far * np.concatenate([noise[:, -1:], noise, noise[:, :1]], axis=1)
    wide = np.empty((2 * side, side, 2), dtype=np.float32)
    np.add(near * noise, around[:, :-2], out=wide[..., 0])
    np.add(near * noise, around[:, 2:], out=wide[..., 1])
    return wide.reshape(2 * side, 2 * side)


def _spots(rng: np.random.Generator, cells: int, texels: int) -> Float[ndarray, "s s"]:
    """Draw discs of different sizes, one to a cell of a jittered grid."""
    centres = rng.random((2, cells, cells), dtype=np.float32)
    radii = rng.uniform(0.15, 0.55, (cells, cells)).astype(np.float32)
    cells_a_texel = np.float32(cells / texels)
    place = (np.arange(texels, dtype=np.float32) + np.float32(0.5)) * cells_a_texel
    cell = np.floor(place).astype(np.int32)
    row = cell[:, None]
    column = cell[None]
    inside = np.full((texels, texels), -SPOT_REACH, dtype=np.float32)
    # A spot reaches no farther than the neighbouring cells: see SPOT_REACH.
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            at = ((row + down) % cells, (column + across) % cells)
            y = centres[0][at] + (row + down - place[:, None])
            x = centres[1][at] + (column + across - place[None])
            np.maximum(inside, radii[at] - np.sqrt(x * x + y * y), out=inside)
    return np.clip(np.float32(0.5) + inside * np.float32(texels / cells / 2), 0, 1)


def _step(share: Float[ndarray, "s s"]) -> Int[ndarray, "s s"]:
    return (share * np.float32(SHADES - 1) + np.float32(0.5)).astype(np.int32)
