"""Presets: what runs without weights runs, what does not says what it needs, a file that is given is used."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from mvt4g.metrics.collection import NAMES
from mvt4g.metrics.presets import (
    ALL_LEVELS,
    BROUGHT,
    GENERATION,
    MEMBERS,
    METRICS,
    NOISE_LEVEL,
    REAL_VIDEOS,
    build_metrics,
    novel_view_metrics,
)
from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5
from mvt4g.metrics.weights import MetricWeights
from mvt4g.types import GeneratedVideos, InputError
from tests.metrics.view_records import generated_videos, with_views
from tests.pretend_device import SECOND, brought_back, second_device, sent


def generated(seed: int) -> GeneratedVideos:
    generator = torch.Generator().manual_seed(seed)
    videos = torch.rand(3, 1, 4, 3, 32, 32, generator=generator)
    pose = torch.eye(4).repeat(1, 4, 1, 1)
    moved = pose.clone()
    moved[..., 0, 3] = 0.1 * torch.arange(4)
    intrinsics = torch.tensor([[32.0, 0, 16], [0, 32, 16], [0, 0, 1]]).repeat(1, 4, 1, 1)
    depth = torch.full((1, 4, 32, 32), 2.0)
    moving = torch.zeros(1, 4, 32, 32, dtype=torch.bool)
    moving[..., 16:] = True
    return generated_videos(
        names=(f"clip {seed}",),
        video=videos[0],
        target_video=videos[1],
        reference_video=videos[2],
        mask=~moving,
        target_depth=depth,
        reference_depth=depth,
        target_cam_from_world=moved,
        reference_cam_from_world=pose,
        target_intrinsics=intrinsics,
        reference_intrinsics=intrinsics,
        target_dynamic=moving,
        reference_dynamic=moving,
        pred_world_from_cam=moved,
        registered=torch.ones(1, 4, dtype=torch.bool),
    )


@pytest.mark.parametrize("preset", MEMBERS)
def test_every_member_runs_or_says_what_it_needs(preset):
    metrics = novel_view_metrics(preset)
    assert set(MEMBERS[preset]) == (set(metrics.keys(keep_base=True)) - {NAMES}) | metrics.absent.keys()
    assert all(reason.startswith("needs ") for reason in metrics.absent.values())
    for seed in range(2):
        metrics.update(generated(seed))
    means = {key: value for key, value in metrics.compute().items() if "num_" not in key}
    assert means
    assert not [key for key, value in means.items() if value.isnan()]
    scores = metrics.table().summary()
    assert {key for key in means if key in scores} == set(scores), "every score of the table is a mean of compute"
    for key, score in scores.items():
        assert score.mean == pytest.approx(float(means[key])), key


@pytest.mark.parametrize("preset", MEMBERS)
def test_videos_of_another_device_stay_there_and_the_table_comes_back(preset):
    here = novel_view_metrics(preset)
    here.update(generated(0))
    with second_device():
        there = novel_view_metrics(preset).to(SECOND)
        videos = generated(0)
        there.update(replace(videos, **with_views({name: sent(value) for name, value in videos.known().items()})))
        means = {key: brought_back(value) for key, value in there.compute().items()}
        table = there.table()
    for found, wanted in ((means, here.compute()), (table.scores, here.table().scores)):
        torch.testing.assert_close(found, wanted, equal_nan=True)


def test_a_failed_estimate_hides_the_mean_or_is_left_out():
    lost = replace(generated(1), registered=torch.zeros(1, 4, dtype=torch.bool))
    for on_failure, hidden in (("nan", True), ("skip", False)):
        metrics = novel_view_metrics("camI2V", on_pose_failure=on_failure)
        for videos in (generated(0), lost):
            metrics.update(videos)
        scores = metrics.compute()
        assert bool(scores["camera/camI2V/rotation_error_rad_sum"].isnan()) is hidden
        assert scores["camera/camI2V/num_failed"] == 1


def test_every_named_metric_is_of_some_list_and_states_the_files_it_needs():
    lists = (*MEMBERS.values(), GENERATION, REAL_VIDEOS, NOISE_LEVEL, ALL_LEVELS)
    named = {name for names in lists for name in names}
    assert named - BROUGHT.keys() <= METRICS.keys()
    assert METRICS.keys() - named == {"view_synchronisation"}, "in no protocol, there to be asked for"
    files = {field for named in METRICS.values() for field in getattr(named.metric, "weights", ())}
    assert files == set(MetricWeights.__dataclass_fields__)


def test_members_are_called_by_their_names():
    """But for one whose threshold a run decides."""
    given = {"layers": (0,), "headline_layer": 0, "threshold_px": 2.5}
    for name, named in METRICS.items():
        if not named.missing(MetricWeights()):
            (key,) = build_metrics([name], **given)[0]
            assert key == ("track_pck_2.5px" if name == "track_pck" else name)


def test_a_file_that_is_given_is_used(tmp_path: Path):
    torch.save(timm.create_model("vit_small_patch16_224.dino").state_dict(), tmp_path / "dino.pth")
    metrics = novel_view_metrics("synthetic", MetricWeights(dino_vits16=tmp_path / "dino.pth"))
    assert metrics.absent == {"lpips": "needs alexnet"}
    assert type(metrics["met3r"]) is MEt3R
    assert type(metrics["warp_rgb5"]) is WarpRGB5
    metrics.update(generated(0))
    scores = metrics.compute()
    assert 0 <= scores["met3r"] < 2
    assert scores["met3r"] != scores["warp_rgb5"]


def test_another_name_is_refused(without_shape_hook):
    with pytest.raises(InputError, match="preset: got 'vbench', want one of synthetic, "):
        novel_view_metrics("vbench")


def test_full_reference_is_part_of_synthetic():
    assert set(MEMBERS["full_reference"]) < set(MEMBERS["synthetic"])
    metrics = novel_view_metrics("full_reference")
    metrics.update(generated(0))
    assert {"psnr", "ssim"} <= metrics.compute().keys()
