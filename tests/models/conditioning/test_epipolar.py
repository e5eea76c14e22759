import itertools
import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch.distributed import ProcessGroup

from mvt4g.geometry.camera import project_points
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.epipolar import EpipolarCloseness, EpipolarConditioning
from mvt4g.models.layers import attention
from mvt4g.models.layers.attention import SelfAttention
from mvt4g.models.token_parallel import share_tokens
from mvt4g.types import Cameras, InputError, LatentGrid
from tests.models.small_backbones import (
    GRID,
    ask,
    loud_backbone,
    make_loud,
    relative_difference,
    small_cameras,
    small_config,
    small_inputs,
)
from tests.reference.epipolar_attention import biased_attention, closeness


def with_prior(initial_gain=3.0, **changes):
    """The loud backbone with the prior beside it, and every other weight as it is without."""
    plain = loud_backbone(plucker=False, **changes)
    prior = EpipolarConditioning(initial_gain=initial_gain)
    backbone = ReCamMaster(small_config(**changes), GRID, [prior], null_text_length=3).eval()
    missing, unexpected = backbone.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(".epipolar.gain" in name for name in missing)
    return backbone, plain


@pytest.mark.parametrize("grid", [LatentGrid(2, 2, 5), LatentGrid(1, 4, 5)])
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_closeness_equals_the_twin(grid, width):
    cameras = small_cameras(batch=2, frames=5)
    got = EpipolarCloseness(grid, 2, width)(cameras, 4, 6)
    assert got.shape == (2, 2, grid.latent_frames(5), 2, 3, 6)
    stride = 2 * grid.spatial_stride
    for clip, frame in itertools.product(range(2), range(grid.latent_frames(5))):
        at = frame * grid.temporal_stride
        pose, intrinsics = (part[clip, :, at].double().numpy() for part in (cameras.cam_from_world, cameras.intrinsics))
        for row, column, other_row, other_column in itertools.product(range(2), range(3), range(2), range(3)):
            one, other = (column + 0.5, row + 0.5), (other_column + 0.5, other_row + 0.5)
            want = closeness(np.array(one) * stride, np.array(other) * stride, intrinsics, pose, width * stride)
            cell, other_cell = 3 * row + column, 3 * other_row + other_column
            assert got[clip, 0, frame, row, column, other_cell].item() == pytest.approx(want, abs=1e-5)
            assert got[clip, 1, frame, other_row, other_column, cell].item() == pytest.approx(want, abs=1e-5)


def test_true_matches_are_near_and_others_are_not():
    """Points anywhere in space, as a moving body's would be, projected by both cameras of one time."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(300, 3, generator=generator) * torch.tensor([4.0, 4.0, 4.0]) + torch.tensor([-2.0, -2.0, 4.0])
    pose = torch.eye(4).repeat(1, 2, 1, 1, 1)
    pose[0, 1, 0, :3, 3] = torch.tensor([-1.5, 0.4, 0.3])
    intrinsics = torch.tensor([[60.0, 0, 32], [0, 60, 32], [0, 0, 1]]).repeat(1, 2, 1, 1, 1)
    map_ = EpipolarCloseness(LatentGrid(1, 4, 16), 2, 0.5)(Cameras(pose, intrinsics), 16, 16)[0, 0, 0].flatten(0, 1)
    cells = [(project_points(points, pose[0, v, 0], intrinsics[0, v, 0])[0] / 8).floor().long() for v in range(2)]
    inside = torch.stack([((cell >= 0) & (cell < 8)).all(dim=-1) for cell in cells]).all(dim=0)
    reference, target = (cell[inside, 1] * 8 + cell[inside, 0] for cell in cells)
    assert inside.sum() > 100
    # A point is at most half a token (4 px) from the centre of its tokens along both axes in both views: together 8 px.
    assert map_[reference, target].min() > 0.95 * math.exp(-(8**2) / (2 * 4**2))
    assert map_[reference, target].mean() > 2.5 * map_.mean()


def test_cameras_of_one_centre_have_one_place():
    pose, intrinsics = torch.eye(4).repeat(1, 2, 1, 1, 1), torch.eye(3).repeat(1, 2, 1, 1, 1)
    got = EpipolarCloseness(LatentGrid(1, 1, 5), 1, 0.5)(Cameras(pose, intrinsics), 2, 2)[0, 0, 0].flatten(0, 1)
    one, diagonal = math.exp(-2), math.exp(-4)
    want = [[1, one, one, diagonal], [one, 1, diagonal, one], [one, diagonal, 1, one], [diagonal, one, one, 1]]
    torch.testing.assert_close(got, torch.tensor(want), rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [None, 2, 4])
def test_biased_attention_equals_the_twin(num_frames):
    torch.manual_seed(0)
    layer, heads, frames, rows, columns = make_loud(SelfAttention(12, 2, 1e-6)).double(), 2, 4, 2, 3
    tokens = torch.randn(2, frames, rows, columns, 12, dtype=torch.float64)
    bias = 3 * torch.randn(2, heads, frames, rows, columns, rows * columns, dtype=torch.float64)
    angles = torch.zeros(1, frames, rows, columns, 1, 3, dtype=torch.float64)
    update, tap = layer(tokens, angles, num_frames, None, bias)
    value = layer.split_heads(layer.v(tokens))
    want = biased_attention(tap.query.numpy(), tap.key.numpy(), value.numpy(), bias.numpy())
    want = layer.o(torch.from_numpy(want)[:, :num_frames])
    torch.testing.assert_close(update, want, rtol=1e-6, atol=1e-9)
    without, untouched = layer(tokens, angles, num_frames)
    assert relative_difference(without, want) > 0.1
    assert torch.equal(untouched.query, tap.query)


@torch.no_grad()
def test_gains_of_zero_change_nothing_and_others_do():
    inputs = small_inputs()
    backbone, plain = with_prior(initial_gain=0.0)
    want = ask(plain, **inputs).velocity
    assert relative_difference(ask(backbone, **inputs).velocity, want) < 1e-6
    strong, _ = with_prior(initial_gain=3.0)
    assert relative_difference(ask(strong, **inputs).velocity, want) > 0.01


@torch.no_grad()
def test_taps_of_the_first_block_are_without_the_bias_and_cameras_can_be_encoded_once():
    inputs = small_inputs()
    backbone, plain = with_prior()
    output = ask(backbone, **inputs, tap_layers=[0, 1])
    want = ask(plain, **inputs, tap_layers=[0, 1])
    assert torch.equal(output.taps[0].query, want.taps[0].query)
    assert not torch.equal(output.taps[1].query, want.taps[1].query)
    once = backbone.encode_cameras(inputs["cameras"], 3, 4, 6)
    assert torch.equal(ask(backbone, **(inputs | {"cameras": once})).velocity, output.velocity)


def test_gains_learn_also_where_blocks_run_again():
    inputs, found = small_inputs(), []
    for again in (False, True):
        torch.manual_seed(0)
        backbone, _ = with_prior(activation_checkpointing=again)
        ask(backbone, **inputs).velocity.square().sum().backward()
        found.append([block.epipolar.gain.grad for block in backbone.dit.blocks])
    for plain, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(plain, recomputed)
        assert plain.abs().min() > 0


def test_a_loss_on_taps_does_not_reach_the_last_blocks_gains():
    backbone, _ = with_prior()
    backbone.freeze_beyond(1, rotated=True)
    assert [block.epipolar.gain.requires_grad for block in backbone.dit.blocks] == [True, False]


@torch.no_grad()
def test_redirector_takes_it_too():
    torch.manual_seed(0)
    sizes = small_config(in_channels=10, control_channels=48)
    found = []
    for gain in (0.0, 3.0):
        torch.manual_seed(0)
        extra = [EpipolarConditioning(initial_gain=gain)]
        backbone = ReDirector(sizes, GRID, extra, null_text_length=3).eval()
        torch.manual_seed(1)
        torch.nn.init.normal_(backbone.dit.head.head.weight)
        found.append(ask(backbone, **small_inputs()).velocity)
    assert relative_difference(*found) > 1e-3


def test_ranks_that_share_tokens_are_refused():
    with pytest.raises(InputError, match="extra_conditioning: got a bias on attention and ranks that share tokens"):
        share_tokens(with_prior()[0].dit, Mock(spec=ProcessGroup))


def test_a_bias_on_a_map_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(attention, "MAX_MAP_BYTES", 0)
    with pytest.raises(InputError, match="attention: got a bias on a map over"):
        ask(with_prior()[0], **small_inputs())


@pytest.mark.parametrize("bad", [{"width": 0.0}, {"width": math.inf}, {"initial_gain": math.nan}])
def test_bad_values_are_named(bad):
    with pytest.raises(InputError, match=rf"epipolar\.{next(iter(bad))}: got"):
        EpipolarConditioning(**bad)
