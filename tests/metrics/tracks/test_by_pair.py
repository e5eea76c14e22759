"""Scores of tracks by pair of views and motion, worked out by hand."""

from dataclasses import replace

import pytest
import torch

from mvt4g.inference.queries import draw_queries_by_name, dynamic_points
from mvt4g.inference.video_tracks import SEEN_ABOVE, VideoTracks, at_video_frames
from mvt4g.metrics.collection import Scores
from mvt4g.metrics.presets import TRACKS, build_metrics
from mvt4g.metrics.tracks.by_pair import view_names
from mvt4g.types import LatentGrid, PointTruth, TrackPrediction
from tests.systems.wall import SIZE, wall_batch

VIEWS, FRAMES, QUERIES = 2, 3, 3
IMAGE_SIZE = (64, 128)
"""A pixel is 4 of TAP-Vid's in height and 2 in width."""


@pytest.fixture
def truth() -> PointTruth:
    """Return a static point of view 0, a dynamic one of view 1 and a padding entry."""
    return PointTruth(
        queries=torch.tensor([[[0.0, 0.0, 10, 10], [1.0, 2.0, 10, 10], [0.0, 0.0, 0.5, 0.5]]]),
        tracks=torch.full((1, VIEWS, FRAMES, QUERIES, 2), 10.0),
        visible=torch.ones(1, VIEWS, FRAMES, QUERIES, dtype=torch.bool),
        valid=torch.tensor([[True, True, False]]),
        frame_times=torch.arange(FRAMES),
        image_size=IMAGE_SIZE,
        dynamic=torch.tensor([[False, True, False]]),
    )


@pytest.fixture
def found(truth) -> VideoTracks:
    tracks = truth.tracks.clone()
    tracks[0, 0, :, 1, 1] += 0.75  # 3 of TAP-Vid's pixels down: within 4, 8 and 16
    tracks[0, 1, :, 1, 0] += 5.0  # 10 of them to the right: within 16
    tracks[0, :, :, 2] += 50.0  # padding counts nowhere
    return VideoTracks(tracks, truth.visible.clone(), torch.ones_like(tracks[..., 0]))


def track_scores() -> Scores:
    return Scores(build_metrics(TRACKS, threshold_px=2.0)[0], row="view")


def add(scores: Scores, found: VideoTracks, truth: PointTruth, names: list[str] | None = None) -> None:
    known = {"tracks": found.tracks, "visible": found.visible, "truth": truth}
    scores.take(known, None if names is None else view_names(names, len(truth.queries)))


def scored(found: VideoTracks, truth: PointTruth) -> dict[str, float]:
    scores = track_scores()
    add(scores, found, truth)
    return {key: float(value) for key, value in scores.compute().items()}


def test_by_hand(found, truth):
    scores = scored(found, truth)
    delta = {key.split("/")[1]: value for key, value in scores.items() if key.endswith("/delta_avg")}
    nan = float("nan")
    assert delta == pytest.approx(
        {
            "ref": 1.0, "ref_static": 1.0, "ref_dynamic": nan,
            "tgt": 0.2, "tgt_static": nan, "tgt_dynamic": 0.2,
            "cross": 0.8, "cross_static": 1.0, "cross_dynamic": 0.6,
            # Own views have a frame less, the query's; all four (query, view) weigh by their frames.
            "pooled": ((FRAMES - 1) * (1.0 + 0.2) + FRAMES * (1.0 + 0.6)) / (4 * FRAMES - 2),
        },
        nan_ok=True,
    )  # fmt: skip
    pck = {key.split("/")[1]: value for key, value in scores.items() if key.startswith("track_pck_2px/")}
    assert (pck["ref"], pck["tgt"], pck["cross"], pck["cross_dynamic"]) == (1.0, 0.0, 1.0, 1.0)
    assert scores["tapvid/cross/occlusion_accuracy"] == 1.0


def test_a_point_called_hidden_costs_occlusion_accuracy_and_jaccard(found, truth):
    hidden = found.visible.clone()
    hidden[0, 1, 0, 0] = False  # of the static point, one of three frames of the other view
    scores = scored(replace(found, visible=hidden), truth)
    assert scores["tapvid/cross_static/occlusion_accuracy"] == pytest.approx(2 / 3)
    assert scores["tapvid/cross_static/average_jaccard"] == pytest.approx(2 / 3)
    assert scores["tapvid/cross_static/delta_avg"] == 1.0
    assert scores["tapvid/ref/average_jaccard"] == 1.0


def test_where_nobody_knows_what_moves_nothing_is_told_apart(found, truth):
    scores = scored(found, replace(truth, dynamic=None))
    assert "tapvid/cross/delta_avg" in scores
    assert not [key for key in scores if "static" in key or "dynamic" in key]


def test_batches_do_not_change_scores(found, truth):
    together, apart = track_scores(), track_scores()
    worse = replace(found, tracks=found.tracks + 1.0)
    add(together, _twice(found, worse), _twice(truth, truth))
    for part in (worse, found):
        add(apart, part, truth)
    assert {key: float(value) for key, value in together.compute().items()} == pytest.approx(
        {key: float(value) for key, value in apart.compute().items()}, nan_ok=True
    )
    apart.reset()
    assert apart.compute() == {}


def test_points_of_an_instance_that_moves_are_dynamic():
    clip = wall_batch(0, 1)
    ids = torch.zeros(2, 2, 3, SIZE, SIZE, dtype=torch.int64)
    ids[0, 1, 2, 4:6] = 3
    ids[1, 0, 0, 8:9] = 3
    moves = torch.zeros_like(ids, dtype=torch.bool)
    moves[0, 1, 2, 4:6] = True  # seen to move in one view and frame of the first clip alone
    of_point = (torch.arange(clip.tracks.shape[3]) % 4).repeat(2, 1)
    clip = replace(clip, instances=ids, dynamic=moves, point_instance=of_point)
    assert torch.equal(dynamic_points(clip)[0], of_point[0] == 3)
    assert not dynamic_points(clip)[1].any(), "the same id of another clip"
    assert dynamic_points(replace(clip, instances=None)) is None

    drawn = draw_queries_by_name(clip, ("a", "b"), LatentGrid(1, 4, 16), 16, seed=0)
    for b, q in [(b, q) for b in range(2) for q in range(16)]:
        (point,) = (clip.tracks[b, 0, 0] == drawn.tracks[b, 0, 0, q]).all(dim=-1).nonzero()[:, 0].tolist()
        assert bool(drawn.dynamic[b, q]) == bool(dynamic_points(clip)[b, point])
    assert drawn.dynamic[0].any()


def test_logits_become_tracks_at_video_frames():
    tracks = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2, 1, 1).expand(1, 1, 1, 2, 1, 2)
    sure = torch.full((1, 1, 1, 2, 1), 20.0)
    fading = sure.clone()
    fading[..., 1, 0] = -20.0
    found = at_video_frames(TrackPrediction(tracks, fading, sure, torch.tensor([0, 4])), num_frames=6)
    assert found.tracks[0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 4]
    assert found.visible[0, 0, :, 0].tolist() == [True, True, False, False, False, False]  # 1, .75, .5 ... of 0.6
    assert found.confidence.min() > 0.999


def test_visibility_alone_may_tell_what_is_seen():
    """Sure to be visible, at 1/5 sure of where: hidden by the product, seen by visibility, which fades at a half."""
    tracks, times = torch.zeros(1, 1, 1, 2, 1, 2), torch.tensor([0, 4])
    unsure = torch.full((1, 1, 1, 2, 1), 0.2).logit()
    fading = torch.tensor([20.0, -20.0]).view(1, 1, 1, 2, 1)
    found = {rule: at_video_frames(TrackPrediction(tracks, fading, unsure, times), 5, rule) for rule in SEEN_ABOVE}
    assert found["product"].visible[0, 0, :, 0].tolist() == [False] * 5
    assert found["visibility"].visible[0, 0, :, 0].tolist() == [True, True, False, False, False]  # 1, .75, .5 ...
    assert torch.equal(found["product"].confidence, found["visibility"].confidence)


def _twice(first, second):
    """Return a batch of both."""
    values = {
        name: value if name in ("frame_times", "image_size") else torch.cat([value, getattr(second, name)])
        for name, value in vars(first).items()
    }
    return type(first)(**values)


def test_the_table_has_a_row_for_either_view_of_every_clip(found, truth):
    scores = track_scores()
    for name in ("b", "a"):
        add(scores, found, truth, [name])
    table, means = scores.table(), scores.compute()
    assert table.names == ("a/reference", "a/target", "b/reference", "b/target")
    nan = float("nan")
    delta = {key.split("/")[1]: values.tolist() for key, values in table.scores.items() if key.endswith("delta_avg")}
    assert delta["ref"] == pytest.approx([1.0, nan] * 2, nan_ok=True)
    assert delta["tgt"] == pytest.approx([nan, 0.2] * 2, nan_ok=True)
    assert delta["cross"] == pytest.approx([0.6, 1.0] * 2)
    for key, values in table.scores.items():
        assert float(values.nanmean()) == pytest.approx(float(means[key]), nan_ok=True), key
    assert table.of_the_set["track_pck_2px/cross"] == float(means["track_pck_2px/cross"])
