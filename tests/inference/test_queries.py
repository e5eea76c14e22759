"""Query points and the truth about them."""

import torch

from mvt4g.inference.noise import generator_for
from mvt4g.inference.queries import draw_queries, draw_queries_by_name
from mvt4g.matching.pairs import seen_by_kind
from mvt4g.types import Cameras, LatentGrid, MultiViewClip, PointTruth

BATCH, VIEWS, FRAMES, POINTS, QUERIES = 2, 2, 5, 9, 24
GRID = LatentGrid(temporal_stride=2, spatial_stride=4, channels=16)
NAMES = ("a", "b")


def random_clip(seed: int = 0) -> MultiViewClip:
    """Two clips whose points are seen in about half of the frames; the last two points are padding."""
    generator = torch.Generator().manual_seed(seed)
    cameras = Cameras(torch.eye(4).expand(BATCH, VIEWS, FRAMES, 4, 4), torch.eye(3).expand(BATCH, VIEWS, FRAMES, 3, 3))
    return MultiViewClip(
        video=torch.zeros(BATCH, VIEWS, FRAMES, 3, 8, 8),
        cameras=cameras,
        name=NAMES,
        tracks=torch.rand(BATCH, VIEWS, FRAMES, POINTS, 2, generator=generator) * 8,
        visible=torch.rand(BATCH, VIEWS, FRAMES, POINTS, generator=generator) < 0.5,
        point_valid=(torch.arange(POINTS) < POINTS - 2).expand(BATCH, POINTS),
    )


def drawn(clip: MultiViewClip, seed: int = 0) -> PointTruth:
    return draw_queries(clip, GRID, QUERIES, generator_for(seed))


def test_truth_is_of_the_point_under_the_query():
    clip = random_clip()
    found = drawn(clip)
    assert found.valid.all()
    assert found.frame_times.tolist() == [0, 2, 4]
    views = set()
    for b in range(BATCH):
        for q in range(QUERIES):
            view, frame = (int(value) for value in found.queries[b, q, :2])
            (point,) = [
                n for n in range(POINTS) if torch.equal(clip.tracks[b, view, frame, n], found.queries[b, q, 2:])
            ]
            assert frame % 2 == 0
            assert point < POINTS - 2, "padding is never drawn"
            assert clip.visible[b, view, frame, point]
            assert torch.equal(found.tracks[b, :, :, q], clip.tracks[b, :, :, point])
            assert torch.equal(found.visible[b, :, :, q], clip.visible[b, :, :, point])
            views.add((view, frame))
    assert views == {(view, frame) for view in (0, 1) for frame in (0, 2, 4)}, "either view, any latent frame's time"


def test_latent_truth_is_that_of_the_video_frames():
    found = drawn(random_clip())
    for latent, frame in enumerate((0, 2, 4)):
        assert torch.equal(found.latent_tracks()[:, :, latent], found.tracks[:, :, frame])
        assert torch.equal(found.latent_visible()[:, :, latent], found.visible[:, :, frame])


def test_pair_masks_against_a_loop():
    found = drawn(random_clip())
    masks = seen_by_kind(found)
    for b in range(BATCH):
        for view in range(VIEWS):
            for frame in range(FRAMES):
                for q in range(QUERIES):
                    query_view, query_frame = (int(value) for value in found.queries[b, q, :2])
                    kind = None
                    if found.visible[b, view, frame, q] and view != query_view:
                        kind = "cross"
                    elif found.visible[b, view, frame, q] and frame != query_frame:
                        kind = ("ref", "tgt")[view]
                    assert {name for name, mask in masks.items() if mask[b, view, frame, q]} == {kind} - {None}


def test_a_clip_that_shows_no_point_counts_nothing():
    clip = random_clip()
    clip.visible[1] = False
    found = drawn(clip)
    assert found.valid.tolist() == [[True] * QUERIES, [False] * QUERIES]
    assert not any(mask[1].any() for mask in seen_by_kind(found).values())


def test_draws_follow_the_name():
    clip = random_clip()
    together = draw_queries_by_name(clip, NAMES, GRID, QUERIES, seed=3)
    alone = MultiViewClip(
        video=clip.video[1:], cameras=clip.cameras[1:], tracks=clip.tracks[1:], visible=clip.visible[1:],
        point_valid=clip.point_valid[1:],
    )  # fmt: skip
    apart = draw_queries_by_name(alone, NAMES[1:], GRID, QUERIES, seed=3)
    for field in ("queries", "tracks", "visible", "valid"):
        assert torch.equal(getattr(together, field)[1:], getattr(apart, field)), field
    renamed = draw_queries_by_name(alone, ("c",), GRID, QUERIES, seed=3)
    assert not torch.equal(renamed.queries, apart.queries), "negative control: another name draws otherwise"
