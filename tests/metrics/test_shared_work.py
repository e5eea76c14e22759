"""What metrics of one collection do once, and that no score depends on it."""

import pytest
import torch
from torch import Tensor, nn

from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.shared_work import by_work
from mvt4g.metrics.video.full_reference import VideoPSNR
from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5
from mvt4g.metrics.weights import LoadedOnce, MetricWeights
from tests.metrics.cases.met3r import flat_world, pooled_colours, videos
from tests.metrics.view_records import generated_videos


class Counting(nn.Module):
    """Stands for a network, and counts the frames that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    def forward(self, images: Tensor) -> Tensor:
        self.frames += len(images)
        return pooled_colours(images)


def members(net: nn.Module, **options) -> dict[str, MEt3R]:
    looks = [(MEt3R, {"features": net}), (WarpRGB5, {})]
    every = []
    for metric, own in looks:
        every.extend(metric(region=region, **own, **options) for region in ("all", "static", "dynamic"))
    return {metric.key: metric for metric in every}


def known(lacking: str = "") -> dict[str, Tensor]:
    """What metrics are told of two videos: padding, a frame without a pose, another region in each view."""
    given = videos(3, frames=4)
    given["target_cam_from_world"] = given["target_cam_from_world"].clone()
    given["target_cam_from_world"][1, 2] = torch.nan
    given["reference_dynamic"] = given["target_dynamic"].roll(2, dims=-1)
    given["valid_frames"] = torch.tensor([[True, True, False, True], [True, True, True, True]])
    given.pop(lacking, None)
    return given


@pytest.mark.parametrize(
    ("options", "lacking"),
    [
        ({}, ""),
        ({"symmetric": False, "pairs": "consecutive"}, ""),
        ({"geometry": flat_world, "min_coverage": 0}, ""),
        ({"min_coverage": 0.2}, "reference_dynamic"),
    ],
)
def test_together_scores_are_those_of_each_metric_alone(without_shape_hook, options, lacking):
    given = generated_videos(("a", "b"), **known(lacking))
    together = NovelViewMetrics(members(pooled_colours, **options))
    together.update(given)
    found = together.table().scores
    for key, metric in members(pooled_colours, **options).items():
        alone = NovelViewMetrics({key: metric})
        alone.update(given)
        for name, values in alone.table().scores.items():
            assert torch.equal(found[name].nan_to_num(-9), values.nan_to_num(-9)), name
    # Regions are told apart, so that equal scores say something.
    assert found["met3r"].isfinite().all()
    assert found["met3r_dyn"].isfinite().any()
    assert not torch.equal(found["met3r"], found["met3r_dyn"])


def test_a_network_sees_each_frame_of_a_pair_once(without_shape_hook):
    net = Counting()
    metrics = NovelViewMetrics(members(net))
    metrics.update(generated_videos(("a", "b"), **known()))
    # Seven frames count, and one of them has no pose: six pairs of two views.
    assert net.frames == 12


def test_what_was_computed_before_is_out_of_date_for_all_of_a_group(without_shape_hook):
    metrics = NovelViewMetrics(members(pooled_colours))
    metrics.update(generated_videos(("a", "b"), **known()))
    before = metrics.compute()
    other = generated_videos(("c", "d"), **videos(5, frames=4))
    metrics.update(other)
    after = metrics.compute()
    for key in members(pooled_colours):
        assert after[key] != before[key]
        assert metrics.members()[key].update_count == 2


def test_only_equal_work_is_done_together():
    class OwnUpdate(MEt3R):
        def update(self, *given, **named):
            super().update(*given, **named)

    net = Counting()
    same = [MEt3R(net), MEt3R(net, region="static"), MEt3R(Counting()), WarpRGB5()]
    apart = [
        MEt3R(net, symmetric=False),
        MEt3R(net, pairs="consecutive"),
        MEt3R(net, occlusion_tolerance=0.1),
        MEt3R(net, geometry=flat_world),
        MEt3R(net, reference_compat=True),
        MEt3R(),
        OwnUpdate(net),
        VideoPSNR(),
        VideoPSNR(),
    ]
    assert [len(group) for group in by_work([*same, *apart])] == [4] + [1] * len(apart)


def test_a_file_is_read_once_by_each_reader(tmp_path):
    read = []

    def build(path):
        read.append(path)
        return nn.Identity()

    files = MetricWeights(dino_vits16=tmp_path / "dino.pth", alexnet=tmp_path / "alex.pth")
    once = LoadedOnce.of(files)
    assert once.load("dino_vits16", build) is once.load("dino_vits16", build)
    once.load("alexnet", build)
    assert read == [files.dino_vits16, files.alexnet]
    assert files.load("alexnet", build) is not files.load("alexnet", build)
    # Another collection has networks of its own.
    assert LoadedOnce.of(once).loaded == {}
