"""MEt3R of videos: which pairs, which regions, what is counted, what is refused."""

import pytest
import torch
from torch import nn
from torchmetrics import MetricCollection

from mvt4g.geometry.pose import compose
from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.functional.consistency import lift_depth, met3r, met3r_reference_compat, upsample_features
from mvt4g.metrics.networks.geometry import PairGeometry, geometry_from_depth
from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5
from mvt4g.types import InputError
from tests.metrics.cases.met3r import flat_world, pooled_colours, videos
from tests.metrics.made_up_pairs import camera, shifted, turned
from tests.metrics.view_records import generated_videos, with_views

pytestmark = pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")


def scores(metric: MEt3R, **given: torch.Tensor) -> dict[str, float]:
    metric.update(**with_views(given))
    return {key: float(value) for key, value in metric.compute().items()}


def one_pair(given: dict[str, torch.Tensor], item: int, frame: int, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """The functional score of the reference's frame (a) and the generated one (b)."""
    height, width = given["video"].shape[-2:]
    maps = [
        upsample_features(pooled_colours(given[name][item, frame][None]), height, width)[0]
        for name in ("reference_video", "video")
    ]
    depths, poses, intrinsics = (
        [given[f"{view}_{name}"][item, frame] for view in ("reference", "target")]
        for name in ("depth", "cam_from_world", "intrinsics")
    )
    b_from_a = compose(poses[1].double(), poses[0].double().inverse()).float()
    return met3r(*maps, *depths, *intrinsics, b_from_a, **options)


def generated_view(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in given.items() if name == "video" or name.startswith("target")}


def wall(frames: int = 2, size: int = 16) -> dict[str, torch.Tensor]:
    """Two videos of one noise picture on a wall, whose cameras are the same."""
    picture = torch.rand(1, 1, 3, size, size, generator=torch.Generator().manual_seed(0)).expand(1, frames, 3, -1, -1)
    lead = (1, frames)
    one_view = {
        "depth": torch.full((*lead, size, size), 2.0),
        "cam_from_world": torch.eye(4).expand(*lead, 4, 4),
        "intrinsics": camera(float(size), size, size).expand(*lead, 3, 3),
    }
    both = {f"{view}_{name}": value for view in ("target", "reference") for name, value in one_view.items()}
    return {"video": picture, "reference_video": picture, **both}


# ---------------------------------------------------------------- pairs and averages


def test_it_is_the_mean_over_videos_of_the_mean_over_pairs():
    given = videos(0)
    found = scores(MEt3R(pooled_colours), **given)
    means, coverages = [], []
    for item, wanted in enumerate(given["valid_frames"]):
        pairs = [one_pair(given, item, frame) for frame in range(3) if wanted[frame]]
        means.append(torch.stack([score for score, _ in pairs]).mean())
        coverages.append(torch.stack([coverage for _, coverage in pairs]).mean())
    assert found == {
        "met3r": pytest.approx(float(torch.stack(means).mean()), abs=1e-6),
        "coverage": pytest.approx(float(torch.stack(coverages).mean()), abs=1e-6),
        "num_pairs": int(given["valid_frames"].sum()), "num_invalid": 0, "num_missing": 0,
    }  # fmt: skip


def test_one_direction_is_from_the_reference_into_the_generated_view():
    given = {name: value[:1, :1] for name, value in videos(0).items() if name != "valid_frames"}
    found = scores(MEt3R(pooled_colours, symmetric=False), **given)
    score, coverage = one_pair(given, 0, 0, symmetric=False)
    assert (found["met3r"], found["coverage"]) == pytest.approx((float(score), float(coverage)))


def test_frame_pairs_are_neighbours_of_the_generated_view():
    given = generated_view(videos(1))
    found = scores(MEt3R(pooled_colours, pairs="consecutive"), **given)
    first = {name.replace("target", "reference"): value[:, :-1] for name, value in given.items() if name != "video"}
    second = {name: value[:, 1:] for name, value in given.items()}
    wanted = scores(MEt3R(pooled_colours), **first, **second, reference_video=given["video"][:, :-1])
    assert found == pytest.approx(wanted)
    assert found["num_pairs"] == 4


def test_a_pair_counts_where_both_frames_are_valid():
    given = generated_view(videos(1, frames=4))
    valid = torch.tensor([[True, True, True, False], [True, False, True, False]])
    found = scores(MEt3R(pooled_colours, pairs="consecutive"), **given, valid_frames=valid)
    assert (found["num_pairs"], found["num_invalid"], found["num_missing"]) == (2, 0, 1)


def test_one_frame_has_no_neighbour():
    given = {name: value[:, :1] for name, value in generated_view(videos(1)).items()}
    found = scores(MEt3R(pooled_colours, pairs="consecutive"), **given)
    assert torch.tensor(found["met3r"]).isnan()
    assert (found["num_pairs"], found["num_missing"]) == (0, 2)


# ---------------------------------------------------------------- regions


@pytest.mark.parametrize("known", [("target",), ("reference",), ("target", "reference")], ids=str)
def test_regions_are_those_of_the_views_that_give_one(known):
    """The left half of the generated wall is right and the right half negative."""
    given = wall()
    left = torch.zeros(1, 2, 16, 16, dtype=torch.bool)
    left[..., :8] = True
    given["video"] = torch.where(left[:, :, None], given["video"], 1 - given["video"])
    regions = {f"{view}_dynamic": left for view in known}
    dynamic = scores(WarpRGB5(region="dynamic"), **given, **regions)
    static = scores(WarpRGB5(region="static"), **given, **regions)
    everywhere = scores(WarpRGB5(), **given, **regions)
    assert dynamic["warp_rgb5_dyn"] < 0.2
    assert static["warp_rgb5_static"] > 1.8
    assert 0.9 < everywhere["warp_rgb5"] < 1.1
    assert (dynamic["coverage"], static["coverage"], everywhere["coverage"]) == (0.5, 0.5, 1.0)


def test_dynamic_is_where_all_given_regions_agree():
    given = wall()
    left, top = torch.zeros(2, 1, 2, 16, 16, dtype=torch.bool)
    left[..., :8], top[..., :8, :] = True, True
    found = scores(WarpRGB5(region="dynamic"), **given, target_dynamic=left, reference_dynamic=top)
    assert found["coverage"] == 0.25
    found = scores(WarpRGB5(region="static"), **given, target_dynamic=left, reference_dynamic=top)
    assert found["coverage"] == 0.25


def test_without_any_region_there_is_no_score_of_one():
    found = scores(MEt3R(pooled_colours, region="dynamic"), **wall())
    assert torch.tensor(found["met3r_dyn"]).isnan()
    assert (found["num_pairs"], found["num_invalid"], found["num_missing"]) == (2, 2, 1)


# ---------------------------------------------------------------- where geometry and features come from


class DepthModel(nn.Module):
    """A 3R model that happens to be right: knows the depth and looks up which image is which."""

    def __init__(self, given: dict[str, torch.Tensor]):
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.given = given

    def forward(self, images: torch.Tensor) -> PairGeometry:
        names = ["target" if torch.equal(image, self.given["video"][0, 0]) else "reference" for image in images]
        first, second = names
        cameras = {name: self.given[f"{name}_cam_from_world"][0, 0] for name in names}
        return geometry_from_depth(
            torch.stack([self.given[f"{name}_depth"][0, 0] for name in names]),
            torch.stack([self.given[f"{name}_intrinsics"][0, 0] for name in names]),
            compose(cameras[first], cameras[second].inverse()),
        )


@pytest.mark.parametrize("options", [{}, {"symmetric": False}, {"reference_compat": True}], ids=str)
def test_a_3r_model_that_is_right_gives_the_score_of_depth_and_cameras(options):
    square = videos(0, size=(12, 12))
    given = {name: value[:1, :1] for name, value in square.items() if name != "valid_frames"}
    given["reference_cam_from_world"] = torch.eye(4).expand(1, 1, 4, 4)
    given["target_cam_from_world"] = shifted(2 * 2.0 / 12).expand(1, 1, 4, 4)  # by two pixels
    given["target_depth"] = given["reference_depth"] = torch.full((1, 1, 12, 12), 2.0)
    images = {name: given[name] for name in ("video", "reference_video")}
    wanted = scores(MEt3R(pooled_colours, **options), **given)
    metric = MEt3R(pooled_colours, DepthModel(given), **options)
    assert scores(metric, **images) == pytest.approx(wanted, abs=1e-5)
    assert list(metric.parameters()) == []
    assert 0 < wanted["coverage"] < 1


def test_a_3r_model_may_see_at_another_resolution():
    def half_world(images: torch.Tensor) -> PairGeometry:
        return flat_world(nn.functional.avg_pool2d(images, 2))

    left = torch.zeros(1, 2, 16, 16, dtype=torch.bool)
    left[..., :8] = True
    given = {name: wall()[name] for name in ("video", "reference_video")}
    found = scores(MEt3R(pooled_colours, half_world, region="dynamic"), **given, target_dynamic=left)
    assert found["num_invalid"] == 0
    assert 0.2 < found["coverage"] < 0.6


def test_given_features_serve_like_those_of_an_extractor():
    given = videos(0)
    wanted = scores(MEt3R(pooled_colours), **given)
    features = {
        name: nn.functional.avg_pool3d(given.pop(video), (1, 2, 2)).movedim(2, -1)
        for name, video in (("target_features", "video"), ("reference_features", "reference_video"))
    }
    assert scores(MEt3R(), **given, **features) == pytest.approx(wanted, abs=1e-6)


def test_the_patches_never_read_given_features():
    given = wall()
    wrong = {f"{view}_features": torch.full((1, 2, 2, 2, 1), torch.nan) for view in ("target", "reference")}
    assert scores(WarpRGB5(), **given, **wrong)["warp_rgb5"] == pytest.approx(0.0, abs=1e-6)


def test_the_authors_score_of_depth_and_cameras():
    given = {name: value[:1, :1] for name, value in wall().items()}
    given["video"] = given["video"].flip(-1)
    found = scores(MEt3R(pooled_colours, reference_compat=True), **given)
    maps = [upsample_features(pooled_colours(given[name][0]), 16, 16)[0] for name in ("reference_video", "video")]
    points = lift_depth(given["target_depth"][0, 0], given["target_intrinsics"][0, 0])
    wanted = met3r_reference_compat(*maps, points, points, given["target_intrinsics"][0, 0])
    assert (found["met3r"], found["coverage"]) == pytest.approx((float(wanted[0]), float(wanted[1])))


def test_the_authors_zero_for_no_overlap_is_counted():
    given = wall()
    given["target_cam_from_world"] = shifted(50.0).expand(1, 2, 4, 4)
    found = scores(MEt3R(pooled_colours, reference_compat=True), **given)
    assert (found["met3r"], found["coverage"], found["num_invalid"]) == (0.0, 0.0, 2)


# ---------------------------------------------------------------- counted: metrics.md, section 10


def test_golden_g4_no_overlap_is_left_out_of_the_mean_and_counted():
    given = wall()
    given["target_cam_from_world"] = torch.stack([torch.eye(4), shifted(50.0)])[None]
    found = scores(WarpRGB5(), **given)
    assert found == {
        "warp_rgb5": pytest.approx(0.0, abs=1e-6), "coverage": 0.5, "num_pairs": 2, "num_invalid": 1, "num_missing": 0,
    }  # fmt: skip


def test_too_little_overlap_has_no_score():
    given = {name: value[:, :1] for name, value in wall().items()}
    given["target_cam_from_world"] = shifted(15 / 16 * 2).expand(1, 1, 4, 4)  # one column of sixteen is left
    assert scores(WarpRGB5(min_coverage=0.06), **given)["num_invalid"] == 0
    found = scores(WarpRGB5(min_coverage=0.07), **given)
    assert found["coverage"] == 1 / 16
    assert (found["num_invalid"], found["num_missing"]) == (1, 1)


@pytest.mark.parametrize("name", ["target_cam_from_world", "reference_intrinsics"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_cameras_that_are_not_finite_give_no_score(name, value):
    given = wall()
    broken = given[name].clone()
    broken[0, 1, 0, 0] = value
    found = scores(WarpRGB5(), **(given | {name: broken}))
    assert (found["num_pairs"], found["num_invalid"], found["num_missing"]) == (2, 1, 0)


def test_no_depth_at_all_gives_no_score():
    found = scores(WarpRGB5(), **(wall() | {"target_depth": torch.full((1, 2, 16, 16), torch.nan)}))
    assert (found["num_invalid"], found["num_missing"]) == (2, 1)


def test_the_world_frame_does_not_matter():
    given = videos(0)
    other_from_world = turned(0.3, -0.2, 0.5, translation=(64.0, -32.0, 16.0)).double().inverse()
    elsewhere = {
        name: compose(value.double(), other_from_world)
        for name, value in given.items()
        if name.endswith("cam_from_world")
    }
    found = scores(MEt3R(pooled_colours), **(given | elsewhere))
    assert found == pytest.approx(scores(MEt3R(pooled_colours), **given), abs=3e-3)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairs": "all"}, "pairs: got 'all'"),
        ({"region": "moving"}, "region: got 'moving'"),
        ({"occlusion_tolerance": 0.0}, "occlusion_tolerance: got 0.0"),
        ({"min_coverage": 1.5}, "min_coverage: got 1.5"),
        ({"reference_compat": True, "region": "static"}, "region: got 'static'"),
    ],
)
def test_options_out_of_range_are_refused_by_name(without_shape_hook, options, message):
    with pytest.raises(InputError, match=message):
        MEt3R(pooled_colours, **options)


@pytest.mark.parametrize("missing", ["video", "reference_video", "target_depth", "reference_cam_from_world"])
def test_what_is_missing_is_named(missing):
    given = wall()
    given.pop(missing)
    with pytest.raises(InputError, match=f"{missing}: got nothing, want"):
        MEt3R(pooled_colours).update(**with_views(given))


def test_it_says_what_it_needs():
    assert MEt3R(pooled_colours, flat_world).required_inputs == {"video", "reference_video"}
    assert MEt3R(pooled_colours).required_inputs == set(wall())
    assert MEt3R(pairs="consecutive").required_inputs == {
        "target_features", "target_depth", "target_cam_from_world", "target_intrinsics",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("video", lambda video: video[:, :, :2], "video: got shape"),
        ("video", lambda video: 2 * video, "video: got values"),
        ("reference_video", lambda video: video[:, :1], "reference_.*: got shape"),
        ("target_depth", lambda depth: depth[..., :8], "target_depth: got shape"),
        ("target_intrinsics", lambda k: -k, "target_intrinsics: got a focal length"),
        ("target_cam_from_world", lambda pose: 2 * pose, r"target_cam_from_world\[0, 0\]: got"),
        ("reference_cam_from_world", lambda pose: pose * torch.tensor([1.0, 1.0, -1.0, 1.0]), "a reflection"),
    ],
)
def test_wrong_inputs_are_refused_by_name(without_shape_hook, name, change, message):
    given = wall()
    with pytest.raises(InputError, match=message):
        MEt3R(pooled_colours).update(**with_views(given | {name: change(given[name])}))


def test_videos_of_other_lengths_are_refused(without_shape_hook):
    given = wall()
    short = {name: value[:, :1] if name.startswith("reference") else value for name, value in given.items()}
    with pytest.raises(InputError, match=r"reference_video: got \(b, t\) = \(1, 1\), want \(1, 2\)"):
        MEt3R(pooled_colours).update(**with_views(short))


# ---------------------------------------------------------------- beside other metrics


def test_a_collection_hands_everything_to_everyone():
    together = MetricCollection(
        {"met3r": MEt3R(pooled_colours), "patches": WarpRGB5(), "flow": MEt3R(pooled_colours, pairs="consecutive")},
        compute_groups=False,
    )
    together.update(**with_views(videos(0) | {"target_video": videos(0)["video"]}))
    found = together.compute()
    assert found["patches_warp_rgb5"] > 0
    assert not any("met3r" in key for key in found if key.startswith("patches"))


def test_videos_without_depth_have_no_score_among_other_metrics():
    metrics = NovelViewMetrics(
        {"warp_rgb5_dyn": WarpRGB5(region="dynamic"), "met3r": MEt3R(pooled_colours, flat_world)}
    )
    given = videos(0)
    metrics.update(generated_videos(("a", "b"), **given))
    alone = {key: float(value) for key, value in metrics.compute().items()}
    metrics.update(generated_videos(("c", "d"), given["video"], reference_video=given["reference_video"]))
    found = {key: float(value) for key, value in metrics.compute().items()}
    assert found["warp_rgb5_dyn"] == alone["warp_rgb5_dyn"]
    assert (alone["warp_rgb5_dyn/num_missing"], found["warp_rgb5_dyn/num_missing"]) == (0, 2)
    assert (alone["met3r/num_missing"], found["met3r/num_missing"]) == (0, 0)
    assert metrics.table().scores["warp_rgb5_dyn"].isnan().tolist() == [False, False, True, True]


def test_directions_and_bounds():
    for metric in (MEt3R(pooled_colours), WarpRGB5()):
        assert metric.higher_is_better is False
        assert (metric.plot_lower_bound, metric.plot_upper_bound) == (0.0, 2.0)
        with pytest.raises(RuntimeError):
            metric.higher_is_better = True
