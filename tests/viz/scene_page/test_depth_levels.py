"""Depth in 16 bits: within the stated error, and read back by a slow twin of the page's arithmetic."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.viz.scene_page.depth_levels import DepthScale, confidence_ranks, depth_picture, edge_levels
from mvt4g.viz.scene_page.pictures import LADDER, webp


def depth_of(picture: np.ndarray, scale: DepthScale) -> np.ndarray:
    """Return depths by the formula of the page's shader, pixel by pixel."""
    depth = np.zeros(picture.shape[:2])
    for row, column in np.ndindex(*depth.shape):
        level = 256 * int(picture[row, column, 0]) + int(picture[row, column, 1])
        if level:
            depth[row, column] = math.exp(math.log(scale.nearest) + (level - 1) * scale.step)
    return depth


@pytest.mark.parametrize("error", sorted({rung.depth_error for rung in LADDER}))
@pytest.mark.parametrize("decades", [0.0, 0.5, 4.0])
def test_depth_is_within_the_stated_error_through_a_lossless_file(error, decades):
    generator = torch.Generator().manual_seed(3)
    depth = 2.5 * 10 ** (decades * torch.rand(12, 16, generator=generator))
    depth[2:4, 5] = 0
    scale = DepthScale.of(depth[None], error)
    picture, measured = depth_picture(depth, scale)
    decoded = np.asarray(Image.open(io.BytesIO(webp(picture, 50, lossless=True))).convert("RGB"))
    got = depth_of(decoded, scale)
    assert (got[depth.numpy() == 0] == 0).all()
    there = depth.numpy() > 0
    worst = np.abs(got[there] / depth.numpy()[there] - 1).max()
    assert worst == pytest.approx(measured, rel=1e-3, abs=1e-7)
    assert worst <= error * 1.0001
    assert decades == 0 or worst > 0.5 * error, "levels are as coarse as they may be"


def test_levels_by_hand():
    scale = DepthScale.of(torch.tensor([[[1.0, math.e, 0.0]]]), math.expm1(0.25))
    assert (scale.nearest, scale.step, scale.num_levels) == (1.0, pytest.approx(0.5), 3)
    assert scale.levels(torch.tensor([[0.0, 1.0, math.e, 1.3]])).tolist() == [[0, 1, 3, 2]]


def test_a_range_that_sixteen_bits_cannot_hold_that_finely_is_held_more_coarsely():
    depth = torch.tensor([[1e-8, 1e8]])
    scale = DepthScale.of(depth[None], 1e-6)
    assert scale.levels(depth).tolist() == [[1, 65534]]


def test_a_slanted_plane_has_no_edge_and_a_step_has_one_on_both_sides():
    plane = 1 / (0.2 + 0.02 * torch.arange(12.0).expand(9, 12))
    assert edge_levels(plane)[1:-1, 1:-1].max() <= 6, "a jump of 2.5 % at most"
    step = torch.where(torch.arange(8) < 4, 1.0, 2.0).expand(5, 8)
    # Inverse depth 1 | 0.5. Near: max(bend 0.25, spread 0.5 / 4) / 1 = 0.25; far: 0.25 / 0.5 = 0.5.
    near, far = round(15 + math.log2(0.25) / 0.45), round(15 + math.log2(0.5) / 0.45)
    assert edge_levels(step)[2].tolist() == [0, 0, 0, near, far, 0, 0, 0]


def test_the_picture_s_border_and_missing_depth_are_no_edges():
    depth = torch.full((4, 5), 3.0)
    depth[1, 2] = 0
    assert edge_levels(depth).max() == 0


def test_confidence_ranks_by_hand():
    depth = torch.ones(1, 1, 32)
    ranks = confidence_ranks(torch.arange(32.0)[None, None], depth)[0, 0]
    assert ranks[0] == 0
    assert ranks[-1] == 15 / 16
    assert torch.equal(ranks, ranks.sort().values)
    counts = torch.bincount((16 * ranks).long(), minlength=16)
    assert counts.tolist() == [2] * 16


def test_a_constant_confidence_ranks_highest_and_pixels_without_depth_do_not_count():
    assert confidence_ranks(torch.ones(1, 2, 2), torch.ones(1, 2, 2)).unique().tolist() == [15 / 16]
    confidence = torch.tensor([[[0.0, 0.0, 0.0, 5.0]]])
    assert confidence_ranks(confidence, torch.tensor([[[0.0, 0.0, 0.0, 2.0]]]))[0, 0, 3] == 15 / 16


def test_filters_are_in_the_blue_channel():
    depth = torch.tensor([[1.0, 1.0, 0.0]])
    picture, _ = depth_picture(depth, DepthScale.of(depth[None], 0.001), torch.tensor([[0.5, 15 / 16, 0.5]]))
    assert picture[0, :, 2].tolist() == [8 * 16, 15 * 16, 0]
