"""Subject consistency, background consistency and aesthetic quality as metrics: averages, preprocessing, edges."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mvt4g.metrics.functional.preprocessing import CLIP_FRAMES, DINO_FRAMES
from mvt4g.metrics.video.aesthetic_quality import AestheticQuality
from mvt4g.metrics.video.background_consistency import BackgroundConsistency
from mvt4g.metrics.video.subject_consistency import SubjectConsistency
from mvt4g.types import InputError
from tests.reference import temporal_consistency as twin


def colour(frames: Tensor) -> Tensor:
    """The identity extractor of frames of one pixel."""
    return frames.flatten(1)


def first_rating(unit: Tensor) -> Tensor:
    return 10 * unit[:, :1]


def subject(**options) -> SubjectConsistency:
    return SubjectConsistency(colour, None, **options)


def background(**options) -> BackgroundConsistency:
    return BackgroundConsistency(colour, None, **options)


def aesthetic(**options) -> AestheticQuality:
    return AestheticQuality(colour, first_rating, None, **options)


def one_pixel(*colours) -> Tensor:
    return torch.tensor([colours], dtype=torch.float32)[..., None, None]


def uneven() -> dict[str, Tensor]:
    """Three videos of 6, 3 and 2 frames."""
    video = torch.rand(3, 6, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    return {"video": video, "valid_frames": torch.arange(6) < torch.tensor([6, 3, 2])[:, None]}


def plain(videos: dict[str, Tensor]) -> list:
    pairs = zip(videos["video"], videos["valid_frames"], strict=True)
    return [video[keep].flatten(1).double().tolist() for video, keep in pairs]


@pytest.mark.parametrize("make", [subject, background])
def test_goldens(make):
    for colours, wanted in {((1, 0, 0), (0, 1, 0), (1, 0, 0)): 0.25, ((0.2, 0.4, 0.6),) * 3: 1.0}.items():
        metric = make()
        metric.update(one_pixel(*colours))
        torch.testing.assert_close(metric.compute(), torch.tensor(wanted, dtype=torch.float64))


def test_opposite_features_score_0():
    metric = SubjectConsistency(lambda frames: 2 * frames.flatten(1) - 1, None)
    metric.update(one_pixel((1, 1, 1), (0, 0, 0)))
    assert metric.compute() == 0


@pytest.mark.parametrize("make", [subject, background])
@pytest.mark.parametrize(("average", "reference"), [("video", twin.by_video), ("frame", twin.by_frame)])
def test_either_average_of_vbench(make, average, reference):
    metric = make(average=average)
    metric.update(**uneven())
    assert float(metric.compute()) == pytest.approx(reference(plain(uneven())), rel=1e-12)


def test_the_averages_differ_on_videos_of_different_length():
    assert abs(twin.by_video(plain(uneven())) - twin.by_frame(plain(uneven()))) > 0.005


@pytest.mark.parametrize("average", ["video", "frame"])
def test_aesthetic_quality_is_a_tenth_of_the_mean_rating(average):
    metric = aesthetic(average=average)
    metric.update(**uneven())
    ratings = [[frame[0] / np.linalg.norm(frame) for frame in video] for video in plain(uneven())]
    by_video, by_frame = np.mean([np.mean(video) for video in ratings]), np.mean(np.concatenate(ratings))
    assert float(metric.compute()) == pytest.approx(by_video if average == "video" else by_frame, rel=1e-6)
    assert abs(by_video - by_frame) > 0.005


def test_aesthetic_quality_runs_laions_head():
    """On embeddings of length 1, whatever their length was."""
    head = nn.Linear(3, 1)
    metric = AestheticQuality(lambda frames: 100 * frames.flatten(1), head, None)
    metric.update(one_pixel((0.3, 0.4, 0.0)))
    wanted = (torch.tensor([0.6, 0.8, 0.0]) @ head.weight[0] + head.bias[0]) / 10
    torch.testing.assert_close(metric.compute().float(), wanted)
    assert abs(wanted - (torch.tensor([30.0, 40.0, 0.0]) @ head.weight[0] + head.bias[0]) / 10) > 0.1


@pytest.mark.parametrize(
    ("metric", "frames", "size"),
    [
        (SubjectConsistency, DINO_FRAMES, (224, 384)),
        (BackgroundConsistency, CLIP_FRAMES, (224, 224)),
        (lambda features: AestheticQuality(features, first_rating), CLIP_FRAMES, (224, 224)),
    ],
    ids=["subject", "background", "aesthetic"],
)
def test_the_extractor_sees_the_protocols_frames(metric, frames, size):
    seen = []
    made = metric(lambda batch: (seen.append(batch), batch.mean((2, 3)))[1])
    made.update(torch.zeros(1, 2, 3, 480, 832))
    assert made.preprocessing == frames
    assert seen[0].shape == (2, 3, *size)
    torch.testing.assert_close(seen[0][0, :, 0, 0], -torch.tensor(frames.mean) / torch.tensor(frames.std))


@pytest.mark.parametrize("make", [subject, background, aesthetic])
def test_chunks_change_nothing(make):
    found = set()
    for frames_at_once in (1, 4, 100):
        metric = make(frames_at_once=frames_at_once)
        metric.update(**uneven())
        found.add(round(float(metric.compute()), 6))
    assert len(found) == 1


def test_chunks_bound_what_the_network_sees():
    seen = []
    metric = SubjectConsistency(lambda frames: (seen.append(len(frames)), frames.flatten(1))[1], None, frames_at_once=4)
    metric.update(**uneven())
    assert seen == [4, 4, 3], "11 valid frames of 18"


@pytest.mark.parametrize("make", [subject, background])
def test_one_frame_has_no_score_and_is_counted(make):
    """VBench divides by zero."""
    metric = make()
    metric.update(**(uneven() | {"valid_frames": torch.arange(6) < torch.tensor([6, 1, 0])[:, None]}))
    first = make()
    first.update(uneven()["video"][:1])
    assert torch.equal(metric.compute(), first.compute())
    assert metric.num_missing("score") == 2
    assert metric.table()["num_terms"].tolist() == [5, 0, 0]


def test_one_frame_is_enough_for_beauty():
    metric = aesthetic()
    metric.update(**(uneven() | {"valid_frames": torch.arange(6) < torch.tensor([6, 1, 0])[:, None]}))
    assert metric.num_missing("score") == 1
    assert metric.table()["num_terms"].tolist() == [6, 1, 0]


@pytest.mark.parametrize("make", [subject, background, aesthetic])
def test_no_frames_at_all_are_nan(make):
    metric = make()
    metric.update(torch.rand(2, 3, 3, 1, 1), torch.zeros(2, 3, dtype=torch.bool))
    assert metric.compute().isnan()
    assert metric.num_missing("score") == 2


@pytest.mark.parametrize("make", [subject, background, aesthetic])
def test_features_of_norm_zero_are_counted_and_never_nan(make):
    metric = make()
    metric.update(one_pixel((1, 0, 0), (0, 0, 0), (1, 0, 0)))
    assert metric.total("num_zero_features") == 1
    torch.testing.assert_close(
        metric.compute(), torch.tensor(2 / 3 if make is aesthetic else 0.25, dtype=torch.float64)
    )


@pytest.mark.parametrize("make", [subject, background, aesthetic])
def test_padding_is_not_looked_at(make):
    found = []
    for filler in (0.0, torch.nan, 1e9):
        videos = uneven()
        videos["video"][~videos["valid_frames"]] = filler
        metric = make()
        metric.update(**videos)
        found.append(float(metric.compute()))
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize("make", [subject, background, aesthetic])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"video": torch.rand(2, 4, 1, 8, 8)}, r"video: got shape \(2, 4, 1, 8, 8\), want \(b, t, 3, h, w\)"),
        ({"video": torch.rand(4, 3, 8, 8)}, r"video: got shape \(4, 3, 8, 8\), want"),
        ({"video": 255 * torch.rand(1, 2, 3, 8, 8)}, r"video: got values from .* want \[0, 1\]"),
        ({"video": torch.rand(1, 2, 3, 8, 8) - 0.5}, r"video: got values from -0\.\d+"),
        ({"video": torch.full((1, 2, 3, 8, 8), torch.nan)}, r"video: got values from nan"),
        ({"video": torch.zeros(1, 2, 3, 8, 8, dtype=torch.int64)}, r"video: got torch\.int64"),
        ({"valid_frames": torch.ones(2, 3, dtype=torch.bool)}, r"valid_frames: got shape \(2, 3\), want .*t=4"),
        ({"valid_frames": torch.ones(2, 4)}, r"valid_frames: got torch\.float32, want bool"),
    ],
)
def test_wrong_input_is_refused_by_name(make, wrong, message):
    with pytest.raises(InputError, match=message):
        make().update(**({"video": torch.rand(2, 4, 3, 8, 8)} | wrong))


@pytest.mark.usefixtures("without_shape_hook")
def test_wrong_networks_are_refused_by_name():
    video = torch.rand(2, 4, 3, 8, 8)
    with pytest.raises(InputError, match=r"features: got shape \(8, 3, 8, 8\), want \(n, d\) with n=8"):
        SubjectConsistency(lambda frames: frames, None).update(video)
    with pytest.raises(InputError, match=r"head: got shape \(8,\), want \(n, 1\)"):
        AestheticQuality(colour, lambda unit: unit[:, 0], None).update(video)


@pytest.mark.usefixtures("without_shape_hook")
@pytest.mark.parametrize("make", [subject, background, aesthetic])
def test_wrong_options_are_refused_by_name(make):
    with pytest.raises(InputError, match="average: got 'clip', want one of video, frame"):
        make(average="clip")
    with pytest.raises(InputError, match="frames_at_once: got 0, want at least 1"):
        make(frames_at_once=0)


def test_a_network_is_frozen_and_not_saved():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.Dropout(0.5)).train()
    metric = SubjectConsistency(net, None)
    assert metric.state_dict() == {}
    assert not any(weight.requires_grad for weight in net.parameters())
    video = torch.rand(1, 3, 3, 1, 1)
    assert torch.equal(metric(video), metric(video)), "dropout is off"
