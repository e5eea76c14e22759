"""Scenes as the recipes of public data sets make them, small: all truth at once, against NumPy of its own."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.benchmarks.scenes import reduced
from experiments.scene_truth.checks import check_epipolar, check_poses, check_projection, check_visibility
from mvt4g.geometry.camera import pixel_rays
from mvt4g.geometry.pixels import pixel_centres
from mvt4g.synthetic.generate import draw_scene, generate_clip, generate_scene
from mvt4g.synthetic.object_specs import DroppedObjects
from mvt4g.synthetic.recipes import RECIPES
from mvt4g.synthetic.spec import SceneSpec
from tests.reference import ray_casting

SMALL = replace(
    RECIPES["movi_e"](),
    num_frames=5,
    image_size=(48, 64),
    objects=DroppedObjects(static=(4, 6), dynamic=(2, 3), settle=0.5),
)
DIGEST = """
import hashlib
from dataclasses import replace
from mvt4g.synthetic.generate import generate_scene
from mvt4g.synthetic.object_specs import DroppedObjects
from mvt4g.synthetic.recipes import RECIPES
scene = replace(RECIPES["movi_e"](), num_frames=3, image_size=(32, 32), num_views=2,
                objects=DroppedObjects(static=(4, 6), dynamic=(2, 3), settle=0.5))
made, digest = generate_scene(scene, 5, 6), hashlib.sha256()
for tensor in (made.clip.video, made.clip.tracks, made.clip.visible, made.clip.points_world, made.clip.depth,
               made.clip.instances, made.clip.dynamic, made.normals, made.world_from_object, made.collisions):
    digest.update(tensor.numpy().tobytes())
"""


@pytest.fixture(scope="module")
def made():
    return [(generate_scene(SMALL, 0, index), draw_scene(SMALL, 0, index)) for index in range(3)]


def test_every_part_is_there(made):
    for scene, drawn in made:
        count = len(drawn.shapes)
        assert scene.normals.shape == (2, 5, 3, 48, 64)
        assert scene.world_from_object.shape == (5, count, 4, 4)
        assert scene.clip.tracks.shape == (2, 5, 256, 2)
        assert [scene.normals.dtype, scene.world_from_object.dtype] == [torch.float32] * 2
        assert int(scene.clip.instances.max()) <= count
    assert torch.equal(generate_clip(SMALL, 0, 0).video, made[0][0].clip.video)


def test_an_empty_world_has_no_poses_and_no_collisions():
    none = replace(SMALL, num_frames=1, num_views=1, objects=DroppedObjects(static=(0, 0), dynamic=(0, 0)))
    scene = generate_scene(none, 0, 0)
    assert scene.world_from_object.shape == (1, 0, 4, 4)
    assert scene.collisions.shape == (0, 3)
    assert not bool(scene.clip.dynamic.any())
    assert bool((scene.clip.point_instance == 0).all())


def test_poses_are_proper_and_carry_the_points(made):
    for scene, _ in made:
        assert check_poses(scene)["rotation"][0] < 1e-6
        clip = scene.clip
        for instance in clip.point_instance[clip.point_instance > 0].unique().tolist():
            poses = scene.world_from_object[:, instance - 1].double()
            points = clip.points_world[:, clip.point_instance == instance].double()
            own = (points - poses[:, None, :3, 3]) @ poses[:, :3, :3]
            assert float((own - own[:1]).abs().max()) < 5e-6
            if bool(clip.dynamic[clip.instances == instance].any()):
                assert float((points - points[:1]).norm(dim=-1).max()) > 1e-3


def test_normals_are_unit_face_the_camera_and_stand_up_on_the_ground(made):
    for scene, _ in made:
        normals = scene.normals.movedim(2, -1)
        torch.testing.assert_close(normals.norm(dim=-1), torch.ones(2, 5, 48, 64), atol=1e-5, rtol=0)
        origins, rays = pixel_rays(
            pixel_centres(48, 64), *(part[:, :, None, None] for part in vars(scene.clip.cameras).values())
        )
        assert bool(((normals * rays).sum(-1) < 1e-4).all())
        below = origins + rays * (-origins[..., 2:] / rays[..., 2:])
        ground = (scene.clip.instances == 0) & (rays[..., 2] < 0) & (below[..., :2].norm(dim=-1) < 38)
        assert float((normals[ground] - torch.tensor([0.0, 0, 1])).abs().max()) < 1e-5


def test_depth_is_that_of_rays_cast_anew(made):
    """z-depth at pixel centres to 1e-5 of itself, and the same ids, but at outlines; a pixel aside is far off."""
    for scene, drawn in made[:2]:
        view, frame, clip = 1, 3, scene.clip
        pose, intrinsics = (part[view, frame].double().numpy() for part in vars(clip.cameras).values())
        centres = pixel_centres(48, 64).double().numpy().reshape(-1, 2)
        rays = np.concatenate([centres, np.ones((len(centres), 1))], axis=-1) @ np.linalg.inv(intrinsics).T
        eye = -pose[:3, :3].T @ pose[:3, 3]
        bodies = [
            ray_casting.Body(mesh.vertices @ at[:3, :3].T + at[:3, 3], mesh.triangles)
            for mesh, at in zip(drawn.world.meshes, scene.world_from_object[frame].double().numpy(), strict=True)
        ]
        depth, ids = ray_casting.cast(np.broadcast_to(eye, rays.shape), rays @ pose[:3, :3], bodies)
        ours = clip.depth[view, frame].double().numpy().reshape(-1)
        same = clip.instances[view, frame].numpy().reshape(-1) == ids
        assert same.mean() > 0.999
        error = np.abs(ours / depth - 1)
        assert np.quantile(error[same], 0.999) < 1e-5
        assert np.median(np.abs(np.roll(ours, 1) / depth - 1)[ids > 0]) > 1e-3


def test_tracks_agree_with_an_independent_path(made):
    for index, (scene, drawn) in enumerate(made):
        assert check_projection(scene, 512)["projection_full"][0] < 1e-3
        epipolar = check_epipolar(scene, 512, 10, index)
        assert max(epipolar["epipolar"], default=0.0) < 1e-3
        assert all(control > 1 for control in epipolar["epipolar_control"])
        figures = check_visibility(scene, drawn, 3, 60, index, 0.01)
        (inside,), (wrong,), (chance,) = (
            figures[f"visibility_{name}"] for name in ("inside", "disagree", "control_disagree")
        )
        assert wrong <= 0.005 * inside
        assert chance > 0.1 * inside
        assert max(figures["edge_px_disagreements"], default=0.0) < 1.5


def test_a_wrong_pose_is_seen_by_the_check(made):
    """Negative control of the twin: bodies put 0.3 aside are hidden and show elsewhere."""
    scene, drawn = made[0]
    moved = scene.world_from_object.clone()
    moved[..., :3, 3] += 0.3
    figures = check_visibility(replace(scene, world_from_object=moved), drawn, 3, 60, 0, 0.01)
    assert figures["visibility_disagree"][0] > 0.05 * figures["visibility_inside"][0]


def test_collisions_name_what_touches(made):
    for scene, drawn in made:
        frame, first, second = scene.collisions.unbind(-1)
        count = len(drawn.shapes)
        assert bool((frame.diff() >= 0).all())
        assert 0 <= int(frame.min()) <= int(frame.max()) < SMALL.num_frames
        assert bool(((first >= 1) & (first <= count) & (second >= 0) & (second <= count) & (first != second)).all())
        lowest = [
            (drawn.poses.rotations[:, i, 2] @ mesh.vertices.T).min(-1) + drawn.poses.positions[:, i, 2]
            for i, mesh in enumerate(drawn.world.meshes)
        ]
        heights = np.stack(lowest, axis=1)
        touches = {(int(t), int(i)) for t, i, other in scene.collisions if int(other) == 0}
        high = {(t, i + 1) for t in range(1, 5) for i in range(count) if float(heights[t - 1 : t + 1, i].min()) > 0.5}
        assert not touches & high  # what is half a unit above the ground before and after has not touched it
        low = {(t, i + 1) for t in range(5) for i in range(count) if float(heights[t, i]) < -1e-3}
        assert low <= touches


def test_looks_change_no_truth():
    """What the benchmark leaves out for speed, and noise and blur, touch colours alone."""
    noisy = replace(SMALL, looks=replace(SMALL.looks, shutter=(1.0, 1.0), shutter_samples=2, shot_noise=1e-3))
    plain = reduced(SMALL, 48)
    first, second = generate_scene(noisy, 0, 1), generate_scene(plain, 0, 1)
    for name in ("tracks", "visible", "depth", "instances", "dynamic", "points_world", "point_instance"):
        assert torch.equal(getattr(first.clip, name), getattr(second.clip, name)), name
    assert torch.equal(first.normals, second.normals)
    assert float((first.clip.video - second.clip.video).abs().mean()) > 0.01


def test_budgets_are_of_the_same_world():
    """The points' recipe draws other points on the same scene."""
    other = replace(SMALL, points=replace(SMALL.points, budget="motion", count=40))
    first, second = generate_clip(SMALL, 0, 2), generate_clip(other, 0, 2)
    assert torch.equal(first.video, second.video)
    dynamic = torch.isin(second.point_instance, second.instances[second.dynamic].unique())
    assert 20 <= int(dynamic.sum()) <= 40
    foreground = replace(SMALL, points=replace(SMALL.points, foreground_only=True))
    clip = generate_clip(foreground, 0, 2)
    assert bool((clip.point_instance[clip.point_valid] > 0).all())


def test_another_process_with_more_threads_gives_the_same_scene():
    here: dict[str, object] = {}
    exec(DIGEST, here)  # the same lines as there
    there = subprocess.run(
        [sys.executable, "-c", DIGEST + "print(digest.hexdigest())"],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert there.stdout.strip() == here["digest"].hexdigest() != hashlib.sha256().hexdigest()


def test_other_cameras_see_the_same_world(made):
    scene, drawn = made[0]
    swapped = drawn.cameras[[1, 0]]
    other = generate_scene(SMALL, 0, 0, cameras=swapped)
    assert torch.equal(other.world_from_object, scene.world_from_object)
    assert torch.equal(other.clip.depth, scene.clip.depth[[1, 0]])
    assert SceneSpec().num_views == 3  # the default recipe stays as small as it is
