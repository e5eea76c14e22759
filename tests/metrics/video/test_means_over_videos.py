"""Metrics of frames against loops in NumPy: which frames count, means over them, then over videos, on random videos."""

import math

import numpy as np
import pytest
from torch import Tensor

from mvt4g.metrics.video.dynamic_degree import DynamicDegree
from mvt4g.metrics.video.full_reference import VideoLPIPS
from mvt4g.metrics.video.imaging_quality import AS_IS, ImagingQuality
from mvt4g.metrics.video.masked import MaskedLPIPS
from mvt4g.metrics.video.motion_smoothness import MotionSmoothness
from mvt4g.metrics.video.temporal_flickering import TemporalFlickering
from tests.metrics.cases import full_reference, vbench_motion
from tests.reference import vbench_motion as twin

Video = dict[str, np.ndarray]


def videos_of(updates: tuple[dict[str, Tensor], ...]) -> list[Video]:
    return [
        {name: value[item].double().numpy() for name, value in update.items()}
        for update in updates
        for item in range(len(update["video"]))
    ]


def lpips(video: Video) -> float:
    """The toy distance: mean difference of colours."""
    pairs = zip(video["video"], video["target_video"], video["valid_frames"], strict=True)
    return mean([np.abs(a - b).mean() for a, b, valid in pairs if valid])


def masked_lpips(video: Video) -> float:
    values = []
    for t, valid in enumerate(video["valid_frames"]):
        pixels = [
            np.abs(video["video"][t, :, y, x] - video["target_video"][t, :, y, x]).mean()
            for y, x in zip(*np.nonzero(video["mask"][t]), strict=True)
        ]
        if valid and pixels:
            values.append(mean(pixels))
    return mean(values)


def contrast(video: Video) -> float:
    return mean([f.std(ddof=1) for f, valid in zip(video["video"], video["valid_frames"], strict=True) if valid])


def flickering(video: Video) -> float:
    return twin.flickering(list(255 * video["video"]), list(video["valid_frames"] > 0))


def smoothness(video: Video) -> float:
    return twin.smoothness(list(255 * video["video"]), list(video["valid_frames"] > 0), lambda a, b: (a + b) / 2)


def dynamic(video: Video) -> float:
    """Every second frame; the toy flow is twice the change of red and green; at least a quarter of the frames."""
    frames, valid = video["video"][::2], video["valid_frames"][::2] > 0
    lengths = [
        twin.top_flow(2 * (frames[t + 1] - frames[t])[:2]) for t in range(len(frames) - 1) if valid[t] and valid[t + 1]
    ]
    if valid.sum() < 3 or not lengths:
        return math.nan
    fast = sum(length > 6 * 8 / 256 for length in lengths)
    return float(fast >= max(1, math.floor(valid.sum() / 4 + 0.5)))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


MASKED, PLAIN = full_reference.CASES["MaskedLPIPS"].updates, full_reference.CASES["VideoLPIPS"].updates
SLOWER = tuple(update | {"video": 0.1 * update["video"]} for update in vbench_motion.UPDATES[:2])
METRICS = {
    "lpips": (lambda: VideoLPIPS(full_reference.distance), lpips, PLAIN),
    "masked_lpips": (lambda: MaskedLPIPS(full_reference.distance_map, frames_at_once=5), masked_lpips, MASKED),
    "score of imaging quality": (
        lambda: ImagingQuality(vbench_motion.contrast, AS_IS),
        contrast,
        vbench_motion.UPDATES,
    ),
    "score of flickering": (TemporalFlickering, flickering, vbench_motion.UPDATES),
    "motion_smoothness_linear": (MotionSmoothness, smoothness, vbench_motion.UPDATES),
    "dynamic_degree": (lambda: DynamicDegree(vbench_motion.toy_flow, fps=16), dynamic, vbench_motion.UPDATES + SLOWER),
}


@pytest.mark.parametrize("name", METRICS)
def test_every_video_and_the_mean_are_the_loops(name):
    make, by_loops, updates = METRICS[name]
    metric = make()
    for update in updates:
        metric.update(**update)
    column = name.partition(" ")[0]
    wanted = [by_loops(video) for video in videos_of(updates)]
    np.testing.assert_allclose(metric.per_video(column).numpy(), wanted, rtol=1e-5)
    found = metric.compute()
    assert float(found[column] if isinstance(found, dict) else found) == pytest.approx(np.nanmean(wanted), rel=1e-5)
    assert np.nanstd(wanted) > 0.004, "the videos would not differ"
