import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.synthetic.look_spec import LookSpec
from mvt4g.synthetic.render import DOME_RADIUS
from mvt4g.synthetic.shapes import Shape, mesh, mesh_shape
from mvt4g.synthetic.world import draw_world
from mvt4g.types import Cameras
from tests.synthetic.textured_scenes import (
    BODY,
    BOX,
    GROUND,
    GROUND_LIGHT,
    SIZE,
    SKY,
    SKY_LIGHT,
    SUN_LIGHT,
    camera,
    draw,
    world,
)  # fmt: skip

ABOVE = [0.0, 0, 10]


def colour_of(albedo, sun=0.0, up=1.0):
    """Square root of the light from a surface whose normal has this z."""
    sky = SKY_LIGHT * (1 + up) / 2 + GROUND_LIGHT * (1 - up) / 2
    return np.sqrt(np.square(albedo) * (sun * SUN_LIGHT + sky))


def ground_points(seen, view):
    """World (x, y) of all pixels of the first view."""
    height, width = seen.depth.shape[1:]
    y, x = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(view.intrinsics[0].numpy()).T
    points = pixels * seen.depth[0][..., None]
    pose = np.linalg.inv(view.cam_from_world[0].double().numpy())
    return points @ pose[:3, :3].T + pose[:3, 3]


def test_depth_ids_colours_and_normals_from_above():
    seen = draw(world(sun=(1.0, 0, 1)), camera(ABOVE))
    assert seen.depth[0, 24, 24] == pytest.approx(7.5, abs=1e-5)  # the box's top is at 2.5
    np.testing.assert_allclose(seen.depth[seen.instances == 0], 10, atol=1e-4)  # z-depth, not distance
    assert (seen.instances == 1).sum() == 8 * 8  # the top is 24 / tan 20 deg / 7.5 = 8.8 px wide, centres at i + 0.5
    np.testing.assert_allclose(seen.facet_normals[seen.instances == 1], [[0, 0, 1]] * 64, atol=1e-6)
    lean = np.sqrt(0.5)
    np.testing.assert_allclose(seen.colour[0, 24, 24], colour_of(BODY, lean), atol=3e-3)
    np.testing.assert_allclose(seen.colour[0, 2, 45], colour_of(GROUND, lean), atol=3e-3)


def test_a_side_gets_half_of_sky_and_half_of_ground():
    seen = draw(world(), camera([0.0, -8, 2], target=(0.0, 0, 2)))
    np.testing.assert_allclose(seen.facet_normals[0, 24, 24], [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(seen.colour[0, 24, 24], colour_of(BODY, 0.0, up=0.0), atol=3e-3)


def test_shadow_falls_where_the_light_says():
    """The box's centre is at height 2, the sun leans to +x by 45 degrees: the shadow's middle is at x = -2."""
    view = camera([0.0, 0, 20])
    seen = draw(world(sun=(1.0, 0, 1)), view)
    lit = draw(world(sun=(1.0, 0, 1), shadows=False), view)
    dark = (np.abs(seen.colour - lit.colour).max(-1)[0] > 0.05) & (seen.instances[0] == 0)
    np.testing.assert_allclose(ground_points(seen, view)[dark].mean(axis=0), [-2, 0, 0], atol=0.2)
    assert np.abs(seen.colour[0][dark] - colour_of(GROUND)).max() < 3e-3
    assert np.abs(lit.colour[0][dark] - colour_of(GROUND, 0.5**0.5)).max() < 3e-3


def penumbra(radius_deg, rays=32, height=4.0):
    """Return x and the share of the sun along the shadow's edge of a wide plate's side at this height."""
    scene = world([Shape("box", (4.0, 4.0, 0.01))], sun_radius=np.deg2rad(radius_deg), shadow_rays=rays)
    view = camera([6.0, 0, 3], target=(4.0, 0.0, 0.0), size=(96, 96), fov=30)
    seen = draw(scene, view, [(0.0, 0, height)], size=(96, 96))
    dark, full = np.square(colour_of(GROUND)), np.square(colour_of(GROUND, 1.0))
    share = ((np.square(seen.colour[0]) - dark) / (full - dark)).mean(axis=-1)
    points = ground_points(seen, view)
    ground = np.abs(points[..., 2]) < 1e-3
    order = np.argsort(points[ground][:, 0])
    return points[ground][order, 0], share[ground][order]


def test_soft_shadows_widen_with_the_sun_and_the_height():
    x, share = penumbra(4.0)
    width = 4.0 * np.tan(np.deg2rad(4.0))  # half the penumbra's: the edge is straight above x = 4
    assert share[x < 4 - 1.1 * width].max() < 0.02
    assert share[x > 4 + 1.1 * width].min() > 0.98
    bins = [share[np.abs(x - 4 - at * width) < 0.1 * width].mean() for at in np.linspace(-0.9, 0.9, 10)]
    assert (np.diff(bins) > 0).all()  # monotone
    # The share of a disc on one side of a line: 0.5 + (asin s + s sqrt(1 - s^2)) / pi.
    at = np.linspace(-0.9, 0.9, 10)
    np.testing.assert_allclose(bins, 0.5 + (np.arcsin(at) + at * np.sqrt(1 - at**2)) / np.pi, atol=0.06)
    for other, factor in ((penumbra(2.0), 0.5), (penumbra(4.0, height=2.0), 0.5)):
        between = [((s > 0.05) & (s < 0.95)).mean() for s in (share, other[1])]
        assert between[1] / between[0] == pytest.approx(factor, abs=0.15)


def test_hard_shadows_have_no_penumbra():
    _, share = penumbra(0.0, rays=1)
    assert ((share < 0.02) | (share > 0.98)).all()


def test_a_ball_s_facets_and_shade():
    ball = Shape("ellipsoid", (1.0, 1.0, 1.0))
    view = camera([0.0, -6, 2], target=(0.0, 0, 2))
    seen = draw(world([ball], sun=(1.0, -1, 0.3)), view)
    on = seen.instances[0] == 1
    true = ground_points(seen, view)[on] - [0, 0, 2]
    true /= np.linalg.norm(true, axis=-1, keepdims=True)
    angles = np.rad2deg(np.arccos(np.clip((true * seen.facet_normals[0][on]).sum(-1), -1, 1)))
    assert np.median(angles) < 5
    assert angles.max() < 9  # 32 facets around: half of 11.25 degrees, either way
    np.testing.assert_allclose(np.linalg.norm(seen.facet_normals, axis=-1), 1, atol=1e-5)
    sun = np.array([1.0, -1, 0.3]) / np.sqrt(2.09)
    lambert = np.maximum(true @ sun, 0)
    sky = (1 + true[:, 2:]) / 2 * SKY_LIGHT + (1 - true[:, 2:]) / 2 * GROUND_LIGHT
    expected = np.sqrt(np.square(BODY) * (lambert[:, None] * SUN_LIGHT + sky))
    clear = lambert > 0.2  # near the terminator facets shade each other
    assert np.abs(seen.colour[0][on] - expected)[clear].max() < 0.03  # smooth: no bands of facets


def test_the_sky_is_the_dome_and_has_its_depth():
    seen = draw(world(), camera([0.0, 0, 5], target=(10.0, 0, 9.0)))
    assert 25 < seen.depth[0, 10, 24] < DOME_RADIUS + 1
    np.testing.assert_allclose(seen.colour[0, 10, 24], SKY, atol=3e-3)
    assert not seen.instances.any()


def test_the_sky_is_seen_where_its_bitmap_has_it():
    """A bitmap whose columns are red ramps over azimuth: ahead (+x) it is 0 or 1, to the left (+y) a quarter."""
    ramp = np.repeat(np.linspace(0, 1, 64)[None], 64, axis=0)
    sky = np.stack([ramp, np.zeros_like(ramp), np.ones_like(ramp)], axis=-1)
    for target, red in (((0.0, 10, 6), 0.25), ((-10.0, 0, 6), 0.5), ((0.0, -10, 6), 0.75)):
        seen = draw(world(images={"sky": sky}), camera([0.0, 0, 5], target=target), [(0.0, 0, -9)])
        assert seen.colour[0, 2, 24, 0] == pytest.approx(red, abs=0.03)


def test_ground_texture_lies_where_it_should():
    """Ground 20 units a tile, its left half red: at x in (0, 10) red, in (10, 20) green."""
    ground = np.where(np.arange(64)[None, :, None] < 32, [1.0, 0, 0], [0, 1.0, 0]) * np.ones((64, 1, 1))
    for x, channel in ((2.0, 0), (8.0, 0), (12.0, 1), (-2.0, 1), (-8.0, 1)):
        view = camera([x, 0.1, 8], target=(x, 0.0, 0.0), fov=5)
        light = np.square(draw(world(images={"ground": ground}), view, [(0.0, 0, -9)]).colour[0, 24, 24])
        assert light[channel] > 8 * light[1 - channel]


def test_a_mesh_s_own_texture_lies_by_its_uvs():
    """The four quarters of a texture on a box's top, u along x and v along -y."""
    image = np.zeros((64, 64, 3))
    image[:32, :32], image[:32, 32:], image[32:, :32], image[32:, 32:] = (
        [1.0, 0, 0],
        [0, 1.0, 0],
        [0, 0, 1.0],
        [1.0, 1, 0],
    )
    body = mesh(BOX)
    corners = body.vertices[body.triangles]
    uvs = np.stack([corners[..., 0] + 0.5, 0.5 - corners[..., 1]], axis=-1)
    seen = draw(world(images={"body": image}, uvs=uvs, shadows=False), camera(ABOVE, fov=6))
    points = ground_points(seen, camera(ABOVE, fov=6))
    for (x, y), colour in (((-1, 1), [1, 0, 0]), ((1, 1), [0, 1, 0]), ((-1, -1), [0, 0, 1]), ((1, -1), [1, 1, 0])):
        there = (seen.instances[0] == 1) & (points[..., 0] * x > 0.1) & (points[..., 1] * y > 0.1)
        there &= (np.abs(points[..., :2]) < 0.4).all(axis=-1)
        np.testing.assert_allclose(seen.colour[0][there] > 0.1, np.broadcast_to(np.array(colour) > 0, (there.sum(), 3)))


def test_textures_move_and_turn_with_their_bodies():
    rng = np.random.default_rng(0)
    scene = world(images={"body": rng.random((16, 16, 3))}, shadows=False, sun=(0.0, 0, 1))
    still = draw(scene, camera(ABOVE, target=(0.0, 0, 2), fov=6))
    quarter = np.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    turned = draw(scene, camera(ABOVE, target=(0.0, 0, 2), fov=6), rotations=quarter)
    inside = (slice(4, -4), slice(4, -4))
    errors = [np.abs(np.rot90(turned.colour[0], k)[inside] - still.colour[0][inside]).mean() for k in range(4)]
    best, *others = sorted(errors)
    assert best < 0.02
    assert min(others) > 0.05


def test_highlights_are_where_the_sun_is_mirrored():
    ball, sun = Shape("ellipsoid", (1.0, 1.0, 1.0)), np.array([1.0, -1, 1]) / np.sqrt(3)
    view = camera([0.0, -8, 2], target=(0.0, 0, 2))
    glossy, matt = (np.square(draw(world([ball], sun=tuple(sun), gloss=gloss), view).colour[0]) for gloss in (0.3, 0.0))
    brighter = (glossy - matt).sum(axis=-1)
    row, column = np.unravel_index(brighter.argmax(), brighter.shape)
    points = ground_points(draw(world([ball]), view), view)[row, column] - [0, 0, 2]
    half = sun + np.array([0.0, -1, 0])
    assert points @ half / np.linalg.norm(half) > 0.97
    assert brighter[0].max() < 1e-4  # no gloss on the ground or in the sky


def test_the_ground_is_darker_where_a_body_stands():
    view = camera([0.0, -8, 6])
    bare, contact = (
        draw(world(contact=strength, shadows=False), view, [(0.0, 0, 0.5)]).colour[0] for strength in (0.0, 1.0)
    )
    points = ground_points(draw(world(), view, [(0.0, 0, 0.5)]), view)
    distance = np.linalg.norm(points[..., :2], axis=-1)
    darker = (bare - contact).mean(axis=-1)
    flat = np.abs(points[..., 2]) < 1e-3
    rings = ((0.6, 0.9), (1.2, 1.6), (3, 5))
    near, mid, far = (darker[flat & (distance > low) & (distance < high)].mean() for low, high in rings)
    assert near > 2 * mid > 4 * far >= 0


def test_antialiasing_mends_edges_and_nothing_else():
    view, scene = camera([3.0, -4, 5], target=(0.0, 0, 1.5)), world(sun=(0.0, -0.3, 1))
    smoothed = dataclasses.replace(scene, looks=dataclasses.replace(scene.looks, antialias=True))
    rough, fine = draw(scene, view), draw(smoothed, view)
    changed = np.abs(rough.colour - fine.colour).max(-1) > 1e-3
    assert 0.005 < changed.mean() < 0.15
    np.testing.assert_array_equal(rough.depth, fine.depth)
    many = dataclasses.replace(view, intrinsics=view.intrinsics * torch.tensor([[4.0], [4], [1]]))
    truth = np.square(draw(scene, many, size=(192, 192)).colour[0]).reshape(48, 4, 48, 4, 3).mean(axis=(1, 3))
    error = [float(np.square(image.colour[0] ** 2 - truth)[changed[0]].mean()) for image in (rough, fine)]
    assert error[1] < 0.35 * error[0]


def test_a_view_does_not_hang_on_the_others():
    scene = world(
        [BOX, Shape("torus", (0.8, 0.8, 0.2))], sun=(1.0, 0, 1), sun_radius=0.05, shadow_rays=8, antialias=True
    )
    both = camera([3.0, -4, 5], [-5.0, 2, 3])
    places = [(0.0, 0, 2), (1.0, 1, 1)]
    together = draw(scene, both, places)
    for number in range(2):
        alone = draw(
            scene, Cameras(both.cam_from_world[number : number + 1], both.intrinsics[number : number + 1]), places
        )
        for name in ("colour", "depth", "instances", "facet_normals"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[number])


def test_sheets_are_seen_and_shaded_from_behind():
    """A mesh's triangle seen from behind: its normal is turned to the camera, it gets the light of that side."""
    scene = world([BOX])
    inside_out = dataclasses.replace(scene.meshes[0], triangles=scene.meshes[0].triangles[:, ::-1].copy())
    scene = dataclasses.replace(scene, meshes=[inside_out])
    seen = draw(scene, camera(ABOVE))
    np.testing.assert_allclose(seen.facet_normals[0, 24, 24], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(seen.colour[0, 24, 24], colour_of(BODY, 1.0), atol=3e-3)


def test_no_bodies():
    seen = draw(world([]), camera(ABOVE), np.zeros((0, 3)), np.zeros((0, 3, 3)))
    np.testing.assert_allclose(seen.colour, np.broadcast_to(colour_of(GROUND, 1.0), (1, *SIZE, 3)), atol=3e-3)


def test_a_textured_file_is_seen_as_its_uvs_say(tmp_path):
    """An OBJ whose top face shows an image: red in the image's upper left is at -x, +y, green beside it at +x, +y."""
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:32, :32], image[:32, 32:], image[32:] = [255, 0, 0], [0, 255, 0], [0, 0, 255]
    Image.fromarray(image).save(tmp_path / "image.png")
    (tmp_path / "cube.mtl").write_text("newmtl skin\nmap_Kd image.png\n")
    corners = [f"v {x} {y} {z}" for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    places = ["vt 0 0", "vt 1 0", "vt 1 1", "vt 0 1"]  # from the lower left corner, as OBJ has it
    quads = [(2, 6, 8, 4), (1, 3, 7, 5), (1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7)]
    corners_of = [[(corner, place) for place, corner in enumerate(quad, 1)] for quad in quads]
    triangles = [[quad[0], quad[k], quad[k + 1]] for quad in corners_of for k in (1, 2)]
    faces = ["f " + " ".join(f"{corner}/{place}" for corner, place in triangle) for triangle in triangles]
    (tmp_path / "cube.obj").write_text("\n".join(["mtllib cube.mtl", *corners, *places, "usemtl skin", *faces, ""]))
    shape = mesh_shape(str(tmp_path / "cube.obj"), 1.0)
    scene = draw_world(np.random.default_rng(0), [shape], LookSpec.kubric())
    view = camera(ABOVE, fov=6)
    seen, points = draw(scene, view), ground_points(draw(scene, view), view)
    for (x, y), channel in (((-1, 1), 0), ((1, 1), 1), ((-1, -1), 2), ((1, -1), 2)):
        there = (seen.instances[0] == 1) & (points[..., 0] * x > 0.1) & (points[..., 1] * y > 0.1)
        there &= (np.abs(points[..., :2]) < 0.4).all(axis=-1)
        assert there.any()
        assert (seen.colour[0][there].argmax(axis=-1) == channel).all()
