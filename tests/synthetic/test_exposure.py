import dataclasses

import numpy as np
import pytest
import torch

from mvt4g.synthetic.exposure import at_moment, noisy, render_frames, render_moment
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.synthetic.tracks import Poses
from mvt4g.types import Cameras
from tests.synthetic.textured_scenes import SIZE, camera, world

VIEWS = camera([0.0, -0.1, 10], [0.0, -6, 6])  # x is to the right
CAMERAS = Cameras(VIEWS.cam_from_world[:, None].repeat(1, 3, 1, 1), VIEWS.intrinsics[:, None].repeat(1, 3, 1, 1))
RIGHT = np.array([[[0.0, 0, 2]], [[1.0, 0, 2]], [[2.0, 0, 2]]])
MOVING = Poses(np.repeat(np.eye(3)[None, None], 3, axis=0), RIGHT)
STILL = Poses(MOVING.rotations, np.repeat(RIGHT[:1], 3, axis=0))


def frames(scene=None, poses=MOVING, seed=0, **changes):
    scene = world() if scene is None else scene
    scene = dataclasses.replace(scene, **changes)
    return list(render_frames(scene, poses, CAMERAS, SIZE, np.random.default_rng(seed)))


def about_z(angle_deg):
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def test_a_blurred_frame_is_the_mean_of_the_light_of_its_moments():
    blurred = frames(shutter=0.8)[1]
    moments = 1 + 0.8 * ((np.arange(8) + 0.5) / 8 - 0.5)
    sharp = [np.square(render_moment(world(), MOVING, CAMERAS, SIZE, moment).colour) for moment in moments.tolist()]
    np.testing.assert_allclose(np.square(blurred.colour), np.mean(sharp, axis=0), atol=1e-5)
    middle = frames()[1]
    assert np.abs(blurred.colour - middle.colour).max() > 0.1
    for name in ("depth", "instances", "facet_normals"):
        np.testing.assert_array_equal(getattr(blurred, name), getattr(middle, name))


def test_blur_widens_a_moving_edge_by_its_path_and_leaves_still_things():
    def edge_width(shutter):
        scene = world(shadows=False)
        looks = dataclasses.replace(scene.looks, shutter_samples=32)
        light = np.square(frames(scene, shutter=shutter, looks=looks)[1].colour)
        row = light[0, 24, :, 2] - light[0, 24, 0, 2]  # along the box's path
        row = row / row[np.abs(row).argmax()]
        return ((np.abs(row) > 0.05) & (np.abs(row) < 0.95)).sum()

    pixels = float(VIEWS.intrinsics[0, 0, 0]) / 7.5  # a frame's path on the box's top
    widths = [edge_width(shutter) for shutter in (0.0, 0.25, 0.5)]
    assert widths[0] == 0
    assert widths[1] < widths[2] < 4 * 0.5 * pixels
    assert widths[1] >= 2 * 0.25 * pixels - 1
    still, exposed = frames(poses=STILL), frames(poses=STILL, shutter=1.0)
    np.testing.assert_allclose(exposed[1].colour, still[1].colour, atol=1e-5)


def test_bodies_and_cameras_between_frames():
    poses = Poses(np.stack([about_z(10), about_z(100)])[:, None], np.array([[[0.0, 0, 0]], [[1.0, 2, 4]]]))
    cameras = Cameras(torch.stack([camera([9.0, 0, 3]).cam_from_world[0], camera([5.0, 6, 3]).cam_from_world[0]])[None],
                      CAMERAS.intrinsics[:1, :2])  # fmt: skip
    rotations, positions, views = at_moment(poses, cameras, 0.25)
    np.testing.assert_allclose(rotations[0], about_z(32.5), atol=1e-12)
    np.testing.assert_allclose(positions[0], [0.25, 0.5, 1])
    centre = torch.linalg.inv(views.cam_from_world[0].double())[:3, 3]
    np.testing.assert_allclose(centre, [8.0, 1.5, 3], atol=1e-5)
    rotations, positions, _ = at_moment(poses, cameras, -0.5)
    np.testing.assert_allclose(rotations[0], about_z(-35), atol=1e-12)
    np.testing.assert_allclose(positions[0], [-0.5, -1, -2])
    for time in range(2):
        rotations, _, views = at_moment(poses, cameras, time)
        np.testing.assert_array_equal(rotations, poses.rotations[time])
        assert torch.equal(views.cam_from_world, cameras.cam_from_world[:, time])


def test_a_single_frame_has_no_motion_to_blur():
    poses = Poses(MOVING.rotations[:1], MOVING.positions[:1])
    rotations, positions, _ = at_moment(poses, CAMERAS[:, :1], -0.4)
    np.testing.assert_allclose(rotations, poses.rotations[0], atol=1e-12)
    np.testing.assert_allclose(positions, poses.positions[0])


@pytest.mark.parametrize("level", [0.05, 0.25, 0.6])
def test_noise_has_the_variance_of_shots_and_reading(level):
    shot, read = 2e-3, 1e-2
    colour = np.full((200, 200, 3), np.sqrt(level), dtype=np.float32)
    light = np.square(noisy(colour, shot, read, np.random.default_rng(0)))
    assert light.mean() == pytest.approx(level, abs=5e-4)
    assert light.var() == pytest.approx(shot * level + read**2, rel=0.03)
    channels = light.reshape(-1, 3).T
    assert np.abs(np.corrcoef(channels)[~np.eye(3, dtype=bool)]).max() < 0.02
    assert colour.min() == colour.max()  # the input stays


def test_noise_stays_in_range_and_is_absent_when_not_asked_for():
    ends = np.repeat([[[0.0]], [[1.0]]], 3, axis=-1).astype(np.float32).repeat(100, axis=1)
    noise = noisy(ends, 0.1, 0.1, np.random.default_rng(0))
    assert noise.min() >= 0
    assert noise.max() <= 1
    np.testing.assert_array_equal(frames(seed=0)[1].colour, frames(seed=1)[1].colour)


def test_every_frame_has_noise_of_its_own_and_the_same_each_time():
    looks = dataclasses.replace(world().looks, shot_noise=1e-3, read_noise=1e-3)
    first, again, other = (frames(poses=STILL, seed=seed, looks=looks) for seed in (0, 0, 1))
    for time in range(3):
        np.testing.assert_array_equal(first[time].colour, again[time].colour)
        assert np.abs(first[time].colour - other[time].colour).mean() > 1e-3
    assert np.abs(first[0].colour - first[1].colour).mean() > 1e-3


def test_waves_can_be_exposed_too():
    looks = dataclasses.replace(SceneSpec.nano().looks, shutter=(1.0, 1.0), shot_noise=1e-3)
    sharp = generate_clip(SceneSpec.nano(), 0, 0)
    blurred = generate_clip(dataclasses.replace(SceneSpec.nano(), looks=looks), 0, 0)
    assert torch.equal(sharp.depth, blurred.depth)
    assert 0.002 < float((sharp.video - blurred.video).abs().mean()) < 0.1
