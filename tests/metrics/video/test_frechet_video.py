import warnings

import pytest
import torch

from mvt4g.metrics.video.frechet_video import FrechetVideoDistance
from mvt4g.types import InputError
from tests.reference import frechet as twin


def first_values(video: torch.Tensor) -> torch.Tensor:
    return video.flatten(1)[:, :2]


def videos(seed: int, number: int) -> torch.Tensor:
    return torch.rand(number, 2, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) ** (1 + seed)


def make(features=first_values) -> FrechetVideoDistance:
    return FrechetVideoDistance(features, feature_dim=2)


def value(metric: FrechetVideoDistance) -> float:
    return float(metric.compute()["frechet_video_distance"])


def test_it_is_its_twin_over_sets_of_different_size():
    generated, true = videos(0, 6), videos(1, 9)
    metric = make()
    metric.update(generated, true[:6])
    metric.update(generated[:0], true[6:])
    wanted = twin.frechet(first_values(generated).double().numpy(), first_values(true).double().numpy())
    assert value(metric) == pytest.approx(wanted, rel=1e-9)
    assert wanted > 0.01
    assert (metric.compute()["num_generated_videos"], metric.compute()["num_true_videos"]) == (6, 9)


def test_fewer_than_two_videos_have_no_distance():
    metric = make()
    metric.update(videos(0, 1), videos(1, 1))
    assert metric.compute()["frechet_video_distance"].isnan()
    metric.update(videos(0, 5)[:0], videos(1, 5))
    assert metric.compute()["frechet_video_distance"].isnan()


def test_no_more_videos_than_features_are_warned_of():
    metric = make()
    metric.update(videos(0, 2), videos(1, 5))
    with pytest.warns(UserWarning, match="2 videos for 2 features: the covariance is rank-deficient"):
        assert metric.compute()["frechet_video_distance"].isfinite()
    metric.update(videos(2, 1), videos(3, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metric.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
def test_its_key_is_the_extractors():
    metric = FrechetVideoDistance(first_values, feature_dim=2, name="frechet_r3d_18")
    assert set(metric.compute()) == {"frechet_r3d_18", "num_generated_videos", "num_true_videos"}


@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_input_is_refused_by_name():
    good = videos(0, 3)
    cases = {
        r"video: got shape \(2, 3, 4, 4\), want": (good[0], good),
        r"target_video: got shape \(3, 2, 4, 4\), want": (good, good[:, :, 0]),
        r"target_video: got shape \(3, 1, 3, 4, 4\), want \(n, t, 3, h, w\) with t=2": (good, good[:, :1]),
        r"target_video: got values from .* to 2": (good, 2 * good / good.max()),
        r"valid_frames: got padded videos": (good, good, torch.tensor([[True, False]] * 3)),
    }
    for message, given in cases.items():
        with pytest.raises(InputError, match=message):
            make().update(*given)
    with pytest.raises(InputError, match=r"features of generated videos: got shape \(3, 96\), want \(b, d\)"):
        make(lambda video: video.flatten(1)).update(good, good)
    with pytest.raises(InputError, match="features of generated videos: got NaN"):
        make(lambda video: first_values(video) * torch.nan).update(good, good)
