"""What a textured scene is made of, but for where its bodies are: bitmaps, surfaces, gloss, sun and sky."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt64
from numpy import ndarray

from mvt4g.synthetic.bitmaps import Atlas
from mvt4g.synthetic.contact import body_sphere
from mvt4g.synthetic.look_spec import LookSpec, TexturedSpec
from mvt4g.synthetic.meshes import read_mesh
from mvt4g.synthetic.patterns import draw_bitmap
from mvt4g.synthetic.photos import list_photos, read_photo, texture_bitmap
from mvt4g.synthetic.shapes import Mesh, Shape, mesh
from mvt4g.synthetic.sky import Lighting, draw_lighting, draw_sky_bitmap, draw_sun
from mvt4g.synthetic.surfaces import Surfaces

GROUND = 0
SKY = 1
BODIES = 2
"""Numbers of the atlas' bitmaps: the ground's, the sky's and the first body's."""
TILE = (0.7, 1.3)
"""Length a body's texture covers before it repeats, in sizes of the body."""
SHININESS = (8.0, 120.0)


@dataclass(frozen=True)
class Finish:
    """How each body takes its texture and the light.

    Attributes:
        tiles: Length its texture covers, units; of bodies without uvs.
        shifts: Of the texture, in its sides.
        unwrapped: Whether uvs say where the texture lies; else it is projected along the axes.
        gloss: Strength of the highlight.
        shininess: Exponent of its fall.
    """

    tiles: Float[ndarray, " i"]
    shifts: Float[ndarray, "i 2"]
    unwrapped: Bool[ndarray, " i"]
    gloss: Float[ndarray, " i"]
    shininess: Float[ndarray, " i"]


@dataclass(frozen=True)
class TexturedWorld:
    """All of a scene that does not move.

    Attributes:
        meshes: Of the instances 1, 2, ... in their own frames.
        surfaces: Their normals and uvs.
        spheres: About as large as they, for the shade on the ground.
        atlas: Bitmaps of the ground, the sky and the bodies.
        finish: Of the bodies.
        ground_turn: Angle of the ground's texture, radians.
        lighting: Sun and sky.
        looks: The spec; its ``textured`` is not None.
        shutter: Exposure of this clip, frame intervals.
    """

    meshes: Sequence[Mesh]
    surfaces: Surfaces
    spheres: Sequence[tuple[Float[ndarray, " 3"], float]]
    atlas: Atlas
    finish: Finish
    ground_turn: float
    lighting: Lighting
    looks: LookSpec
    shutter: float


def draw_textured_world(
    rng: np.random.Generator,
    shapes: Sequence[Shape],
    looks: LookSpec,
    spec: TexturedSpec,
) -> TexturedWorld:
    """Draw textures and light; ground, sky and every body have streams of their own.

    Raises:
        InputError: If an image or a mesh cannot be read.
    """
    sun_rng, sky_rng, ground_rng, shutter_rng, *body_rngs = rng.spawn(4 + len(shapes))
    sun = draw_sun(sun_rng, spec)
    ground = _draw_texture(ground_rng, spec, ground=True)
    sky, horizon = draw_sky_bitmap(sky_rng, spec, sun[0])
    bitmaps = [ground, sky]
    body_uvs = []
    for body_rng, shape in zip(body_rngs, shapes, strict=True):
        bitmap, uvs = _draw_body(body_rng, spec, shape)
        bitmaps.append(bitmap)
        body_uvs.append(uvs)
    atlas = Atlas.of(bitmaps)
    lighting = draw_lighting(sun_rng, spec, sun, atlas.means[SKY], atlas.means[GROUND], horizon)
    meshes = [mesh(shape) for shape in shapes]
    unwrapped = np.array([uvs is not None for uvs in body_uvs], dtype=bool)
    return TexturedWorld(
        meshes=meshes,
        surfaces=Surfaces.of(meshes, body_uvs),
        spheres=[body_sphere(body) for body in meshes],
        atlas=atlas,
        finish=_draw_finish(body_rngs, spec, shapes, unwrapped),
        ground_turn=float(ground_rng.uniform(0, 2 * np.pi)),
        lighting=lighting,
        looks=looks,
        shutter=float(shutter_rng.uniform(*looks.shutter)),
    )


def _draw_body(
    rng: np.random.Generator, spec: TexturedSpec, shape: Shape
) -> tuple[UInt64[ndarray, "s s"], Float[ndarray, "f 3 2"] | None]:
    """Return a body's texture and, for a mesh that brings its own, where it lies."""
    if shape.kind == "mesh":
        own = read_mesh(shape.path)
        if own.texture is not None and own.uvs is not None:
            return texture_bitmap(own.texture, spec.object_texels), own.uvs
    return _draw_texture(rng, spec, ground=False), None


def _draw_texture(rng: np.random.Generator, spec: TexturedSpec, ground: bool) -> UInt64[ndarray, "s s"]:
    texels = spec.ground_texels if ground else spec.object_texels
    if spec.images is not None and rng.uniform() < spec.image_share:
        photos = list_photos(spec.images)
        return read_photo(photos[int(rng.integers(len(photos)))], texels)
    kind = spec.patterns[int(rng.integers(len(spec.patterns)))]
    return draw_bitmap(rng, kind, texels, ground)


def _draw_finish(
    rngs: Sequence[np.random.Generator],
    spec: TexturedSpec,
    shapes: Sequence[Shape],
    unwrapped: Bool[ndarray, " i"],
) -> Finish:
    draws = np.array([rng.random(5) for rng in rngs], dtype=np.float32).reshape(-1, 5)
    sizes = np.array([shape.size for shape in shapes], dtype=np.float32)
    return Finish(
        tiles=sizes * (np.float32(TILE[0]) + draws[:, 0] * np.float32(TILE[1] - TILE[0])),
        shifts=draws[:, 1:3],
        unwrapped=unwrapped,
        gloss=np.float32(spec.gloss[0]) + draws[:, 3] * np.float32(spec.gloss[1] - spec.gloss[0]),
        shininess=np.float32(SHININESS[0]) * np.float32(SHININESS[1] / SHININESS[0]) ** draws[:, 4],
    )
