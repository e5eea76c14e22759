"""Scenes put up by hand, drawn by the real renderer, in which it is known what is seen."""

import numpy as np
import torch

from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose, look_at
from mvt4g.synthetic.exposure import render_frames
from mvt4g.synthetic.shapes import Shape, mesh
from mvt4g.synthetic.spec import PointSpec
from mvt4g.synthetic.tracks import Poses
from mvt4g.synthetic.truth import Maps, dynamic_instances, track_points
from mvt4g.types import Cameras
from tests.synthetic.textured_scenes import world

EYE = np.array([-6.0, 0.0, 1.5])
SIZE = (96, 96)
WALL, BOX = Shape("box", (0.1, 3.0, 1.5)), Shape("box", (0.5, 0.5, 0.5))
WALL_AT = (2.0, 0.0, 1.5)


def cameras(frames, eyes=(EYE,), fov=1.0):
    """Return cameras that stand and look along +x, or at the wall from elsewhere."""
    where = torch.stack([torch.as_tensor(eye) for eye in eyes])
    poses = invert_pose(look_at(where, torch.tensor([0.0, 0, 1.5]).double())).float()
    intrinsics = intrinsics_from_fov(fov, *SIZE)
    return Cameras(
        poses[:, None].expand(-1, frames, -1, -1).contiguous(),
        intrinsics.expand(len(eyes), frames, 3, 3).contiguous(),
    )


def tracked(shapes, positions, spec, rotations=None, eyes=(EYE,), fov=1.0):
    """Draw bodies at ``positions`` (t i 3) and track points on them."""
    positions = np.asarray(positions, dtype=float)
    if rotations is None:
        rotations = np.broadcast_to(np.eye(3), (*positions.shape[:2], 3, 3)).copy()
    poses, views = Poses(rotations, positions), cameras(len(positions), eyes, fov)
    frames = list(render_frames(world(shapes=shapes), poses, views, SIZE, np.random.default_rng(0)))
    maps = Maps(
        np.stack([frame.depth for frame in frames], axis=1),
        np.stack([frame.instances for frame in frames], axis=1),
        np.moveaxis(np.stack([frame.facet_normals for frame in frames], axis=1), -1, 2),
    )
    dynamic = dynamic_instances(shapes, [mesh(shape) for shape in shapes], poses)
    return track_points(np.random.default_rng(1), spec, maps, views, poses, dynamic), maps, poses, dynamic


def crosses(points, middle, half):
    """Say which segments from the eye to points pass through a box (slab by slab)."""
    direction = points - EYE
    with np.errstate(divide="ignore"):
        one, other = (middle - half - EYE) / direction, (middle + half - EYE) / direction
    first, last = np.minimum(one, other).max(-1), np.maximum(one, other).min(-1)
    return (first < last) & (first < 1 - 1e-6) & (last > 0)


def test_a_box_that_passes_before_a_wall_hides_what_is_behind_it():
    """Its outline, half a pixel or so wide, is left out; the same box behind the wall hides nothing (the control)."""
    frames, margin = 9, 0.06  # 0.06 units at the box are a pixel
    path = np.stack([[0.0, y, 1.5] for y in np.linspace(-2.5, 2.5, frames)])
    wall = np.broadcast_to(WALL_AT, (frames, 3))
    spec = PointSpec(600, foreground_only=True)
    points, _, _, dynamic = tracked([WALL, BOX], np.stack([wall, path], axis=1), spec)
    assert dynamic.tolist() == [False, True]
    on_wall = points.instance == 1
    places = points.points_world[0, on_wall].double().numpy()
    seen = points.visible[0][:, on_wall].numpy()
    half = np.full(3, 0.5)
    hidden_frames = 0
    for frame in range(frames):
        inner, outer = (crosses(places, path[frame], half + change) for change in (-margin, margin))
        assert not seen[frame, inner].any()
        assert seen[frame, ~outer].all()
        hidden_frames += int(inner.sum())
    assert hidden_frames > 100
    behind = path + np.array([4.0, 0, 0])
    control, *_ = tracked([WALL, BOX], np.stack([wall, behind], axis=1), spec)
    assert bool(control.visible[0][:, (control.instance == 1) & control.valid].all())


def test_faces_that_turn_away_are_hidden_and_come_back():
    """A box turns once about the vertical; its face's normal tells, but nearly edge-on."""
    angles = np.linspace(0, 2 * np.pi, 13)
    turns = np.array([[[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]] for a in angles])[:, None]
    positions = np.broadcast_to([0.0, 0, 1.5], (13, 1, 3))
    points, *_ = tracked([BOX], positions, PointSpec(300, foreground_only=True), turns)
    start = points.points_world[0, points.valid].double().numpy() - [0, 0, 1.5]
    front = np.flatnonzero((np.abs(start[:, 0] + 0.5) < 1e-4) & (np.abs(start[:, 1:]) < 0.42).all(-1))
    assert len(front) > 10
    for frame, angle in enumerate(angles):
        facing = np.cos(angle) * 6 - 0.5  # the face's plane is 0.5 from the axis, the eye 6
        if abs(facing) > 0.6:
            assert bool((points.visible[0, frame, front] == bool(facing > 0)).all())


def test_points_leave_through_the_border():
    path = np.stack([[[0.0, y, 1.5]] for y in np.linspace(0, 6, 13)])
    points, *_ = tracked([BOX], path, PointSpec(200, foreground_only=True))
    x = points.tracks[0, ..., 0]
    face = (points.points_world[0, :, 0] + 0.5).abs() < 1e-4
    inside = (x >= 0) & (x < 96)
    assert bool((points.visible[0][:, face] == inside[:, face]).all())
    assert bool(inside[0, face].any())
    assert not bool(inside[-1, face].any())
    assert bool((points.tracks[0, -1, face, 0].abs() > 96).any() or (points.tracks[0, -1, face, 0] < 0).all())


def test_another_body_within_the_tolerance_of_depth_hides_by_its_id():
    """A plate 0.01 before the wall, 0.14 % of its depth: only ids tell."""
    plate = Shape("box", (0.005, 0.6, 0.6))
    path = np.stack([[1.885, y, 1.5] for y in (-1.5, 0.0, 1.5)])
    wall = np.broadcast_to(WALL_AT, (3, 3))
    points, maps, *_ = tracked([WALL, plate], np.stack([wall, path], axis=1), PointSpec(800, foreground_only=True))
    on_wall = points.instance == 1
    places, seen = points.points_world[0, on_wall].double().numpy(), points.visible[0][:, on_wall].numpy()
    depth = maps.depth[0][maps.instances[0] == 2]
    assert depth.min() > 0.99 * (2.0 - 0.1 + 6.0)  # rule 2 alone lets all through
    for frame in range(3):
        covered = (np.abs(places[:, 1:] - path[frame, 1:]) < 0.48).all(-1)
        clear = (np.abs(places[:, 1:] - path[frame, 1:]) > 0.75).any(-1)
        assert covered.sum() > 10
        assert not seen[frame, covered].any()
        assert seen[frame, clear].all()


def test_what_other_views_see():
    """Two cameras face each other over a box: no point of a face is seen by both."""
    eyes = (EYE, EYE * [-1, 1, 1])
    points, *_ = tracked(
        [BOX], np.broadcast_to([0.0, 0, 1.5], (1, 1, 3)), PointSpec(200, foreground_only=True), eyes=eyes
    )
    start = points.points_world[0].double().numpy() - [0, 0, 1.5]
    inner = (np.abs(start[:, 1:]) < 0.42).all(-1)
    near, far = (inner & (np.abs(start[:, 0] - side) < 1e-4) for side in (-0.5, 0.5))
    assert min(near.sum(), far.sum()) > 20
    assert points.visible[:, 0, near].sum(-1).tolist() == [near.sum(), 0]
    assert points.visible[:, 0, far].sum(-1).tolist() == [0, far.sum()]


def test_padding_says_so():
    points, *_ = tracked([BOX], np.broadcast_to([0.0, 0, 1.5], (1, 1, 3)), PointSpec(9000, foreground_only=True))
    found = int(points.valid.sum())
    assert 100 < found < 9000
    assert bool(points.valid[:found].all())
    assert not bool(points.visible[..., found:].any())
    assert bool((points.instance[found:] == 0).all())
    assert bool(points.tracks.isfinite().all())


def test_no_points_at_all():
    spec = PointSpec(5, foreground_only=True, budget="kubric")
    points, _, _, dynamic = tracked([], np.zeros((2, 0, 3)), spec)
    assert not bool(points.valid.any())
    assert not bool(points.visible.any())
    assert dynamic.tolist() == []


def test_motion_budget_of_a_box_before_a_wall():
    path = np.stack([[0.0, y, 1.5] for y in np.linspace(-2.0, 2.0, 9)])
    positions = np.stack([np.broadcast_to(WALL_AT, (9, 3)), path], axis=1)
    points, *_ = tracked([WALL, BOX], positions, PointSpec(60, budget="motion", grid_stride=2))
    assert bool(points.valid.all())
    assert int((points.instance == 2).sum()) == 45
    even, *_ = tracked([WALL, BOX], positions, PointSpec(60, budget="kubric", grid_stride=2))
    assert int((even.instance == 2).sum()) == 20


def test_smooth_facing_is_kubrics():
    """A ball smaller than 1 % of its depth: only the surface's direction hides its far side.

    Its normals change from pixel to pixel, where Kubric does not ask for them; on a plate it does.
    """
    half_turn = np.array([np.eye(3), np.diag([-1.0, -1, 1])])[:, None]
    positions, seen = np.broadcast_to([0.0, 0, 1.5], (2, 1, 3)), {}
    for name, shape in (("ball", Shape("ellipsoid", (0.025,) * 3)), ("plate", Shape("box", (0.025, 0.2, 0.2)))):
        for facing in ("surface", "smooth"):
            spec = PointSpec(40, foreground_only=True, facing=facing)
            points, *_ = tracked([shape], positions, spec, half_turn, fov=0.1)
            front = (points.points_world[0, :, 0] < -0.02) & points.valid
            seen[name, facing] = points.visible[0][:, front].float().mean(-1).tolist()
    assert seen["ball", "surface"] == [1.0, 0.0]
    assert seen["ball", "smooth"] == [1.0, 1.0]
    assert seen["plate", "surface"] == [1.0, 0.0]
    assert seen["plate", "smooth"] == [1.0, 0.0]


def test_dynamic_by_a_hundredth_of_the_size():
    shapes = [Shape("box", (0.5, 0.5, 0.5))] * 3
    positions = np.zeros((3, 3, 3))
    positions[1, 1, 0], positions[1, 2, 0] = 0.0099, 0.0101
    poses = Poses(np.broadcast_to(np.eye(3), (3, 3, 3, 3)).copy(), positions)
    assert dynamic_instances(shapes, [mesh(shape) for shape in shapes], poses).tolist() == [False, False, True]
    turned = np.broadcast_to(np.eye(3), (2, 1, 3, 3)).copy()
    turned[1, 0, :2, :2] = [[np.cos(0.02), -np.sin(0.02)], [np.sin(0.02), np.cos(0.02)]]  # a corner goes 0.014
    assert dynamic_instances(shapes[:1], [mesh(BOX)], Poses(turned, np.zeros((2, 1, 3)))).tolist() == [True]
