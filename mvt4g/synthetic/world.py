"""All of a scene that does not move: shapes, textures, sky and light, and how they are drawn, in either look."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mvt4g.synthetic.shapes import Mesh, Shape, mesh
from mvt4g.synthetic.spec import LookSpec
from mvt4g.synthetic.textured_world import TexturedWorld, draw_textured_world
from mvt4g.synthetic.textures import Texture, draw_ground, draw_object, draw_sky


@dataclass(frozen=True)
class World:
    """All of a scene of colour waves that does not move.

    Attributes:
        shapes: One for each instance 1, 2, ...
        textures: In the objects' own coordinates, in the same order.
        ground: Over world coordinates.
        sky: Over unit directions from the origin.
        light: Unit direction towards the light.
        meshes: Of the shapes, in their own frames.
        looks: Light and sampling settings.
        shutter: Exposure of this clip, frame intervals.
    """

    shapes: Sequence[Shape]
    textures: Sequence[Texture]
    ground: Texture
    sky: Texture
    light: Float[ndarray, " 3"]
    meshes: Sequence[Mesh]
    looks: LookSpec
    shutter: float = 0.0


def draw_world(rng: np.random.Generator, shapes: Sequence[Shape], looks: LookSpec) -> World | TexturedWorld:
    """Draw textures and light in the look that is asked for.

    Raises:
        InputError: If an image or a mesh cannot be read.
    """
    if looks.textured is not None:
        return draw_textured_world(rng, shapes, looks, looks.textured)
    return _draw_waves(rng, shapes, looks)


def _draw_waves(rng: np.random.Generator, shapes: Sequence[Shape], looks: LookSpec) -> World:
    """Draw waves of colour; the hues of the bodies are spread around the circle."""
    first_hue = rng.uniform()
    textures = []
    for number, shape in enumerate(shapes):
        hue = first_hue + number / len(shapes)
        textures.append(draw_object(rng, looks, shape.size, hue))
    # The order of draws is part of a recipe: another would give other clips under its name.
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(rng.uniform(40, 75))
    flat = np.cos(elevation)
    light = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    meshes = [mesh(shape) for shape in shapes]
    ground = draw_ground(rng, looks)
    sky = draw_sky(rng)
    shutter = float(rng.uniform(*looks.shutter))
    return World(shapes, textures, ground, sky, light, meshes, looks, shutter)
