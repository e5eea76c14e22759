"""Pairs for explicit lifting that are made of one video with depth."""

from dataclasses import replace

import pytest
import torch

from mvt4g.geometry.lifted_video import LiftingSpec
from mvt4g.geometry.pose import compose, invert_pose, rotation_angle
from mvt4g.geometry.rendering import double_reproject
from mvt4g.geometry.reprojection import reproject
from mvt4g.inference.lifted_pairs import CameraMoves, show_pairs
from mvt4g.types import REFERENCE, TARGET, InputError
from tests.systems.wall import DEPTH, SIZE, wall_batch

NO_FILTER = LiftingSpec(edge_filter=False)
STILL = CameraMoves(yaw_deg=0.0, pitch_deg=0.0, distance=0.0)
MOVES = CameraMoves()


def pairs(clip, *kinds, moves=MOVES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return show_pairs(clip, clip.depth[:, REFERENCE], kinds, moves, NO_FILTER, generator)


def stepped(clip):
    """The clip with a block in the middle that stands nearer than the wall."""
    depth = clip.depth.clone()
    depth[..., 10:20, 8:18] = 0.5 * DEPTH
    return replace(clip, depth=depth)


def test_views_are_the_clip_s_own():
    clip = wall_batch(0, 1)
    shown = pairs(clip, "views")
    assert shown.clip is clip
    for number, shift in enumerate((2, 3)):
        want = clip.video[number, REFERENCE, ..., shift:]
        torch.testing.assert_close(shown.rendering.image[number, ..., :-shift], want)
        assert not shown.rendering.mask[number, ..., -shift:].any()


@pytest.mark.parametrize("kind", ["double_reprojection", "occlusion", "depth_blur"])
def test_a_camera_that_stays_loses_nothing(kind):
    clip = wall_batch(0)
    shown = pairs(clip, kind, moves=STILL)
    truth = clip.video[:, REFERENCE]
    assert shown.rendering.mask.all()
    torch.testing.assert_close(shown.rendering.image, truth)
    for view in (REFERENCE, TARGET):
        assert torch.equal(shown.clip.video[:, view], truth)
        assert torch.equal(shown.clip.cameras.intrinsics[:, view], clip.cameras.intrinsics[:, REFERENCE])
    torch.testing.assert_close(shown.clip.cameras.cam_from_world[:, TARGET], clip.cameras.cam_from_world[:, REFERENCE])


def test_double_reprojection_is_that_of_the_geometry():
    clip = stepped(wall_batch(0))
    shown = pairs(clip, "double_reprojection")
    source, moved = shown.clip.cameras[:, TARGET], shown.clip.cameras[:, REFERENCE]
    twice = double_reproject(clip.video[:, REFERENCE], clip.depth[:, REFERENCE], source, moved, edge_filter=False)
    assert torch.equal(twice.image, shown.rendering.image)
    assert torch.equal(twice.mask, shown.rendering.mask)
    assert 0.3 < twice.mask.float().mean() < 1, "a move loses something, and not most"


def test_occlusion_keeps_what_the_moved_camera_sees_and_nothing_else():
    """By brute force: of the points that fall into one of its pixels, those that no other hides."""
    clip = stepped(wall_batch(0))
    shown = pairs(clip, "occlusion")
    moved = shown.clip.cameras[0, REFERENCE]
    xy, z, _ = reproject(clip.depth[0, 0, 0], clip.cameras[0, REFERENCE][0], moved[0])
    cell = xy.floor().long()
    seen = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = cell[row, column].tolist()
            rivals = z[(cell == cell[row, column]).all(dim=-1)]
            seen[row, column] = 0 <= x < SIZE and 0 <= y < SIZE and z[row, column] <= 1.05 * rivals.min()
    assert torch.equal(shown.rendering.mask[0, 0], seen)
    assert 0.3 < seen.float().mean() < 1
    assert torch.equal(shown.rendering.image[0, 0], clip.video[0, REFERENCE, 0] * seen)


def test_blurred_depth_bends_surfaces_and_leaves_flat_ones():
    flat, step = wall_batch(0), stepped(wall_batch(0))
    moves = CameraMoves(yaw_deg=0.0, pitch_deg=0.0, distance=0.1)
    square = [pairs(flat, kind, moves=moves).rendering for kind in ("double_reprojection", "depth_blur")]
    torch.testing.assert_close(square[0].depth, square[1].depth)
    bent = [pairs(step, kind).rendering for kind in ("double_reprojection", "depth_blur")]
    assert not torch.allclose(bent[0].depth, bent[1].depth)


def test_pairs_of_one_video_have_no_points_and_views_keep_theirs():
    clip = wall_batch(*range(8))
    shown = pairs(clip, "views", "occlusion")
    own = [torch.equal(shown.clip.video[i], clip.video[i]) for i in range(8)]
    assert 0 < sum(own) < 8
    for index, is_own in enumerate(own):
        assert shown.clip.visible[index].any().item() is is_own
        assert shown.clip.point_valid[index].any().item() is is_own
    assert shown.clip.depth is None, "what is true of the clip's own views is not of a moved camera's"
    again = pairs(clip, "views", "occlusion")
    assert torch.equal(again.clip.video, shown.clip.video)
    assert torch.equal(again.rendering.image, shown.rendering.image)
    assert not torch.equal(pairs(clip, "views", "occlusion", seed=1).clip.video, shown.clip.video)


def test_moves_stay_within_their_limits_about_the_median_depth():
    clip = wall_batch(0)
    source, depth = clip.cameras[0, REFERENCE], clip.depth[0, REFERENCE]
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for _ in range(40):
        moved = MOVES.move(source, depth, 2 * torch.rand(2, 3, generator=generator) - 1)
        moved_from_source = compose(moved.cam_from_world, invert_pose(source.cam_from_world))
        turn = torch.rad2deg(rotation_angle(moved_from_source[:, :3, :3]))
        largest = max(largest, float(turn.max()))
        about = moved_from_source[:, :3, 2] * DEPTH + moved_from_source[:, :3, 3]
        assert about[:, :2].abs().max() < 1e-5, "the point stays on the axis"
        assert (about[:, 2] - DEPTH).abs().max() <= 0.1 * DEPTH + 1e-5
    assert 12 < largest <= 18.1  # the root of 15^2 + 10^2


def test_bad_limits_and_no_depth_are_refused():
    with pytest.raises(InputError, match=r"moves\.yaw_deg: got 90\.0, want in \[0, 89\]"):
        CameraMoves(yaw_deg=90.0)
    clip = wall_batch(0)
    bare = replace(clip, depth=torch.zeros_like(clip.depth))
    with pytest.raises(InputError, match="depth: got none of any pixel"):
        pairs(bare, "occlusion")
    assert not pairs(bare, "views").rendering.mask.any(), "a pair of true views needs no place to move about"
