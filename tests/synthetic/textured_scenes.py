"""Textured worlds by hand: plain colours and a light that can be reckoned, for tests of the textured look."""

import dataclasses

import numpy as np
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.bitmaps import Atlas, pack
from mvt4g.synthetic.contact import body_sphere
from mvt4g.synthetic.look_spec import LookSpec, TexturedSpec
from mvt4g.synthetic.shapes import Shape, mesh
from mvt4g.synthetic.sky import Lighting
from mvt4g.synthetic.surfaces import Surfaces
from mvt4g.synthetic.textured_look import TexturedRenderer
from mvt4g.synthetic.textured_world import Finish, TexturedWorld
from mvt4g.types import Cameras

SIZE = (48, 48)
GROUND, SKY, BODY = (0.6, 0.7, 0.5), (0.3, 0.5, 0.9), (0.8, 0.4, 0.4)
SUN_LIGHT, SKY_LIGHT, GROUND_LIGHT = np.array([0.7, 0.6, 0.5]), np.array([0.3, 0.4, 0.5]), np.array([0.1, 0.2, 0.1])
BOX = Shape("box", (0.5, 0.5, 0.5))


def plain(colour, texels=4):
    return np.broadcast_to(colour, (texels, texels, 3))


def world(shapes=(BOX,), sun=(0.0, 0, 1), sun_radius=0.0, images=None, uvs=None, gloss=0.0, **looks):
    """Plain bodies on plain ground under a plain sky; no contact and one shadow ray unless asked for."""
    textured = TexturedSpec(contact=looks.pop("contact", 0.0), shadow_rays=looks.pop("shadow_rays", 1))
    meshes, count = [mesh(shape) for shape in shapes], len(shapes)
    images = {"ground": plain(GROUND), "sky": plain(SKY), "body": plain(BODY), **(images or {})}
    body_uvs = [uvs] * count
    return TexturedWorld(
        meshes=meshes,
        surfaces=Surfaces.of(meshes, body_uvs),
        spheres=[body_sphere(body) for body in meshes],
        atlas=Atlas.of([pack(images["ground"]), pack(images["sky"]), *[pack(images["body"])] * count]),
        finish=Finish(
            tiles=np.ones(count, dtype=np.float32),
            shifts=np.zeros((count, 2), dtype=np.float32),
            unwrapped=np.full(count, uvs is not None),
            gloss=np.full(count, gloss, dtype=np.float32),
            shininess=np.full(count, 30, dtype=np.float32),
        ),
        ground_turn=0.0,
        lighting=Lighting(
            np.array(sun) / np.linalg.norm(sun),
            sun_radius,
            SUN_LIGHT,
            SKY_LIGHT,
            GROUND_LIGHT,
            np.array([0.5, 0.5, 0.5]),
        ),
        looks=dataclasses.replace(LookSpec(textured=textured), **{"antialias": False, **looks}),
        shutter=0.0,
    )


def camera(*positions, target=(0.0, 0, 0), size=SIZE, fov=40):
    poses = [invert_pose(look_at(torch.tensor(position), torch.tensor(target))) for position in positions]
    return Cameras(torch.stack(poses), intrinsics_from_fov(np.deg2rad(fov), *size).repeat(len(poses), 1, 1))


def draw(scene, cameras, positions=((0.0, 0, 2),), rotations=None, size=SIZE):
    rotations = np.repeat(np.eye(3)[None], len(positions), axis=0) if rotations is None else rotations
    return TexturedRenderer(scene, rotations, np.array(positions, dtype=np.float64)).render(cameras, size)
