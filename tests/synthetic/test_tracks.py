import numpy as np
import pytest
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.points import draw_pixels
from mvt4g.synthetic.spec import PointSpec
from mvt4g.synthetic.tracks import Poses, carry, project_tracks, visibility
from mvt4g.types import Cameras
from tests.reference.visibility import visibility as slow_visibility

EYE = torch.tensor([0.0, 0, -4])


def one_camera(height=8, width=8):
    pose = invert_pose(look_at(EYE, torch.zeros(3), up=(0.0, -1, 0)))
    return Cameras(pose[None, None], intrinsics_from_fov(np.pi / 2, height, width)[None, None])


def seen(point, normal=(0.0, 0, -1), instance=0, depth=4.0, ids=0):
    """One point before one camera at z = -4 that looks along +z; 8x8 pixels, focal length 4."""
    cameras, points = one_camera(), torch.tensor(point)[None, None]
    maps = torch.full((1, 1, 8, 8), depth) if isinstance(depth, float) else depth
    id_maps = torch.full((1, 1, 8, 8), ids) if isinstance(ids, int) else ids
    return bool(
        visibility(
            project_tracks(points, cameras), points, torch.tensor(normal)[None, None], torch.tensor([instance]),
            cameras, maps, id_maps, 0.01,
        )
    )  # fmt: skip


def test_each_rule_hides_by_itself():
    assert seen((0.0, 0, 0))
    assert not seen((0.0, 0, -5))  # behind
    assert not seen((4.1, 0, 0))  # outside: x = 8.1
    assert seen((3.9, 0, 0))
    assert not seen((0.0, 0, 0), depth=3.95)  # covered: 3.95 < 0.99 * 4
    assert seen((0.0, 0, 0), depth=3.97)
    assert not seen((0.0, 0, 0), instance=1)  # another body there
    assert not seen((0.0, 0, 0), normal=(0.0, 0, 1))  # faces away


def test_one_of_four_neighbours_is_enough():
    depth, ids = torch.full((1, 1, 8, 8), 2.0), torch.ones(1, 1, 8, 8, dtype=torch.long)
    assert not seen((0.0, 0, 0), depth=depth, ids=ids)
    depth[..., 4, 3], ids[..., 4, 3] = 4.0, 0  # the point projects to (4, 4): rows and columns 3 and 4 are about it
    assert seen((0.0, 0, 0), depth=depth, ids=ids)
    assert not seen((0.6, 0, 0), depth=depth, ids=ids)  # x = 4.6: columns 4 and 5


def test_visibility_against_the_slow_twin():
    rng = np.random.default_rng(0)
    views, frames, count, height, width = 2, 3, 150, 8, 8
    positions = torch.from_numpy(rng.normal(size=(views, frames, 3)) * 0.5).float() + EYE
    poses = invert_pose(look_at(positions, torch.zeros(3)))
    cameras = Cameras(poses, intrinsics_from_fov(1.2, height, width).expand(views, frames, 3, 3).contiguous())
    points = torch.from_numpy(rng.normal(size=(frames, count, 3)) * [1.5, 1.5, 3.0]).float()
    normals = torch.from_numpy(rng.normal(size=(frames, count, 3))).float()
    ids = torch.from_numpy(rng.integers(0, 2, count))
    depth = torch.from_numpy(rng.uniform(1, 7, (views, frames, height, width))).float()
    instances = torch.from_numpy(rng.integers(0, 2, (views, frames, height, width)))
    tracks = project_tracks(points, cameras)
    fast = visibility(tracks, points, normals, ids, cameras, depth, instances, 0.01).numpy()
    slow = slow_visibility(
        *(array.double().numpy() if array.is_floating_point() else array.numpy()
          for array in (tracks, points, normals, ids, poses, depth, instances)), 0.01,
    )  # fmt: skip
    np.testing.assert_array_equal(fast, slow)
    assert 0.05 < fast.mean() < 0.5


def test_carry_by_hand():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    poses = Poses(np.stack([np.eye(3), quarter])[:, None], np.array([[[1.0, 0, 0]], [[5.0, 0, 0]]]))
    points, frame, instance = (
        np.array([[2.0, 0, 0], [9.0, 9, 9], [5.0, 1, 0]]),
        np.array([0, 0, 1]),
        np.array([1, 0, 1]),
    )
    carried = carry(points, frame, instance, poses, as_points=True)
    np.testing.assert_allclose(carried[:, 0], [[2, 0, 0], [5, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(carried[:, 1], [[9, 9, 9]] * 2)
    np.testing.assert_allclose(carried[:, 2], [[2, 0, 0], [5, 1, 0]], atol=1e-12)  # the same material point
    normals = carry(np.array([[1.0, 0, 0]]), frame[:1], instance[:1], poses, as_points=False)
    np.testing.assert_allclose(normals[:, 0], [[1, 0, 0], [0, 1, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("pixels", "spec", "expected"),
    [
        ({0: 500, 1: 100, 2: 100}, PointSpec(100, 0.5), {0: 50, 1: 25, 2: 25}),
        ({0: 500, 1: 5, 2: 100}, PointSpec(100, 0.5), {0: 50, 1: 5, 2: 45}),  # what 1 lacks goes to 2
        ({0: 500, 1: 5, 3: 5}, PointSpec(100, 0.5), {0: 90, 1: 5, 3: 5}),  # what objects lack goes to the background
        ({0: 500}, PointSpec(100, 0.5), {0: 100}),
        ({1: 500}, PointSpec(100, 0.5), {1: 100}),
        ({0: 20, 1: 20}, PointSpec(100, 0.5), {0: 20, 1: 20}),
        ({0: 500, 1: 200}, PointSpec(100, 0.0), {0: 100}),
    ],
)
def test_budgets(pixels, spec, expected):
    instances = np.concatenate([np.full(count, instance) for instance, count in pixels.items()])
    np.random.default_rng(1).shuffle(instances)
    chosen = draw_pixels(np.random.default_rng(0), instances[None, None, None], np.zeros(9, dtype=bool), spec)
    assert len(np.unique(chosen)) == len(chosen)
    ids, counts = np.unique(instances[chosen], return_counts=True)
    assert dict(zip(ids.tolist(), counts.tolist(), strict=True)) == expected
