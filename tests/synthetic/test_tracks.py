import numpy as np
import torch

from mvt4g.geometry.camera import intrinsics_from_fov, project_points
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.tracks import Poses, SurfacePoints, alike_around, carry, faces_camera, project_tracks, visibility
from mvt4g.types import Cameras
from tests.reference.visibility import visibility as slow_visibility

EYE = torch.tensor([0.0, 0, -4])


def one_camera(height=8, width=8):
    pose = invert_pose(look_at(EYE, torch.zeros(3), up=(0.0, -1, 0)))
    return Cameras(pose[None, None], intrinsics_from_fov(np.pi / 2, height, width)[None, None])


def one_sided(points, normals, ids):
    return SurfacePoints(points, normals, ids, torch.ones(len(ids), dtype=torch.bool))


def seen(point, normal=(0.0, 0, -1), instance=0, depth=4.0, ids=0):
    """One point before one camera at z = -4 that looks along +z; 8x8 pixels, focal length 4."""
    cameras, points = one_camera(), torch.tensor(point)[None, None]
    on_surface = one_sided(points, torch.tensor(normal)[None, None], torch.tensor([instance]))
    maps = torch.full((1, 1, 8, 8), depth) if isinstance(depth, float) else depth
    id_maps = torch.full((1, 1, 8, 8), ids) if isinstance(ids, int) else ids
    return bool(visibility(project_tracks(points, cameras), on_surface, cameras, maps, id_maps, 0.01))


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
    fast = visibility(tracks, one_sided(points, normals, ids), cameras, depth, instances, 0.01).numpy()
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


def test_surfaces_seen_from_behind_are_told_apart():
    """Rule 5 is off where ``one_sided`` is False, and there only."""
    cameras, points = one_camera(), torch.zeros(1, 2, 3)
    away = torch.tensor([0.0, 0, 1]).expand(1, 2, 3)
    maps = torch.full((1, 1, 8, 8), 4.0), torch.zeros(1, 1, 8, 8, dtype=torch.long)
    ids = torch.zeros(2, dtype=torch.long)
    tracks = project_tracks(points, cameras)
    mixed = SurfacePoints(points, away, ids, torch.tensor([True, False]))
    assert visibility(tracks, mixed, cameras, *maps, 0.01)[0, 0].tolist() == [False, True]
    assert visibility(tracks, one_sided(points, away, ids), cameras, *maps, 0.01)[0, 0].tolist() == [False, False]
    assert faces_camera(points, -away, cameras)[0, 0].tolist() == [True, True]


def test_normals_are_alike_with_two_strangers_at_most():
    """Up to two of the four diagonal neighbours may differ; those straight beside a pixel are not asked."""
    normals = np.zeros((1, 1, 3, 5, 5), dtype=np.float32)
    normals[0, 0, 2] = 1
    where = (np.array([0]), np.array([0]), np.array([2]), np.array([2]))
    tilted = np.array([np.sin(0.06), 0, np.cos(0.06)])
    for number, (row, column) in enumerate([(1, 1), (1, 3), (3, 1), (3, 3)], start=1):
        normals[0, 0, :, row, column] = tilted
        assert alike_around(normals, *where).tolist() == [number <= 2]
    normals[0, 0, :, 1::2, 1::2] = np.array([np.sin(0.04), 0, np.cos(0.04)])[:, None, None]
    normals[0, 0, :, 2, 1::2] = np.array([1.0, 0, 0])[:, None]
    assert alike_around(normals, *where).tolist() == [True]


def test_points_near_a_camera_are_projected_as_well_as_far_ones():
    """In fp32 alone a point 0.05 away would be off by 6e-3 px (the control), in images 512 wide."""
    rng = np.random.default_rng(3)
    eyes = torch.from_numpy(rng.normal(size=(40, 1, 3))) * torch.tensor([8.0, 8, 1]) + torch.tensor([0.0, 0, 5])
    poses = look_at(eyes, torch.zeros(3).double())
    cameras = Cameras(invert_pose(poses).float(), intrinsics_from_fov(0.86, 512, 512).expand(40, 1, 3, 3).contiguous())
    along = torch.tensor([0.0125, -0.02, 0.05], dtype=torch.double)
    points = (poses[:, 0, :3, :3] @ along + eyes[:, 0]).float()
    exact, rounded = (
        project_points(points.to(kind), cameras.cam_from_world[:, 0].to(kind), cameras.intrinsics[:, 0].to(kind))[0]
        for kind in (torch.double, torch.float)
    )
    ours = torch.stack([project_tracks(points[None], cameras[view, None])[0, 0, view] for view in range(40)])
    assert float((ours - exact).abs().max()) < 1e-4
    assert float((rounded - exact).abs().max()) > 1e-3
