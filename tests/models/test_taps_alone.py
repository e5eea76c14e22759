"""A pass whose taps alone are wanted: nothing runs beyond the last of them, nothing that is made changes."""

import pytest
import torch

from mvt4g.geometry.rotary import rotate_pairs
from tests.models.small_backbones import ask, loud_backbone, loud_redirector, small_inputs

BACKBONES = pytest.mark.parametrize("build", [loud_backbone, loud_redirector])


def without_text():
    return small_inputs() | {"text": None}


@BACKBONES
@pytest.mark.parametrize("layers", [[0], [1], [0, 2]])
@torch.no_grad()
def test_taps_are_those_of_the_whole_pass(build, layers):
    backbone, read = build(num_layers=3), []
    whole = ask(backbone, **without_text(), tap_layers=layers)
    alone = ask(backbone, **without_text(), tap_layers=layers, predict=False)
    ask(backbone, **without_text(), tap_layers=layers, read_tap=read.append, predict=False)
    assert list(alone.taps) == layers == [tap.layer for tap in read]
    for wanted, *found in zip(whole.taps.values(), alone.taps.values(), read, strict=True):
        for tap in found:
            for part in ("query", "key", "rotary", "frame_times"):
                assert torch.equal(getattr(tap, part), getattr(wanted, part)), part
    assert alone.velocity.shape == (2, 5, 0, 4, 6)
    assert alone.velocity.dtype == whole.velocity.dtype


@BACKBONES
@torch.no_grad()
def test_nothing_runs_beyond_the_last_tap(build):
    backbone, ran = build(num_layers=3), []
    for name, module in backbone.dit.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
    ask(backbone, **without_text(), tap_layers=[1], predict=False)
    in_last = {name.removeprefix("blocks.1.").partition(".")[0] for name in ran if name.startswith("blocks.1.")}
    assert {"blocks.0", "blocks.0.ffn", "blocks.1.self_attn.q", "blocks.1.self_attn.k"} < set(ran)
    assert not any(name.startswith(("blocks.2", "head")) for name in ran)
    assert not {"projector", "cross_attn", "norm3", "ffn"} & in_last
    assert not {"blocks.1.self_attn.v", "blocks.1.self_attn.o"} & set(ran)


@BACKBONES
@pytest.mark.parametrize("layers", [[0], [1], [0, 2]])
@pytest.mark.parametrize("rotated", [False, True])
def test_what_a_loss_on_taps_does_not_reach_is_frozen_and_nothing_else(build, layers, rotated):
    backbone = build(num_layers=3, plucker=True)
    loss = torch.zeros(())
    for tap in ask(backbone, **without_text(), tap_layers=layers, predict=False).taps.values():
        for features in (tap.query, tap.key):
            loss = loss + (rotate_pairs(features, tap.rotary) if rotated else features).sum()
    loss.backward()
    backbone.freeze_beyond(layers[-1], rotated)
    reached = {name for name, value in backbone.named_parameters() if value.grad is not None}
    assert {name for name, value in backbone.named_parameters() if value.requires_grad} == reached
    assert "dit.head.head.weight" not in reached
    assert f"dit.blocks.{layers[-1]}.self_attn.q.weight" in reached
