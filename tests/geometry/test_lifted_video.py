"""Lifting a video frame by frame, and with what stands still gathered over time."""

import pytest
import torch

from mvt4g.geometry.lifted_video import LiftingSpec, render_lifted
from mvt4g.geometry.rendering import render_mesh, render_points
from mvt4g.types import Cameras, InputError

HEIGHT, WIDTH = 6, 24
K = torch.tensor([[8.0, 0.0, 12.0], [0.0, 8.0, 3.0], [0.0, 0.0, 1.0]])


def cameras(*places):
    """One camera a place along x, all looking ahead."""
    poses = torch.eye(4).repeat(len(places), 1, 1)
    poses[:, 0, 3] = -torch.tensor(places)
    return Cameras(poses, K.expand(len(places), 3, 3))


WALL = 4.0
STILL = cameras(0.0, 0.0, 0.0)


def passing_block():
    """A red block at depth 2 that passes before a striped wall at depth 4, in a video of three frames."""
    stripes = (torch.arange(WIDTH) % 7 / 7).expand(3, HEIGHT, WIDTH)
    video = stripes.repeat(3, 1, 1, 1)
    depth = torch.full((3, HEIGHT, WIDTH), WALL)
    moves = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.bool)
    for time, left in enumerate((4, 10, 16)):
        moves[time, :, left : left + 4] = True
    depth[moves] = 2.0
    video = torch.where(moves[:, None], torch.tensor([1.0, 0.0, 0.0])[:, None, None], video)
    return video, depth, moves


@pytest.mark.parametrize("surface", ["points", "mesh"])
def test_frame_by_frame_is_the_renderer_itself(surface):
    video, depth, _ = passing_block()
    target = cameras(0.3, 0.4, 0.5)
    renderer = {"points": render_points, "mesh": render_mesh}[surface]
    found = render_lifted(video, depth, STILL, target, LiftingSpec(surface))
    wanted = renderer(video, depth, STILL, target, (HEIGHT, WIDTH))
    assert torch.equal(found.image, wanted.image)
    assert torch.equal(found.mask, wanted.mask)
    assert not bool(found.mask.all())


def test_other_frames_show_what_was_behind_the_block():
    """A camera half a unit to the right: the block moves by two pixels, the wall by one, and bares what it hid."""
    video, depth, moves = passing_block()
    target = cameras(0.5, 0.5, 0.5)
    alone = render_lifted(video, depth, STILL, target, LiftingSpec(edge_filter=False))
    found = render_lifted(video, depth, STILL, target, LiftingSpec(accumulate=True, edge_filter=False), moves)
    own = alone.mask[:, None]
    assert torch.equal(found.image * own, alone.image * own), "the own frame is laid first"
    stripes = torch.arange(WIDTH) % 7 / 7
    for time, left in enumerate((4, 10, 16)):
        wanted = torch.cat([stripes[1:], torch.zeros(1)])
        block = slice(left - 2, left + 2)
        # The wall has come one pixel to the left; what it showed in the last column nobody has seen.
        assert found.mask[time, 0].tolist() == [True] * (WIDTH - 1) + [False]
        green = found.image[time, 1, 0].clone()
        assert green[block].tolist() == [0.0] * 4
        wanted[block] = 0.0
        assert torch.equal(green, wanted)
        assert alone.mask[time, 0].sum() == WIDTH - 2, "the block has bared one column of what it hid"


def test_what_moves_shows_in_its_own_frame_alone():
    video, depth, moves = passing_block()
    spec = LiftingSpec(accumulate=True, edge_filter=False)
    found = render_lifted(video, depth, STILL, STILL, spec, moves)
    assert torch.equal(found.image, video), "blocks of other frames are nowhere, and nothing else changes"
    nobody = torch.zeros_like(moves)
    ghosts = render_lifted(video, depth, STILL, STILL, spec, nobody)
    assert int((ghosts.depth == 2.0).sum()) == 3 * 3 * 4 * HEIGHT, "negative control: three blocks in every frame"


def test_surfaces_that_agree_stay_the_own_frame_s():
    """Depth of another frame that is off by 1 % takes no pixel, by 5 % nearer takes all."""
    video = torch.stack([torch.full((3, HEIGHT, WIDTH), value) for value in (0.2, 0.8)])
    still = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    two = cameras(0.0, 0.0)
    for nearer, seen in ((0.99, 0.2), (0.95, 0.8)):
        depth = torch.stack([torch.full((HEIGHT, WIDTH), WALL), torch.full((HEIGHT, WIDTH), nearer * WALL)])
        found = render_lifted(video, depth, two, two, LiftingSpec(accumulate=True), still)
        assert found.image[0].unique().tolist() == pytest.approx([seen])
        assert found.image[1].unique().tolist() == pytest.approx([0.8]), "the wall behind never shows"


def test_the_frames_that_the_target_sees_most_are_gathered():
    """The own frame looks elsewhere; of three others one looks where the target does, one sees half of that."""
    places = (100.0, 0.0, 6.0, 100.0)
    source = cameras(*places)
    target = cameras(0.0, 0.0, 0.0, 0.0)
    video = torch.arange(4.0)[:, None, None, None].expand(4, 3, HEIGHT, WIDTH) / 4
    depth = torch.full((4, HEIGHT, WIDTH), WALL)
    still = torch.zeros(4, HEIGHT, WIDTH, dtype=torch.bool)
    found = render_lifted(video, depth, source, target, LiftingSpec(accumulate=True, most_frames=1), still)
    assert found.image[0].unique().tolist() == [0.25]
    assert bool(found.mask[0].all())


def test_a_margin_takes_what_moves_to_reach_further():
    """Masks that miss the last column of each block: it shows in other frames too, unless it lies in the margin."""
    video, depth, moves = passing_block()
    for time, left in enumerate((4, 10, 16)):
        moves[time, :, left + 3] = False
    spec = LiftingSpec(accumulate=True, edge_filter=False)
    ghosts = render_lifted(video, depth, STILL, STILL, spec, moves)
    assert int((ghosts.depth == 2.0).sum()) == 3 * (4 + 2) * HEIGHT
    spec = LiftingSpec(accumulate=True, edge_filter=False, margin_px=1)
    assert torch.equal(render_lifted(video, depth, STILL, STILL, spec, moves).image, video)


def test_accumulated_meshes_fill_what_one_mesh_leaves_open():
    video, depth, moves = passing_block()
    target = cameras(0.5, 0.5, 0.5)
    spec = LiftingSpec("mesh", edge_rule="ratio")
    alone = render_lifted(video, depth, STILL, target, spec)
    gathered = LiftingSpec("mesh", accumulate=True, edge_rule="ratio")
    found = render_lifted(video, depth, STILL, target, gathered, moves)
    assert int(found.mask.sum()) > int(alone.mask.sum())
    assert bool((found.mask >= alone.mask).all())


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surface": "voxels"}, "lifting.surface: got 'voxels', want one of points, mesh"),
        ({"surface": "mesh", "blend": "soft"}, "lifting.blend: got soft with surface mesh, want hard"),
        ({"edge_rule": "ratio"}, "lifting.edge_rule: got ratio with surface points, want angle"),
        ({"most_frames": 3}, "lifting.most_frames: got 3 with accumulate false, want 0"),
        ({"accumulate": True, "most_frames": -1}, "lifting.most_frames: got -1"),
    ],
)
def test_options_that_change_nothing_or_mean_nothing_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        LiftingSpec(**options)


def test_without_masks_nothing_is_gathered():
    video, depth, _ = passing_block()
    spec = LiftingSpec(accumulate=True)
    with pytest.raises(InputError, match=r"lifting\.accumulate: got true without masks of what moves"):
        render_lifted(video, depth, STILL, STILL, spec)
