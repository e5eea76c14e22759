import itertools
import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch.distributed import ProcessGroup

from mvt4g.geometry.camera import project_points
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.epipolar import FAR, EpipolarBand, EpipolarConditioning, EpipolarDistances, EpipolarGains
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


def closeness_of(squared, width):
    """Through the module, with one head and a gain of 1."""
    gains = EpipolarGains([0], 1, initial=1.0, width=width, neighbours=0)
    return torch.stack([gains(view).detach()[:, 0] for view in squared.unbind(dim=1)], dim=1)


def with_prior(initial_gain=3.0, options=None, **changes):
    """The loud backbone with the prior beside it, and every other weight as it is without."""
    plain = loud_backbone(plucker=False, **changes)
    prior = EpipolarConditioning(initial_gain=initial_gain, **(options or {}))
    backbone = ReCamMaster(small_config(**changes), GRID, [prior], null_text_length=3).eval()
    missing, unexpected = backbone.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(".epipolar." in name for name in missing)
    return backbone, plain


@pytest.mark.parametrize("grid", [LatentGrid(2, 2, 5), LatentGrid(1, 4, 5)])
@pytest.mark.parametrize("width", [0.5, 2.0])
def test_closeness_equals_the_twin(grid, width):
    cameras = small_cameras(batch=2, frames=5)
    got = closeness_of(EpipolarDistances(grid, 2)(cameras, 4, 6), width)
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
    squared = EpipolarDistances(LatentGrid(1, 4, 16), 2)(Cameras(pose, intrinsics), 16, 16)
    map_ = closeness_of(squared, 0.5)[0, 0, 0].flatten(0, 1)
    cells = [(project_points(points, pose[0, v, 0], intrinsics[0, v, 0])[0] / 8).floor().long() for v in range(2)]
    inside = torch.stack([((cell >= 0) & (cell < 8)).all(dim=-1) for cell in cells]).all(dim=0)
    reference, target = (cell[inside, 1] * 8 + cell[inside, 0] for cell in cells)
    assert inside.sum() > 100
    # A point is at most half a token (4 px) from the centre of its tokens along both axes in both views: together 8 px.
    assert map_[reference, target].min() > 0.95 * math.exp(-(8**2) / (2 * 4**2))
    assert map_[reference, target].mean() > 2.5 * map_.mean()


def test_cameras_of_one_centre_have_one_place():
    pose, intrinsics = torch.eye(4).repeat(1, 2, 1, 1, 1), torch.eye(3).repeat(1, 2, 1, 1, 1)
    squared = EpipolarDistances(LatentGrid(1, 1, 5), 1)(Cameras(pose, intrinsics), 2, 2)
    got = closeness_of(squared, 0.5)[0, 0, 0].flatten(0, 1)
    one, diagonal = math.exp(-2), math.exp(-4)
    want = [[1, one, one, diagonal], [one, 1, diagonal, one], [one, diagonal, 1, one], [diagonal, one, one, 1]]
    torch.testing.assert_close(got, torch.tensor(want), rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [None, 3, 6])
@pytest.mark.parametrize("reach", [0, 1, 2])
def test_biased_attention_equals_the_twin(num_frames, reach):
    torch.manual_seed(0)
    layer, heads, frames, rows, columns = make_loud(SelfAttention(12, 2, 1e-6)).double(), 2, 6, 2, 2
    tokens = torch.randn(2, frames, rows, columns, 12, dtype=torch.float64)
    bias = 3 * torch.randn(2, heads, frames, rows, columns, (2 * reach + 1) * rows * columns, dtype=torch.float64)
    angles = torch.zeros(1, frames, rows, columns, 1, 3, dtype=torch.float64)
    update, tap = layer(tokens, angles, num_frames, None, bias)
    value = layer.split_heads(layer.v(tokens))
    want = biased_attention(tap.query.numpy(), tap.key.numpy(), value.numpy(), bias.numpy())
    want = layer.o(torch.from_numpy(want)[:, :num_frames])
    torch.testing.assert_close(update, want, rtol=1e-6, atol=1e-9)
    without, untouched = layer(tokens, angles, num_frames)
    assert relative_difference(without, want) > 0.1
    assert torch.equal(untouched.query, tap.query)


def test_frames_beside_the_own_are_measured_with_their_own_cameras():
    """Offset by offset as if that pair of frames were of one time; frames that are not there are far."""
    cameras, grid = small_cameras(batch=2, frames=5), LatentGrid(1, 4, 5)
    got = EpipolarDistances(grid, 2, neighbours=2)(cameras, 4, 6).unflatten(-1, (5, 6))
    at_one_time = EpipolarDistances(grid, 2)
    for frame, place in itertools.product(range(5), range(5)):
        other = frame + place - 2
        if not 0 <= other < 5:
            assert (got[:, :, frame, :, :, place] == FAR).all()
            continue
        for view, moments in ((0, (frame, other)), (1, (other, frame))):  # (reference, target)
            parts = cameras.cam_from_world, cameras.intrinsics
            pair = (torch.stack([part[:, v, moments[v]] for v in range(2)], dim=1)[:, :, None] for part in parts)
            want = at_one_time(Cameras(*pair), 4, 6)[:, view, 0]
            torch.testing.assert_close(got[:, view, frame, :, :, place], want)


def test_gains_of_heads_widths_and_frames_by_hand():
    """One token and one other: closeness exp(-d^2 / 2 s^2) times the gain of its head and frame."""
    gains = EpipolarGains([1], num_heads=3, initial=2.0, width=0.5, neighbours=1)
    gains.learn_width()
    squared = torch.tensor([0.25, 0.5, FAR]).reshape(1, 1, 1, 1, 3)  # the frame before, its own, the one after
    got = gains(squared)[0, :, 0, 0, 0]
    assert got.detach()[[0, 2]].abs().sum() == 0
    torch.testing.assert_close(got[1].detach(), torch.tensor([0.0, 2 * math.exp(-1.0), 0.0]))
    got.sum().backward()
    # d/d gain = closeness; d/d log s = gain closeness d^2 / s^2
    torch.testing.assert_close(gains.gain.grad, torch.tensor([math.exp(-1.0)]))
    torch.testing.assert_close(gains.neighbour_gain.grad, torch.tensor([[math.exp(-0.5), 0.0]]))
    torch.testing.assert_close(gains.log_width.grad, torch.tensor([2 * math.exp(-1.0) * 2]))


@torch.no_grad()
def test_a_band_hides_what_lies_outside_it_from_its_heads_alone():
    torch.manual_seed(0)
    squared = 2 * torch.rand(1, 2, 1, 3, 3)
    bias = EpipolarBand([1], 2, width=1.0)(squared)
    assert (bias[:, 0] == 0).all()
    assert torch.equal(bias[:, 1] == -math.inf, squared > 1)
    assert ((bias == 0) | (bias == -math.inf)).all()
    backbone, plain = with_prior(options={"form": "band", "width": 1.0})
    assert not [name for name, _ in backbone.named_parameters() if "epipolar" in name]
    output = ask(backbone, **small_inputs()).velocity
    assert output.isfinite().all()
    assert relative_difference(output, ask(plain, **small_inputs()).velocity) > 0.01


def test_widths_fall_over_the_blocks_and_blocks_are_chosen():
    prior = EpipolarConditioning(width=2.0, last_width=0.5, blocks=[0, 2])
    modules = [prior.build_block(small_config(num_layers=3), layer) for layer in range(3)]
    assert [module and module.width for module in modules] == pytest.approx([2.0, None, 0.5])
    assert prior._width_of(1, 3) == pytest.approx(1.0)
    backbone, _ = with_prior(options={"blocks": [1], "heads": [0], "learn_width": True, "neighbours": 1})
    owned = {name: value.shape for name, value in backbone.named_parameters() if "epipolar" in name}
    assert owned == {
        "dit.blocks.1.epipolar.gain": (1,),
        "dit.blocks.1.epipolar.neighbour_gain": (1, 2),
        "dit.blocks.1.epipolar.log_width": (1,),
    }
    ask(backbone, **small_inputs()).velocity.square().sum().backward()
    grads = [value.grad for value in backbone.dit.blocks[1].epipolar.parameters()]
    assert all(grad.isfinite().all() and grad.any() for grad in grads)


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


@pytest.mark.parametrize("bad", [{"width": 0.0}, {"width": math.inf}, {"initial_gain": math.nan}, {"last_width": -1.0}])
def test_bad_values_are_named(bad):
    with pytest.raises(InputError, match=rf"epipolar\.{next(iter(bad))}: got"):
        EpipolarConditioning(**bad)


@pytest.mark.parametrize("bad", [{"blocks": [2]}, {"blocks": []}, {"heads": [-1]}, {"heads": [4]}])
def test_blocks_and_heads_that_are_not_there_are_named(bad):
    with pytest.raises(InputError, match=rf"epipolar\.{next(iter(bad))}: got .*, want some of 0 to"):
        ReCamMaster(small_config(), GRID, [EpipolarConditioning(**bad)], null_text_length=3)


@pytest.mark.parametrize("bad", [{"form": "band", "learn_width": True}, {"form": "lines", "neighbours": 1}])
def test_options_that_do_not_go_together_are_refused(bad):
    with pytest.raises(InputError, match=rf"epipolar\.form: got {bad['form']} and"):
        EpipolarConditioning(**bad)


def test_two_biases_of_different_reach_are_refused():
    with pytest.raises(InputError, match="extra_conditioning: got two biases on attention"):
        attention.joined(torch.zeros(1, 1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1, 3))
    with pytest.raises(InputError, match="extra_conditioning: got two biases on attention"):
        attention.joined(torch.zeros(1, 1, 1, 1, 1, 1), lambda *places: places[0])
