import dataclasses

import numpy as np
import pytest
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.render import DOME_RADIUS
from mvt4g.synthetic.shapes import Shape, mesh
from mvt4g.synthetic.spec import LookSpec
from mvt4g.synthetic.textures import Texture
from mvt4g.synthetic.wave_look import WaveRenderer
from mvt4g.synthetic.world import World
from mvt4g.types import Cameras

SIZE = (48, 48)
BOX = Shape("box", (0.5, 0.5, 0.5))


def plain(red, green, blue):
    return Texture(np.array([red, green, blue]), np.zeros((1, 3)), np.zeros(1), np.zeros((1, 3)))


def camera(position, target):
    pose = invert_pose(look_at(torch.tensor(position), torch.tensor(target)))
    return Cameras(pose[None], intrinsics_from_fov(np.deg2rad(40), *SIZE)[None])


def frame(cameras, light=(0.0, 0, 1), size=SIZE, **looks):
    """A red box, its centre 2 above green ground, under a blue sky."""
    world = World(
        shapes=[BOX],
        textures=[plain(0.7, 0.5, 0.5)],
        ground=plain(0.5, 0.7, 0.5),
        sky=plain(0.5, 0.5, 0.7),
        light=np.array(light) / np.linalg.norm(light),
        meshes=[mesh(BOX)],
        looks=LookSpec(**{"antialias": False, **looks}),
    )
    return WaveRenderer(world, np.eye(3)[None], np.array([[0.0, 0, 2.0]])).render(cameras, size)


def test_depth_ids_and_colours_from_above():
    seen = frame(camera([0.0, 0, 10], [0.0, 0, 0]))
    assert seen.instances[0, 24, 24] == 1
    assert seen.depth[0, 24, 24] == pytest.approx(7.5, abs=1e-5)  # the box's top is at 2.5
    assert seen.instances[0, 0, 0] == 0
    np.testing.assert_allclose(seen.depth[seen.instances == 0], 10, atol=1e-4)  # z-depth, not distance
    np.testing.assert_allclose(seen.facet_normals[0, 24, 24], [0, 0, 1], atol=1e-6)
    assert (seen.instances == 1).sum() == 8 * 8  # the top is 24 / tan 20 deg / 7.5 = 8.8 px wide, centres at i + 0.5
    assert seen.colour[0, 24, 24].argmax() == 0
    assert seen.colour[0, 2, 2].argmax() == 1


def test_shadow_falls_where_the_light_says():
    # The box's centre is at height 2, the light leans to +x by 45 degrees: the shadow's centre is at x = -2.
    above = camera([0.0, 0, 20], [0.0, 0, 0])
    light = (1.0, 0, 1)
    lit, dark = frame(above, light, shadows=False), frame(above, light)
    darker = np.abs(lit.colour - dark.colour).max(-1)[0] > 0.05
    row, column = np.nonzero(darker & (lit.instances[0] == 0))
    inverse = np.linalg.inv(above.cam_from_world[0].numpy())
    x = (column.mean() + 0.5 - 24) / float(above.intrinsics[0, 0, 0]) * 20
    y = (row.mean() + 0.5 - 24) / float(above.intrinsics[0, 0, 0]) * 20
    np.testing.assert_allclose((inverse @ [x, y, 20, 1])[:2], [-2, 0], atol=0.2)
    half_green = np.broadcast_to([0.25, 0.35, 0.25], (darker.sum(), 3))  # the ambient half alone
    np.testing.assert_allclose(dark.colour[0][darker], half_green, atol=0.02)


def test_the_sky_is_the_dome_and_has_its_depth():
    seen = frame(camera([0.0, 0, 5], [10.0, 0, 9.0]))
    points = seen.depth[0, 10, 24]
    assert 25 < points < DOME_RADIUS + 1
    assert seen.colour[0, 10, 24].argmax() == 2
    assert not seen.instances.any()


def test_antialiasing_mends_edges_and_nothing_else():
    view = camera([3.0, -4, 5], [0.0, 0, 1.5])
    rough, fine = frame(view), frame(view, antialias=True)
    changed = np.abs(rough.colour - fine.colour).max(-1) > 1e-3
    assert 0.005 < changed.mean() < 0.15
    np.testing.assert_array_equal(rough.depth, fine.depth)
    many = dataclasses.replace(view, intrinsics=view.intrinsics * torch.tensor([[4.0], [4], [1]]))
    truth = frame(many, size=(192, 192)).colour[0].reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
    error = [float(np.square(image.colour[0] - truth).mean()) for image in (rough, fine)]
    assert error[1] < 0.5 * error[0]
