"""LoRA: nothing at the start, only thin matrices trained, merged without loss, names that a file can be read by."""

import copy

import pytest
import torch

from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.layers.lora import LoRALinear, LoRASpec, add_lora, merge_lora
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import InputError, LatentGrid
from tests.models.small_backbones import GRID, ask, loud_backbone, relative_difference, small_config, small_inputs

SPEC = LoRASpec(rank=4, alpha=8.0)


def adapted(spec=SPEC):
    backbone = loud_backbone()
    with_lora = copy.deepcopy(backbone)
    add_lora(with_lora, spec)
    return backbone, with_lora


def make_loud(module):
    for name, parameter in module.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)


def test_linear_by_hand():
    linear = torch.nn.Linear(2, 2)
    linear.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    linear.bias.data = torch.tensor([10.0, 20.0])
    layer = LoRALinear(linear, rank=1, alpha=0.5)
    layer.lora_down.data, layer.lora_up.data = torch.tensor([[1.0, -1.0]]), torch.tensor([[2.0], [4.0]])
    # W x + b = (10 + 5, 20 + 11); down x = 1 - 2 = -1; up times that = (-2, -4); scale 0.5
    assert layer(torch.tensor([1.0, 2.0])).tolist() == [14.0, 29.0]


def test_nothing_changes_at_the_start():
    backbone, with_lora = adapted()
    want = ask(backbone, **small_inputs()).velocity
    assert torch.equal(ask(with_lora, **small_inputs()).velocity, want)
    make_loud(with_lora)
    assert relative_difference(ask(with_lora, **small_inputs()).velocity, want) > 0.1, "negative control"


def test_merged_weights_compute_the_same():
    backbone, with_lora = adapted()
    make_loud(with_lora)
    want = ask(with_lora, **small_inputs()).velocity
    unmerged = relative_difference(ask(backbone, **small_inputs()).velocity, want)
    backbone.load_state_dict(merge_lora(with_lora.state_dict()), strict=True)
    assert relative_difference(ask(backbone, **small_inputs()).velocity, want) < 1e-5
    assert unmerged > 0.1, "negative control"


def test_a_fit_with_adapters_is_a_start_without(tmp_path):
    _, with_lora = adapted()
    make_loud(with_lora)
    system = {f"model.backbone.{name}": value for name, value in with_lora.state_dict().items()}
    average = {name: 2 * value for name, value in system.items() if "lora_up" in name}
    torch.save({"state_dict": system, "callbacks": {"EMA": {"average": average}}}, tmp_path / "fit.ckpt")
    backbone = ReCamMaster(small_config(), GRID, [PluckerConditioning()], 3, weights=tmp_path / "fit.ckpt")
    for layer in with_lora.modules():
        if isinstance(layer, LoRALinear):
            layer.lora_up.data *= 2
    want = ask(with_lora, **small_inputs()).velocity
    assert relative_difference(ask(backbone, **small_inputs()).velocity, want) < 1e-5


def test_without_adapters_merging_changes_nothing():
    state = loud_backbone().state_dict()
    merged = merge_lora(state)
    assert merged.keys() == state.keys()
    assert all(merged[name] is value for name, value in state.items())


def test_names_and_what_trains():
    backbone, with_lora = adapted()
    found = {name: value.requires_grad for name, value in with_lora.named_parameters()}
    chosen = {f"dit.blocks.{i}.self_attn.{part}" for i in range(2) for part in "qkvo"}
    assert found.keys() - dict(backbone.named_parameters()).keys() == {
        f"{name}.{part}" for name in chosen for part in ("lora_down", "lora_up")
    }
    frozen = {name for name, trains in found.items() if not trains}
    assert frozen == {f"{name}.{part}" for name in chosen for part in ("weight", "bias")}
    ask(with_lora, **small_inputs()).velocity.square().mean().backward()
    first = with_lora.dit.blocks[0].self_attn.q
    assert first.weight.grad is None
    assert first.lora_up.grad.any()


def test_full_size():
    with torch.device("meta"):
        backbone = ReCamMaster(VideoDiTConfig.wan_1_3b(), LatentGrid(4, 8, 16))
        add_lora(backbone, LoRASpec(rank=16))
    thin = [value.numel() for name, value in backbone.named_parameters() if "lora_" in name]
    assert (len(thin), sum(thin)) == (30 * 4 * 2, 30 * 4 * 2 * 16 * 1536)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank": 0}, "lora.rank: got 0, want at least 1"),
        ({"alpha": 0.0}, "lora.alpha: got 0.0, want more than 0"),
        ({"layers": ()}, "lora.layers: got an empty list"),
        ({"layers": ("self_attn.q", "norm_q")}, "lora.layers: got 'norm_q', which is part of no Linear's name"),
    ],
)
def test_bad_input(options, says):
    with pytest.raises(InputError, match=f"^{says}"):
        adapted(LoRASpec(**options))
