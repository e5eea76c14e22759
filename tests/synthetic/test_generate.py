import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mvt4g.formats.clip_cache import read_clip, write_clip
from mvt4g.geometry.camera import points_depth, project_points
from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.geometry.warp import warp_by_depth
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.synthetic.placing import draw_bodies
from mvt4g.synthetic.spec import ObjectSpec, PointSpec
from mvt4g.types import InputError, MultiViewClip

DIGEST = """
import hashlib, sys
from mvt4g.synthetic.generate import SceneSpec, generate_clip
clip = generate_clip(SceneSpec.nano(), 7, 11)
digest = hashlib.sha256()
for tensor in (clip.video, clip.cameras.cam_from_world, clip.cameras.intrinsics, clip.tracks, clip.visible,
               clip.points_world, clip.point_instance, clip.point_valid, clip.depth, clip.instances, clip.dynamic):
    digest.update(tensor.numpy().tobytes())
"""


def tensors(clip):
    cameras = {"cam_from_world": clip.cameras.cam_from_world, "intrinsics": clip.cameras.intrinsics}
    return cameras | {name: value for name, value in vars(clip).items() if isinstance(value, torch.Tensor)}


def median(values):
    return float(torch.as_tensor(values).median())


def test_every_field_is_there(clips):
    clip = clips[0]
    assert clip.video.shape == (3, 5, 3, 64, 64)
    assert clip.tracks.shape == (3, 5, 128, 2)
    assert clip.points_world.shape == (5, 128, 3)
    assert clip.depth.shape == clip.instances.shape == clip.dynamic.shape == (3, 5, 64, 64)
    assert (clip.name, clip.fps, clip.caption) == ("synthetic-0-000000", 12.0, None)
    assert bool(clip.point_valid.all())
    assert 0 <= float(clip.video.min()) <= float(clip.video.max()) <= 1
    assert [name for name, value in tensors(clip).items() if not value.is_contiguous()] == []
    assert MultiViewClip.stack(clips).video.shape == (4, 3, 5, 3, 64, 64)


def test_tracks_are_the_projection_of_the_points(clips):
    for clip in clips:
        pose, intrinsics = clip.cameras.cam_from_world[:, :, None], clip.cameras.intrinsics[:, :, None]
        pixels, in_front = project_points(clip.points_world.double(), pose.double(), intrinsics.double())
        assert float((pixels - clip.tracks)[in_front].abs().max()) < 1e-3
        x, y = clip.tracks[clip.visible].unbind(-1)
        assert bool(((x >= 0) & (x < 64) & (y >= 0) & (y < 64)).all())


def test_points_keep_their_places_on_their_bodies(clips):
    for clip in clips:
        still = clip.point_instance == 0
        assert float((clip.points_world[:, still] - clip.points_world[:1, still]).abs().max()) == 0
        for instance in clip.point_instance.unique().tolist():
            points = clip.points_world[:, clip.point_instance == instance].double()
            distances = torch.cdist(points, points)
            tolerance = 1e-3 if instance == 0 else 1e-4  # the sky is 40 away
            assert float((distances - distances[:1]).abs().max()) < tolerance


def test_points_start_on_the_surface_that_is_drawn(clips):
    """Every point was drawn from a pixel: there its depth is the map's, its id too, and it is seen."""
    for clip in clips:
        off_centre = (clip.tracks - clip.tracks.floor() - 0.5).norm(dim=-1)
        depth = points_depth(clip.points_world, clip.cameras.cam_from_world[:, :, None])
        x, y = clip.tracks.floor().long().clamp(0, 63).unbind(-1)
        view, frame = (
            axis[..., None].expand_as(x) for axis in torch.meshgrid(torch.arange(3), torch.arange(5), indexing="ij")
        )
        error = (clip.depth[view, frame, y, x] / depth - 1).abs()
        sown = (off_centre < 2e-3) & (error < 1e-4) & (clip.instances[view, frame, y, x] == clip.point_instance)
        assert bool((sown & clip.visible).flatten(0, 1).any(0).all())


def test_depth_agrees_where_points_are_seen_and_not_where_hidden(clips):
    """Inverse depth is linear on planes, so seen points agree to a per mille but at edges; hidden ones lie behind."""
    seen, hidden = [], []
    for clip in clips:
        inverse = bilinear_sample((1 / clip.depth).flatten(0, 1)[:, None], clip.tracks.flatten(0, 1))[..., 0]
        ratio = inverse.unflatten(0, (3, 5)) * points_depth(clip.points_world, clip.cameras.cam_from_world[:, :, None])
        inside = ((clip.tracks >= 0) & (clip.tracks < 64)).all(-1)
        seen.append(ratio[clip.visible])
        hidden.append(ratio[inside & ~clip.visible])
    seen, hidden = torch.cat(seen), torch.cat(hidden)
    assert median((seen - 1).abs()) < 2e-3
    assert float(((seen - 1).abs() < 0.02).float().mean()) > 0.88
    assert len(hidden) > 50
    assert float((hidden > 1.02).float().mean()) > 0.9


def test_the_same_point_has_the_same_colour_in_two_views(clips):
    """Static points outside moving shadows: colours agree far better than those of points paired at random."""
    same, other = [], []
    for clip in clips:
        moving = clip.instances[clip.dynamic].unique()
        both = clip.visible[0, 0] & clip.visible[1, 0] & ~torch.isin(clip.point_instance, moving)
        colours = bilinear_sample(clip.video[:2, 0], clip.tracks[:2, 0][:, both])
        same.append((colours[0] - colours[1]).abs().mean(-1))
        other.append((colours[0] - colours[1].roll(1, dims=0)).abs().mean(-1))
    assert median(torch.cat(same)) < 0.01
    assert median(torch.cat(other)) > 10 * median(torch.cat(same))


def test_epipolar_lines_pass_through_the_tracks(clips):
    """x1^T F x0 = 0 at the same time; dynamic points one frame apart leave their lines (negative control)."""
    right, wrong = [], []
    for clip in clips:
        pose, inverse_k = clip.cameras.cam_from_world.double(), torch.linalg.inv(clip.cameras.intrinsics.double())
        dynamic = torch.isin(clip.point_instance, clip.instances[clip.dynamic].unique())
        for frame, late in ((2, 2), (2, 4)):
            one_from_zero = pose[1, 2] @ torch.linalg.inv(pose[0, 2])
            x, y, z = one_from_zero[:3, 3].tolist()
            cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.double)
            fundamental = inverse_k[1, 2].T @ cross @ one_from_zero[:3, :3] @ inverse_k[0, 2]
            ones = torch.ones(int(dynamic.sum()), 1)
            lines = torch.cat([clip.tracks[0, frame, dynamic], ones], -1).double() @ fundamental.T
            ends = torch.cat([clip.tracks[1, late, dynamic], ones], -1).double()
            distance = (lines * ends).sum(-1).abs() / lines[:, :2].norm(dim=-1)
            (right if late == frame else wrong).append(distance)
    assert float(torch.cat(right).max()) < 2e-2
    assert median(torch.cat(wrong)) > 1.0


def test_views_agree_by_warping(clips):
    clip = clips[0]
    pose, intrinsics = clip.cameras.cam_from_world, clip.cameras.intrinsics
    image, valid = warp_by_depth(
        clip.video[0], clip.depth[0], clip.depth[1], pose[1], intrinsics[1], pose[0], intrinsics[0]
    )
    warped = (image - clip.video[1]).movedim(1, -1)[valid].square().mean()
    copied = (clip.video[0] - clip.video[1]).movedim(1, -1)[valid].square().mean()
    assert float(valid.float().mean()) > 0.5
    assert float(copied / warped) > 30  # 15 dB


def test_thrown_bodies_are_dynamic_and_resting_ones_are_not():
    still = generate_clip(dataclasses.replace(SceneSpec.nano(), objects=ObjectSpec(thrown=(0, 0))), 0, 0)
    assert bool((still.instances > 0).any())
    assert not bool(still.dynamic.any())
    assert float((still.points_world - still.points_world[:1]).abs().max()) < 0.02
    flying = generate_clip(dataclasses.replace(SceneSpec.nano(), objects=ObjectSpec(resting=(0, 0))), 0, 0)
    torch.testing.assert_close(flying.dynamic, flying.instances > 0)
    moved = (flying.points_world[-1] - flying.points_world[0]).norm(dim=-1)
    assert float(moved[flying.point_instance > 0].min()) > 0.1


def test_thrown_bodies_move_a_few_pixels_a_frame(clips):
    steps = []
    for clip in clips:
        both = clip.visible[:, 1:] & clip.visible[:, :-1]
        dynamic = torch.isin(clip.point_instance, clip.instances[clip.dynamic].unique())
        steps.append((clip.tracks[:, 1:] - clip.tracks[:, :-1]).norm(dim=-1)[both & dynamic])
    assert 1 < median(torch.cat(steps)) < 6


def test_bodies_start_apart():
    for seed in range(20):
        bodies = draw_bodies(np.random.default_rng(seed), ObjectSpec(resting=(3, 3), thrown=(2, 2)))
        for number, body in enumerate(bodies):
            for other in bodies[:number]:
                gap = np.linalg.norm(body.position - other.position)
                assert gap > body.shape.bounding_radius + other.shape.bounding_radius


def test_points_are_padded_where_pixels_run_out():
    clip = generate_clip(dataclasses.replace(SceneSpec.nano(), num_frames=1, num_views=2, image_size=(4, 4)), 0, 0)
    assert int(clip.point_valid.sum()) == 32
    assert not bool(clip.visible[..., ~clip.point_valid].any())
    assert bool(clip.points_world.isfinite().all())
    few = generate_clip(dataclasses.replace(SceneSpec.nano(), points=PointSpec(count=10, foreground=1.0)), 0, 0)
    assert bool((few.point_instance > 0).all())


def test_other_numbers_give_other_clips():
    first, second, third = (generate_clip(SceneSpec.nano(), *numbers) for numbers in ((0, 0), (0, 1), (1, 0)))
    assert not torch.equal(first.video, second.video)
    assert not torch.equal(first.video, third.video)


def test_the_world_does_not_hang_on_the_cameras():
    three, two = (generate_clip(dataclasses.replace(SceneSpec.nano(), num_views=views), 0, 0) for views in (3, 2))
    assert three.instances.unique().tolist() == two.instances.unique().tolist()


def test_another_process_with_more_threads_gives_the_same_bytes():
    here: dict[str, object] = {}
    exec(DIGEST, here)  # the same lines as there
    there = subprocess.run(
        [sys.executable, "-c", DIGEST + "print(digest.hexdigest())"],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert there.stdout.strip() == here["digest"].hexdigest()
    assert here["digest"].hexdigest() != hashlib.sha256().hexdigest()


def test_the_cache_gives_back_the_same_clip(clips, tmp_path):
    write_clip(tmp_path / "clip.npz", clips[0])
    back = read_clip(tmp_path / "clip.npz")
    for name, value in tensors(clips[0]).items():
        assert torch.equal(tensors(back)[name], value), name
        assert tensors(back)[name].dtype == value.dtype, name
    assert (back.name, back.fps) == (clips[0].name, clips[0].fps)


def test_negative_numbers_are_refused():
    with pytest.raises(InputError, match="seed, index: got -1, 0"):
        generate_clip(SceneSpec.nano(), -1, 0)
