"""What the comparison of windows counts as a seam, and how tables tell differences, by hand."""

import math

import pytest
import torch

from experiments.guided_sampling.measure import cell
from experiments.long_videos.compare import differences, gradients, psnr, seams
from experiments.long_videos.tracks import near


@pytest.mark.parametrize(
    ("hard", "overlap", "pairs"),
    [(True, 1, [2, 4]), (False, 1, [1, 2, 3, 4]), (True, 2, [2, 3, 4, 5]), (False, 2, [0, 1, 2, 3, 4, 5])],
)
def test_seams_are_pairs_that_no_window_makes_alone(hard, overlap, pairs):
    """Windows of 3 in 7 frames: 0-2, 2-4, 4-6 where they share 1; 0-2, 1-3, 2-4, 3-5, 4-6 where they share 2."""
    assert seams(7, 3, overlap, hard) == pairs


def test_differences_by_hand():
    ramp = torch.arange(4.0).div(10).expand(2, 3, 2, 4)
    video = torch.stack([ramp[0], ramp[0] + 0.2])
    assert differences(video).tolist() == pytest.approx([0.2])
    assert gradients(video) == pytest.approx(0.1)
    assert psnr(video, video + 0.1).tolist() == pytest.approx([20.0, 20.0])


def test_a_point_counts_where_it_is_seen():
    truth = torch.zeros(1, 2, 2, 2)
    found = torch.tensor([[[[3.0, 0], [5.0, 0]], [[0.0, 0], [0.0, 0]]]])
    visible = torch.tensor([[[True, True], [False, False]]])
    first, second = near(found, truth, visible)[0]
    assert first == 0.5
    assert math.isnan(second)


def test_differences_are_of_clips_that_both_have():
    base = {"a": 1.0, "b": 2.0}
    assert cell(base, base, 1) == "1.5 (2)"
    assert cell({"a": 2.0, "c": 9.0}, base, 1).startswith("5.5 (2), +1.0")
