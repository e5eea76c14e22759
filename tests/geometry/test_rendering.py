"""Explicit lifting: exact where it can be, its twins where not, and what each rule gets wrong."""

import math

import numpy as np
import pytest
import torch

from mvt4g.geometry.pose import pose_from, rotation_from_axis_angle
from mvt4g.geometry.rendering import Rendering, double_reproject, render_mesh, render_points
from mvt4g.geometry.reprojection import reproject, smooth_depth
from mvt4g.types import Cameras, InputError
from tests.reference import rendering as twin

SIZE = (12, 16)
K = torch.tensor([[14.0, 0.3, 8.5], [0.0, 13.0, 5.5], [0.0, 0.0, 1.0]])
HERE = Cameras(torch.eye(4), K)


def seen_from(shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0), k=K):
    """A camera moved by ``shift`` (its own axes) and turned."""
    rotation = rotation_from_axis_angle(torch.tensor(turn))
    return Cameras(pose_from(rotation, -rotation @ torch.tensor(shift)), k)


AWAY = seen_from((0.4, -0.2, 0.3), (0.05, -0.12, 0.1))


def scene(seed=0, holes=True):
    """Smooth hills before a far wall, a step between them, and some pixels without a depth."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    depth = 3 + 0.3 * torch.sin(0.5 * x + seed) * torch.cos(0.4 * y)
    depth = torch.where(x > 10, 5.0, depth)
    if holes:
        depth[2, 3], depth[7, 12], depth[9, 1], depth[0, 0] = 0.0, torch.nan, torch.inf, -1.0
    return torch.rand(3, *SIZE, generator=generator), depth


def arrays(camera):
    return camera.cam_from_world.double().numpy(), camera.intrinsics.double().numpy()


def assert_is(found: Rendering, wanted, tolerance=1e-5):
    image, mask, depth = wanted
    assert np.array_equal(found.mask.numpy(), mask)
    assert np.abs(found.image.double().numpy() - image).max() < tolerance
    assert np.abs(found.depth.double().numpy() - depth).max() < tolerance


RENDERERS = [render_points, render_mesh]


@pytest.mark.parametrize("render", RENDERERS)
def test_the_same_camera_gives_the_image_bit_for_bit(render):
    image, depth = scene(holes=False)
    for camera in (HERE, AWAY):
        found = render(image, depth, camera, camera, SIZE, edge_filter=False)
        assert torch.equal(found.image, image)
        assert bool(found.mask.all())
        assert torch.equal(found.depth, depth)


def test_double_reprojection_without_a_move_gives_the_image_bit_for_bit():
    image, depth = scene(holes=False)
    found = double_reproject(image, depth, AWAY, AWAY, edge_filter=False)
    assert torch.equal(found.image, image)
    assert bool(found.mask.all())


@pytest.mark.parametrize("shift", [0.001, 0.25, 3.0])
def test_a_plane_moves_by_f_b_over_z(shift):
    k = torch.tensor([[700.0, 0.0, 416.0], [0.0, 700.0, 240.0], [0.0, 0.0, 1.0]])
    source, target = Cameras(torch.eye(4), k), seen_from((shift, 0.0, 0.0), k=k)
    xy, z, kept = reproject(torch.full((480, 832), 4.7), source, target)
    moved = (torch.arange(832) + 0.5).double() - xy[..., 0]
    assert bool(kept.all())
    assert float((moved - 700 * np.float32(shift) / np.float32(4.7)).abs().max()) < 1e-4
    assert float((xy[..., 1] - (torch.arange(480) + 0.5)[:, None]).abs().max()) < 1e-9
    assert float((z - np.float32(4.7)).abs().max()) < 1e-9


def test_far_from_the_world_s_origin_nothing_is_lost():
    """Both cameras 1e6 units away: half a pixel would be gone if points of the world were rounded."""
    image, depth = scene()
    far = torch.eye(4, dtype=torch.float64)
    far[:3, 3] = torch.tensor([1e6, -2e6, 3e6])
    source, target = (
        Cameras(camera.cam_from_world.double() @ far, camera.intrinsics.double()) for camera in (HERE, AWAY)
    )
    near = render_points(image, depth, HERE, AWAY, SIZE)
    assert torch.equal(render_points(image, depth, source, target, SIZE).image, near.image)


@pytest.mark.parametrize("edge_filter", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_hard_points_are_their_twin(seed, edge_filter):
    image, depth = scene(seed)
    wanted = twin.hard_points(image.numpy(), depth.numpy(), arrays(HERE), arrays(AWAY), SIZE, edge_filter)
    found = render_points(image, depth, HERE, AWAY, SIZE, edge_filter)
    assert_is(found, wanted)
    assert 0.1 < float(found.mask.double().mean()) < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_soft_points_are_their_twin(seed):
    image, depth = scene(seed)
    wanted = twin.soft_points(image.numpy(), depth.numpy(), arrays(HERE), arrays(AWAY), SIZE)
    assert_is(render_points(image, depth, HERE, AWAY, SIZE, edge_filter=False, blend="soft"), wanted)


def _keep_wide(points):
    """No angle under 2.5 degrees."""
    for corner in range(3):
        sides = [points[(corner + step) % 3] - points[corner] for step in (1, 2)]
        cosine = sides[0] @ sides[1] / np.linalg.norm(sides[0]) / np.linalg.norm(sides[1])
        if math.degrees(math.acos(min(1.0, cosine))) < 2.5:
            return False
    return True


def _keep_even(points):
    return points[:, 2].max() <= 1.05 * points[:, 2].min()


@pytest.mark.parametrize(("rule", "keep"), [("angle", _keep_wide), ("ratio", _keep_even)])
@pytest.mark.parametrize("seed", range(2))
def test_meshes_are_their_twin(seed, rule, keep):
    image, depth = scene(seed)
    depth = torch.where(depth == 5.0, 20.0, depth)  # a step that stretches faces to under 2.5 degrees
    for filtered in (False, True):
        wanted = twin.mesh(
            image.numpy(), depth.numpy(), arrays(HERE), arrays(AWAY), SIZE, keep if filtered else lambda _: True
        )
        found = render_mesh(image, depth, HERE, AWAY, SIZE, filtered, rule)
        assert_is(found, wanted)
    whole = render_mesh(image, depth, HERE, AWAY, SIZE, edge_filter=False)
    assert int(found.mask.sum()) < int(whole.mask.sum()), "stretched faces covered something"


def test_rejected_faces_may_still_hide_what_is_behind():
    """A near strip before a far wall, seen from the left: the curtain at its edge hides a part of the wall, or not."""
    image, depth = scene(holes=False)
    near = (torch.arange(SIZE[1]) >= 4) & (torch.arange(SIZE[1]) < 7)
    depth = torch.where(near, 2.0, 60.0).expand(SIZE)
    target = seen_from((-1.0, 0.0, 0.0))
    open_, hidden = (
        render_mesh(image, depth, HERE, target, SIZE, rejected_occlude=occlude) for occlude in (False, True)
    )
    whole = render_mesh(image, depth, HERE, target, SIZE, edge_filter=False)
    assert int(hidden.mask.sum()) < int(open_.mask.sum())
    assert not bool((hidden.mask & ~open_.mask).any())
    assert torch.equal(hidden.depth[hidden.mask], whole.depth[hidden.mask]), "what is seen is what the whole mesh shows"


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize("scale", [0.25, 8.0])
def test_depth_and_translation_scaled_together_change_nothing(render, scale):
    image, depth = scene()
    larger = torch.eye(4)
    larger[:3, 3] = scale * AWAY.cam_from_world[:3, 3]
    larger[:3, :3] = AWAY.cam_from_world[:3, :3]
    one = render(image, depth, HERE, AWAY, SIZE)
    other = render(image, scale * depth, HERE, Cameras(larger, K), SIZE)
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(scale * one.depth, other.depth)


def test_the_soft_blend_fails_the_test_of_scale():
    """Two surfaces a tenth apart over one pixel, and one far away: how they blend hangs on the unit of depth."""
    image = torch.tensor([[[1.0, 0.0, 0.5]]])
    depth = torch.tensor([[1.0, 1.1, 900.0]])
    blends = []
    flat = Cameras(torch.eye(4), torch.tensor([[1.0, 0.0, 1.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]]))
    # A target of hardly any focal length, in which all pixels fall on one another.
    narrow = Cameras(torch.eye(4), torch.tensor([[1e-6, 0.0, 1.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]]))
    for scale in (0.01, 1.0):
        found = render_points(image, scale * depth, flat, narrow, (1, 3), False, "soft")
        near, next_, far = torch.log1p(scale * depth[0].double())
        weight = torch.exp(50 * (next_ - near) / far)
        assert float(found.image[0, 0, 1]) == pytest.approx(float(weight / (1 + weight)), abs=1e-4)
        blends.append(float(found.image[0, 0, 1]))
    assert blends == pytest.approx([0.505, 0.589], abs=1e-3), "a depth test shows the nearer alone, in any unit"
    hard = render_points(image, depth, flat, narrow, (1, 3), False)
    assert float(hard.image[0, 0, 1]) == 1.0


@pytest.mark.parametrize("render", RENDERERS)
def test_what_is_behind_the_target_never_appears(render):
    image, depth = scene(holes=False)
    turned = seen_from(turn=(0.0, math.pi, 0.0))
    beyond = seen_from((0.0, 0.0, 100.0))
    for target in (turned, beyond):
        found = render(image, depth, HERE, target, SIZE)
        assert not bool(found.mask.any())
        assert not bool(found.image.any())
        assert not bool(found.depth.any())


@pytest.mark.parametrize("blend", ["hard", "soft"])
@pytest.mark.parametrize("value", [0.0, torch.nan, torch.inf, -2.0])
def test_without_a_depth_nothing_is_seen(blend, value):
    image, depth = scene()
    for render in (lambda *args: render_points(*args, blend=blend), render_mesh):
        found = render(image, torch.full_like(depth, value), HERE, AWAY, SIZE)
        assert not bool(found.mask.any())
        assert bool(torch.isfinite(found.image).all())


def test_the_edge_rule_is_its_twin_and_keeps_slopes():
    _, depth = scene()
    assert np.array_equal(smooth_depth(depth).numpy(), twin.smooth(depth.numpy()))
    step = torch.ones(7, 9)
    step[:, 5:] = 1.2
    assert smooth_depth(step)[3].tolist() == [True] * 3 + [False] * 4 + [True] * 2
    slope = (1 + 0.005 * torch.arange(9.0)).expand(7, 9)
    assert bool(smooth_depth(slope).all())


def test_double_reprojection_keeps_what_both_cameras_see():
    image, depth = scene(holes=False)
    found = double_reproject(image, depth, HERE, AWAY)
    there = render_points(image, depth, HERE, AWAY, SIZE)
    back = render_points(there.image, there.depth, AWAY, HERE, SIZE)
    assert torch.equal(found.image, back.image)
    assert 0 < int(found.mask.sum()) <= int(there.mask.sum())
    left_out = ~found.mask
    outside = ~reproject(depth, HERE, AWAY)[2]
    assert not bool((found.mask & outside).any())
    assert bool(left_out.any())


@pytest.mark.parametrize("render", RENDERERS)
def test_batches_are_rendered_one_by_one(render):
    scenes = [scene(seed) for seed in range(6)]
    image = torch.stack([image for image, _ in scenes]).reshape(2, 3, 3, *SIZE)
    depth = torch.stack([depth for _, depth in scenes]).reshape(2, 3, *SIZE)
    source = Cameras(HERE.cam_from_world.expand(2, 3, 4, 4), K.expand(2, 3, 3, 3))
    target = Cameras(AWAY.cam_from_world.expand(2, 3, 4, 4), K.expand(2, 3, 3, 3))
    found = render(image, depth, source, target, (9, 20))
    assert found.image.shape == (2, 3, 3, 9, 20)
    one = render(*scenes[4], HERE, AWAY, (9, 20))
    assert torch.equal(found.image[1, 1], one.image)
    assert torch.equal(found.mask[1, 1], one.mask)
    assert torch.equal(found.depth[1, 1], one.depth)


@pytest.mark.usefixtures("without_shape_hook")
def test_what_does_not_fit_is_refused_by_name():
    image, depth = scene()
    with pytest.raises(InputError, match=r"depth: got shape \(12, 15\), want \(12, 16\)"):
        render_points(image, depth[:, 1:], HERE, AWAY, SIZE)
    with pytest.raises(InputError, match=r"target: got cameras of shape \(2,\), want \(\)"):
        render_mesh(image, depth, HERE, Cameras(torch.eye(4).expand(2, 4, 4), K.expand(2, 3, 3)), SIZE)
    with pytest.raises(InputError, match="image_size: got"):
        render_points(image, depth, HERE, AWAY, (0, 4))
    with pytest.raises(InputError, match="blend: got 'mean', want one of hard, soft"):
        render_points(image, depth, HERE, AWAY, SIZE, blend="mean")
    with pytest.raises(InputError, match="edge_rule: got 'area', want one of angle, ratio"):
        render_mesh(image, depth, HERE, AWAY, SIZE, edge_rule="area")
