import math

import pytest
import torch

from mvt4g.metrics.video.view_synchronisation import ViewSynchronisation
from mvt4g.types import InputError
from tests.metrics.cases.full_reference import patches, view_pair
from tests.reference import synchronisation as twin


def make(**options) -> ViewSynchronisation:
    return ViewSynchronisation(patches, **({"min_similarity": 0.3, "max_offset": 2} | options))


def scores(metric: ViewSynchronisation) -> dict[str, float]:
    return {name: float(value) for name, value in metric.compute().items()}


def moments(seed: int = 0, frames: int = 8) -> torch.Tensor:
    """A video whose frames have nothing in common."""
    return torch.rand(1, frames, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_its_twin(seed):
    given = view_pair(seed)
    video, reference = given["video"][:1], given["reference_video"][:1]
    metric = make()
    metric.update(video, reference)
    maps = (patches(frames[0]).double().numpy() for frames in (video, reference))
    wanted = twin.scores(*maps, min_similarity=0.3, max_offset=2)
    found = scores(metric)
    assert math.isnan(found.pop("consistent_share"))
    assert found == pytest.approx(wanted, abs=1e-6, nan_ok=True)


def test_a_synchronised_pair():
    video = moments()
    metric = make()
    metric.update(video, video)
    found = scores(metric)
    assert found["matched_share"] == 1
    assert (found["synchronised_share"], found["offset_frames"], found["num_undecided_frames"]) == (1, 0, 0)


@pytest.mark.parametrize("delay", [1, 2])
@pytest.mark.parametrize("late", [False, True])
def test_a_shifted_view_is_as_many_frames_off(delay, late):
    """The frames whose moment the other video does not show match nothing, and are undecided."""
    video = moments(frames=8 + delay)
    pair = video[:, :8], video[:, delay:]
    metric = make(min_similarity=0.9)
    metric.update(*(pair if late else pair[::-1]))
    found = scores(metric)
    assert found["matched_share"] == found["synchronised_share"] == 0
    assert (found["offset_frames"], found["num_undecided_frames"]) == (delay, delay)


def test_views_of_other_moments_match_by_chance():
    metric = make(min_similarity=0.05)
    for seed in range(12):
        metric.update(moments(seed), moments(100 + seed))
    found = scores(metric)
    assert found["synchronised_share"] == pytest.approx(0.25, abs=0.1)
    assert found["offset_frames"] > 0.8


def test_nobody_can_tell_the_time_of_a_scene_in_which_nothing_moves():
    still = moments(frames=1).expand(1, 6, 3, 12, 16)
    metric = make()
    metric.update(still, still)
    found = scores(metric)
    assert found["matched_share"] == 1
    assert math.isnan(found["synchronised_share"])
    assert math.isnan(found["offset_frames"])
    assert found["num_undecided_frames"] == 6
    assert metric.num_missing("synchronised_share") == 1


def test_a_single_frame_is_undecided():
    metric = make()
    metric.update(moments(frames=1), moments(frames=1))
    assert scores(metric)["num_undecided_frames"] == 1
    assert math.isnan(scores(metric)["synchronised_share"])


def test_frames_that_are_not_valid_are_no_candidates():
    video = moments()
    spoilt, reference = video.clone(), video.clone()
    spoilt[:, 5:], reference[:, 5:] = math.nan, math.nan
    valid = (torch.arange(8) < 5)[None]
    metric, cut = make(), make()
    metric.update(spoilt, reference, valid)
    cut.update(video[:, :5], video[:, :5])
    assert scores(metric) == pytest.approx(scores(cut), nan_ok=True)
    nothing = make()
    nothing.update(video, video, torch.zeros(1, 8, dtype=torch.bool))
    assert math.isnan(scores(nothing)["matched_share"])


def shifted_pair(frames: int = 3) -> dict[str, torch.Tensor]:
    """A wall before two cameras side by side: the generated view sees it 4 pixels, one cell, further left."""
    wall = torch.rand(1, frames, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    poses = torch.eye(4).repeat(1, frames, 1, 1)
    moved = poses.clone()
    moved[..., 0, 3] = -0.4
    intrinsics = torch.tensor([[20.0, 0.0, 8.0], [0.0, 20.0, 6.0], [0.0, 0.0, 1.0]]).repeat(1, frames, 1, 1)
    return {
        "video": wall[..., 4:],
        "reference_video": wall[..., :16],
        "target_cam_from_world": moved,
        "reference_cam_from_world": poses,
        "target_intrinsics": intrinsics,
        "reference_intrinsics": intrinsics,
    }


def test_matches_along_epipolar_lines_are_consistent():
    given = shifted_pair()
    metric = make(epipolar_cells=0.5)
    metric.update(**given)
    found = scores(metric)
    assert found["matched_share"] >= 0.75
    assert found["consistent_share"] > 0.9


def test_matches_across_epipolar_lines_are_not():
    given = shifted_pair()
    given["reference_video"] = given["reference_video"].roll(4, dims=-2)  # one cell down, where no camera has it
    metric = make(epipolar_cells=0.5)
    metric.update(**given)
    found = scores(metric)
    assert found["matched_share"] >= 0.75
    assert found["consistent_share"] < 0.1


def test_one_camera_for_both_views_has_one_place_for_every_pixel():
    given = shifted_pair()
    given["target_cam_from_world"] = given["reference_cam_from_world"]
    off, on = make(epipolar_cells=0.5), make(epipolar_cells=0.5)
    off.update(**given)
    on.update(**(given | {"video": given["reference_video"]}))
    assert scores(off)["consistent_share"] < 0.1
    assert scores(on)["consistent_share"] == 1


def test_consistency_needs_all_cameras():
    given = shifted_pair()
    metric = make()
    metric.update(**(given | {"reference_intrinsics": None}))
    assert math.isnan(scores(metric)["consistent_share"])
    assert metric.num_missing("consistent_share") == 1


def test_unrelated_views_match_nowhere():
    metric = make(min_similarity=0.8)
    metric.update(moments(0), moments(1))
    assert scores(metric)["matched_share"] == 0


@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_input_is_refused_by_name():
    video, poses = moments(), torch.eye(4).repeat(1, 8, 1, 1)
    intrinsics = torch.eye(3).repeat(1, 8, 1, 1)
    cases = {
        r"reference_video: got shape \(1, 7, 3, 12, 16\), want": {"reference_video": video[:, 1:]},
        r"reference_video: got values from": {"reference_video": 5 * video},
        r"video: got shape \(8, 3, 12, 16\), want": {"video": video[0]},
        r"valid_frames: got shape \(1, 7\), want": {"valid_frames": torch.ones(1, 7, dtype=torch.bool)},
        r"target_cam_from_world: got shape \(1, 7, 4, 4\), want": {"target_cam_from_world": poses[:, 1:]},
        r"reference_intrinsics: got shape \(1, 8, 3, 2\), want": {"reference_intrinsics": intrinsics[..., :2]},
    }
    cameras = {
        "target_cam_from_world": poses,
        "reference_cam_from_world": poses,
        "target_intrinsics": intrinsics,
        "reference_intrinsics": intrinsics,
    }
    for message, wrong in cases.items():
        with pytest.raises(InputError, match=message):
            make().update(**({"video": video, "reference_video": video} | cameras | wrong))


@pytest.mark.parametrize(
    ("option", "value"), [("min_similarity", 0), ("min_similarity", 1.5), ("max_offset", 0), ("epipolar_cells", 0)]
)
def test_settings_outside_their_range_are_refused(option, value):
    with pytest.raises(InputError, match=f"{option}: got {value}"):
        make(**{option: value})
