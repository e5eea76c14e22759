"""The light that comes from points of a textured scene: texture, sun, sky, the ground's reflection, highlight, haze.

All arrays are float32 with the channels first: that is several times as fast as with the channels last.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from mvt4g.synthetic.sky import sky_coordinates
from mvt4g.synthetic.surfaces import projection_weights
from mvt4g.synthetic.textured_world import BODIES, GROUND, SKY, TexturedWorld

HAZE = (12.0, 40.0)
"""Distances from the centre between which the ground fades into the horizon."""
HAZIEST = 0.85
"""Share of the horizon's light at the farther of the two."""
CONTACT_HEIGHT = 0.4
"""Height by which the ground's hold on a body's downward faces has fallen to a third, units."""
LEAST_COSINE = 0.1
"""A surface is taken as seen no more slantingly than this: its texture is not blurred further."""


@dataclass(frozen=True)
class Hits:
    """Points that rays met, world frame.

    Attributes:
        points: Where.
        directions: Of the rays, depth 1 along the optical axis.
        depth: z-depth.
        pixels: Side of a pixel at depth 1, units; the rays stand for as much.
        instances: 0 = ground and sky.
        sky: Whether it is the dome.
        facet_normals: Unit, towards the ray's origin.
        normals: As those, smooth over round surfaces.
    """

    points: Float[ndarray, "3 r"]
    directions: Float[ndarray, "3 r"]
    depth: Float[ndarray, " r"]
    pixels: float
    instances: Int[ndarray, " r"]
    sky: Bool[ndarray, " r"]
    facet_normals: Float[ndarray, "3 r"]
    normals: Float[ndarray, "3 r"]


@dataclass(frozen=True)
class BodyHits:
    """Those of the hits that lie on bodies, in the bodies' own frames.

    Attributes:
        numbers: Among all hits.
        bodies: Instance - 1.
        points: Where.
        normals: Smooth.
        uvs: Of the points; 0 on bodies without.
        densities: Sides of the texture a unit of length, likewise.
    """

    numbers: Int[ndarray, " k"]
    bodies: Int[ndarray, " k"]
    points: Float[ndarray, "3 k"]
    normals: Float[ndarray, "3 k"]
    uvs: Float[ndarray, "k 2"]
    densities: Float[ndarray, " k"]


def shade(
    world: TexturedWorld,
    hits: Hits,
    on_bodies: BodyHits,
    sunlit: Float[ndarray, " r"],
    openness: Float[ndarray, " r"],
) -> Float[ndarray, "3 r"]:
    """Return the light that comes from hits, at most 1 a channel.

    Args:
        world: Textures and light.
        hits: All of them.
        on_bodies: Those on bodies.
        sunlit: Cosine of the angle to the sun times the share of the sun that is seen, at least 0.
        openness: Share of the sky's light that reaches the point between what it touches.
    """
    lighting = world.lighting
    albedo = np.zeros_like(hits.points)
    length = np.sqrt(dot(hits.directions, hits.directions))
    cosine = -dot(hits.directions, hits.normals) / length
    # A slanting pixel is longer by 1 / cosine one way alone: the root is the side of a square of its area.
    slant = np.sqrt(np.maximum(cosine, np.float32(LEAST_COSINE)))
    footprint = hits.depth * np.float32(hits.pixels) / slant
    ground = np.flatnonzero((hits.instances == 0) & ~hits.sky)
    sky = np.flatnonzero(hits.sky)
    put(albedo, ground, _ground_albedo(world, hits.points.take(ground, axis=1), footprint.take(ground)))
    put(albedo, on_bodies.numbers, _body_albedo(world, on_bodies, footprint.take(on_bodies.numbers)))

    half_up = np.float32(0.5) * hits.normals[2]
    above = (np.float32(0.5) + half_up) * openness
    below = (np.float32(0.5) - half_up) * openness
    light = albedo
    for channel in range(3):
        sun = np.float32(lighting.sun_light[channel])
        over = np.float32(lighting.sky_light[channel])
        under = np.float32(lighting.ground_light[channel])
        light[channel] *= sun * sunlit + over * above + under * below
    shine = light.take(on_bodies.numbers, axis=1) + _highlight(world, hits, on_bodies, sunlit)
    put(light, on_bodies.numbers, shine)
    _add_haze(world, hits.points, ground, light)
    if len(sky):
        towards = hits.points.take(sky, axis=1)
        u, v = sky_coordinates(towards / np.sqrt(dot(towards, towards)))
        # Of a sky bitmap one side is the whole circle, 2 pi.
        footprint = np.full(len(sky), hits.pixels / np.pi / 2, dtype=np.float32)
        put(light, sky, world.atlas.light(SKY, u, v, footprint))
    return np.minimum(light, 1, out=light)


def body_openness(hits: Hits, on_bodies: BodyHits, contact: float) -> Float[ndarray, " k"]:
    """Return how open points of bodies are to the light: less on faces that look down at near ground."""
    down = np.float32(0.5) - np.float32(0.5) * hits.normals[2].take(on_bodies.numbers)
    height = np.maximum(hits.points[2].take(on_bodies.numbers), 0)
    return 1 - np.float32(contact) * down * np.exp(height * np.float32(-1 / CONTACT_HEIGHT))


def dot(a: Float[ndarray, "3 n"], b: Float[ndarray, "3 n"]) -> Float[ndarray, " n"]:
    """Return inner products."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def put(
    target: Float[ndarray, "3 r"],
    numbers: Int[ndarray, " k"],
    values: Float[ndarray, "3 k"],
) -> None:
    """Write values at these numbers, in place: row by row it takes a third of the time."""
    for row, value in zip(target, values, strict=True):
        row[numbers] = value


def _ground_albedo(
    world: TexturedWorld,
    points: Float[ndarray, "3 n"],
    footprint: Float[ndarray, " n"],
) -> Float[ndarray, "3 n"]:
    assert world.looks.textured is not None
    scale = 1 / world.looks.textured.ground_tile
    across = np.float32(scale * np.cos(world.ground_turn))
    along = np.float32(scale * np.sin(world.ground_turn))
    u = across * points[0] - along * points[1]
    v = along * points[0] + across * points[1]
    return world.atlas.light(GROUND, u, v, footprint * np.float32(scale))


def _body_albedo(world: TexturedWorld, on: BodyHits, footprint: Float[ndarray, " k"]) -> Float[ndarray, "3 k"]:
    """Look textures up by uvs, or projected along one to three axes."""
    finish = world.finish
    albedo = np.zeros((3, len(on.numbers)), dtype=np.float32)
    if not len(on.numbers):
        return albedo
    unwrapped = finish.unwrapped.take(on.bodies)
    there = np.flatnonzero(unwrapped)
    if len(there):
        u, v = on.uvs.take(there, axis=0).T
        size = footprint[there] * on.densities[there]
        albedo[:, there] = world.atlas.light(on.bodies[there] + BODIES, u, v, size)
    scales = 1 / finish.tiles
    weights = projection_weights(on.normals)
    for axis in range(3):
        there = np.flatnonzero((weights[axis] > 0) & ~unwrapped)
        if not len(there):
            continue
        bodies = on.bodies.take(there)
        scale = scales.take(bodies)
        # Opposite faces are half a texture apart and axes a third, so that no two faces look alike.
        place = axis / 3
        side = np.where(on.normals[axis].take(there) > 0, np.float32(place), np.float32(place + 0.5))
        u = on.points[(axis + 1) % 3].take(there) * scale + finish.shifts[:, 0].take(bodies)
        v = on.points[(axis + 2) % 3].take(there) * scale + finish.shifts[:, 1].take(bodies) + side
        light = world.atlas.light(bodies + BODIES, u, v, footprint.take(there) * scale)
        put(albedo, there, albedo.take(there, axis=1) + weights[axis].take(there) * light)
    return albedo


def _highlight(world: TexturedWorld, hits: Hits, on: BodyHits, sunlit: Float[ndarray, " r"]) -> Float[ndarray, "3 k"]:
    """Return the sun's reflection. Source: Blinn, Models of light reflection, 1977, with the half vector."""
    directions = hits.directions.take(on.numbers, axis=1)
    normals = hits.normals.take(on.numbers, axis=1)
    towards_sun = world.lighting.sun.astype(np.float32)[:, None]
    half = towards_sun - directions / np.sqrt(dot(directions, directions))
    length = np.sqrt(np.maximum(dot(half, half), np.float32(1e-6)))
    cosine = np.maximum(dot(half, normals) / length, 0)
    peak = cosine ** world.finish.shininess.take(on.bodies) * world.finish.gloss.take(on.bodies)
    # The highlight fades where the sun grazes or is hidden, and is whole from a quarter of its light on.
    seen = np.minimum(4 * sunlit.take(on.numbers), 1)
    return world.lighting.sun_light.astype(np.float32)[:, None] * (peak * seen)


def _add_haze(
    world: TexturedWorld,
    points: Float[ndarray, "3 r"],
    ground: Int[ndarray, " g"],
    light: Float[ndarray, "3 r"],
) -> None:
    distance = np.sqrt(points[0].take(ground) ** 2 + points[1].take(ground) ** 2)
    far = distance > HAZE[0]
    numbers = ground[far]
    share = np.float32(HAZIEST) * (distance[far] - np.float32(HAZE[0])) / np.float32(HAZE[1] - HAZE[0])
    horizon = world.lighting.horizon.astype(np.float32)[:, None]
    near = light.take(numbers, axis=1)
    put(light, numbers, near + share * (horizon - near))
