"""TAPVid, TAPVid3D and PCKT: means over videos, groups of points, padding, what has no score."""

import pytest
import torch

from mvt4g.metrics.functional.tracks import pck_t, tapvid
from mvt4g.metrics.tracks.pck_t import PCKT
from mvt4g.metrics.tracks.tapvid import GROUPS, MAIN_SCORES, TAPVid
from mvt4g.metrics.tracks.tapvid_3d import TAPVid3D
from mvt4g.types import InputError
from tests.metrics.cases.tracks import keypoints, tapvid_3d_videos, tapvid_videos
from tests.reference import tapvid as twin

SIZE = (48, 64)


@pytest.mark.parametrize("query_mode", ["first", "strided"])
def test_means_over_videos_of_the_groups_alone(query_mode):
    videos = tapvid_videos(0)
    metric = TAPVid(SIZE, query_mode)
    metric.update(**videos)
    scores = metric.compute()
    valid, same, dynamic = videos["point_valid"], videos["same_view"], videos["dynamic"]
    chosen = dict(zip(GROUPS, (valid, valid & same, valid & ~same, valid & ~dynamic, valid & dynamic), strict=True))
    for group, points in chosen.items():
        singles = []
        for b, taken in enumerate(points):
            tracks = {name: videos[name][b][:, taken] for name in ("target", "target_visible", "pred", "pred_visible")}
            singles.append(
                tapvid(videos["queries"][b][taken], **tracks, image_size=SIZE, query_mode=query_mode,
                       same_view=same[b][taken])
            )  # fmt: skip
        for name in MAIN_SCORES:
            key = name if group == "all" else f"{group}_{name}"
            assert scores[key] == pytest.approx(float(torch.stack([s[name] for s in singles]).nanmean())), key
    assert len({float(scores[f"{group}_delta_avg"]) for group in GROUPS[1:]}) == 4, "the groups differ"


def test_a_mean_over_videos_is_no_pool():
    """One point right in the first video, a hundred wrong in the second."""
    metric = TAPVid((256, 256), groups=("all",))
    for points, off in ((1, 0.0), (100, 50.0)):
        target, visible = torch.zeros(1, 3, points, 2), torch.ones(1, 3, points, dtype=torch.bool)
        metric.update(torch.zeros(1, points, 3), target, visible, target + off, visible)
    assert metric.compute()["delta_avg"] == 0.5


def test_views_pooled_are_one_video_of_all_their_points():
    """MV-TAP: one point right in the first view, three wrong in the second; padding counts in neither."""
    target, visible = torch.zeros(2, 3, 3, 2), torch.ones(2, 3, 3, dtype=torch.bool)
    pred = target.clone()
    pred[1] += 50.0
    valid = torch.tensor([[True, False, False], [True, True, True]])
    tracks = (torch.zeros(2, 3, 3), target, visible, pred, visible)
    each, pooled = TAPVid((256, 256)), TAPVid((256, 256), pooled_views=2)
    each.update(*tracks, point_valid=valid)
    pooled.update(*tracks, point_valid=valid)
    assert each.compute()["delta_avg"] == 0.5
    assert each.compute()["num_videos"] == 2
    assert pooled.compute()["pooled_delta_avg"] == 0.25
    assert pooled.compute()["num_videos"] == 1
    assert not {"delta_avg", "num_missing_delta_avg"} & set(pooled.compute()), "the other way has the plain names"
    with pytest.raises(InputError, match="target: got 3 videos, want 2 views of every clip"):
        pooled.update(*(torch.cat([value, value[:1]]) for value in tracks))
    with pytest.raises(InputError, match="pooled_views: got 0"):
        TAPVid((256, 256), pooled_views=0)


def test_padding_scores_nothing():
    videos = tapvid_videos(1)
    whole, junk = TAPVid(SIZE), TAPVid(SIZE)
    whole.update(**videos)
    hidden = ~videos["point_valid"]
    videos["pred"] = videos["pred"].masked_fill(hidden[:, None, :, None], torch.nan)
    videos["queries"] = videos["queries"].masked_fill(hidden[..., None], -7.0)
    junk.update(**videos)
    assert all(value.equal(junk.compute()[key]) for key, value in whole.compute().items())
    videos["point_valid"] = torch.ones_like(hidden)
    with pytest.raises(InputError, match="queries: got frame -7"):
        junk.update(**videos)


def test_videos_without_a_score_are_left_out_and_counted():
    videos = tapvid_videos(2)
    metric, alone = TAPVid(SIZE), TAPVid(SIZE)
    alone.update(**videos)
    videos_and_empty = {name: torch.cat([value, value[:1]]) for name, value in videos.items()}
    videos_and_empty["target_visible"][-1] = False
    videos_and_empty["pred_visible"][-1] = False
    metric.update(**videos_and_empty)
    scores = metric.compute()
    assert scores["delta_avg"] == alone.compute()["delta_avg"]
    assert scores["num_missing_delta_avg"] == 1
    assert scores["num_missing_occlusion_accuracy"] == 0
    assert scores["num_videos"] == 4


def test_unknown_dynamics_leave_static_and_dynamic_empty():
    videos = tapvid_videos(0)
    del videos["dynamic"], videos["same_view"]
    metric = TAPVid(SIZE)
    metric.update(**videos)
    scores = metric.compute()
    assert scores["static_delta_avg"].isnan()
    assert scores["num_missing_static_delta_avg"] == scores["num_videos"]
    assert scores["same_view_delta_avg"] == scores["delta_avg"]
    assert scores["cross_view_delta_avg"].isnan()


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize(
    ("name", "change"), [("dynamic", slice(1)), ("pred", slice(2)), ("point_valid", slice(1)), ("queries", slice(1))]
)
def test_other_batch_sizes_are_refused_by_name(name, change):
    videos = tapvid_videos(0)
    videos[name] = videos[name][change]
    with pytest.raises(InputError, match=f"^{name}: got shape"):
        TAPVid(SIZE).update(**videos)


@pytest.mark.usefixtures("without_shape_hook")
def test_options_are_checked():
    with pytest.raises(InputError, match="groups: got 'moving'"):
        TAPVid(SIZE, groups=("all", "moving"))
    with pytest.raises(InputError, match="query_mode: got 'last'"):
        TAPVid(SIZE, query_mode="last")
    with pytest.raises(InputError, match="scaling: got 'mean'"):
        TAPVid3D(scaling="mean")
    with pytest.raises(InputError, match="thresholds: got 'metres'"):
        TAPVid3D(thresholds="metres")
    with pytest.raises(InputError, match="image_size, ratio: got"):
        PCKT((0, 64))


@pytest.mark.parametrize("scaling", ["median", "per_trajectory"])
def test_3d_means_over_videos_equal_the_twin(scaling):
    videos = tapvid_3d_videos(0)
    metric = TAPVid3D(scaling=scaling)
    metric.update(**videos)
    wanted = []
    for b in range(3):
        one = {name: value[b].double().numpy() for name, value in videos.items()}
        focal, kept = one.pop("intrinsics").diagonal()[:2], one.pop("point_valid") > 0
        frames = one.pop("query_frames")[kept]
        tracks = {name: value[:, kept] for name, value in one.items()}
        wanted.append(
            twin.tapvid_3d(**tracks, focal_xy=focal, thresholds="pixels", scaling=scaling, query_frames=frames)
        )
    for key in ("average_jaccard", "delta_4px", "occlusion_accuracy"):
        assert metric.compute()[key] == pytest.approx(sum(video[key] for video in wanted) / 3, abs=1e-12)
    assert metric.compute()["num_videos"] == 3


def test_keypoints_equal_the_twin_video_by_video():
    videos = keypoints(0)
    metric = PCKT(SIZE)
    metric.update(**videos)
    wanted = [
        twin.pck_t(*(videos[name][b].double().numpy() for name in ("pred", "target", "visible")), SIZE, 0.05)
        for b in range(3)
    ]
    assert 0.1 < min(wanted) < max(wanted) < 0.9
    assert metric.compute()["pck_t"] == pytest.approx(sum(wanted) / 3, abs=1e-12)


def test_keypoint_threshold_is_strict_and_of_the_longer_side():
    pred = torch.tensor([[[5.0, 0.0], [4.99, 0.0], [0.0, 4.0]]])
    visible = torch.ones(1, 3, dtype=torch.bool)
    assert pck_t(pred, torch.zeros(1, 3, 2), visible, (60, 100)) == pytest.approx(2 / 3)
    assert pck_t(pred, torch.zeros(1, 3, 2), visible, (60, 60)) == 0


def test_pairs_of_frames_weigh_the_same_and_empty_ones_are_left_out():
    pred = torch.zeros(3, 10, 2)
    pred[1] += 100
    visible = torch.zeros(3, 10, dtype=torch.bool)
    visible[0, 0] = True
    visible[1] = True
    assert pck_t(pred, torch.zeros(3, 10, 2), visible, (60, 100)) == 0.5


def test_no_common_keypoints_is_nan_and_counted():
    videos = keypoints(0)
    videos["visible"][1] = False
    metric, others = PCKT(SIZE), PCKT(SIZE)
    metric.update(**videos)
    others.update(**{name: value[[0, 2]] for name, value in videos.items()})
    assert metric.compute()["pck_t"] == others.compute()["pck_t"]
    assert metric.compute()["num_missing"] == 1
