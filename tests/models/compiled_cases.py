"""Backbones compiled and as written, side by side: ``python -m tests.models.compiled_cases BACKEND CASE...``.

In a process without the shape hook, which breaks torch.compile. Prints, as JSON, what was found of every case.
"""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

from mvt4g.models import compiling, onednn_linear
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.conditioning.epipolar import EpipolarConditioning
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.layers.lora import LoRASpec, add_lora
from tests.models.small_backbones import GRID, ask, make_loud, small_config, small_inputs

LAYERS, STEPS = 4, 3


def recammaster(**changes: Any) -> torch.nn.Module:
    config = small_config(num_layers=LAYERS, **changes)
    return make_loud(ReCamMaster(config, GRID, [PluckerConditioning()], null_text_length=3))


def with_lora(**changes: Any) -> torch.nn.Module:
    backbone = recammaster(**changes)
    add_lora(backbone, LoRASpec(rank=2, layers=("self_attn.q", "ffn.0")))
    for name, parameter in backbone.named_parameters():
        if name.endswith("lora_up"):
            torch.nn.init.normal_(parameter, std=0.1)
    return backbone


def redirector(**changes: Any) -> torch.nn.Module:
    config = small_config(num_layers=LAYERS, in_channels=10, control_channels=48, image_dim=9, **changes)
    return make_loud(ReDirector(config, GRID, [], null_text_length=3))


def epipolar(form: str, **changes: Any) -> torch.nn.Module:
    prior = EpipolarConditioning(width=0.5, last_width=2.0, initial_gain=3.0, form=form)
    return make_loud(ReCamMaster(small_config(num_layers=LAYERS, **changes), GRID, [prior], null_text_length=3))


CASES: dict[str, tuple[Callable[..., torch.nn.Module], dict[str, Any]]] = {
    "plain": (recammaster, {}),
    "checkpointing": (recammaster, {"activation_checkpointing": True}),
    "lora": (with_lora, {"activation_checkpointing": True}),
    "bf16": (recammaster, {"activation_checkpointing": True}),
    "redirector": (redirector, {}),
    "epipolar_map": (lambda **changes: epipolar("map", **changes), {}),
    "epipolar_lines": (lambda **changes: epipolar("lines", **changes), {}),
}
"""How each backbone is built; all hand out taps."""


def built(case: str, compile_: str) -> torch.nn.Module:
    make, changes = CASES[case]
    torch.manual_seed(0)
    return make(compile=compile_, **changes)


def results(backbone: torch.nn.Module, bf16: bool) -> dict[str, torch.Tensor]:
    """Return output, taps and gradients of a training step, and output and taps without gradients."""
    inputs = small_inputs()
    found = {}
    backbone.zero_grad()
    with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
        output = ask(backbone, **inputs, tap_layers=[1, LAYERS - 1])
        loss = output.velocity.float().square().mean()
        for layer, tap in output.taps.items():
            found[f"tap {layer}"] = torch.stack([tap.query, tap.key]).float()
            loss = loss + tap.query.float().square().mean() + tap.key.float().pow(3).mean()
        loss.backward()
        with torch.no_grad():
            kept: list[torch.Tensor] = []
            ask(backbone, **inputs, tap_layers=[1], read_tap=lambda tap: kept.append(tap.key), predict=False)
            found["sampled"] = ask(backbone, **inputs).velocity.float()
    found["tap alone"] = kept[0].float()
    found["velocity"] = output.velocity.float()
    found |= {name: value.grad for name, value in backbone.named_parameters() if value.grad is not None}
    return {name: value.detach().clone() for name, value in found.items()}


def examined(case: str) -> dict[str, Any]:
    """Return the largest relative difference, graphs after each step, breaks, and what a weight changes."""
    torch._dynamo.reset()
    counters.clear()
    written, compiled = built(case, "none"), built(case, "blocks")
    keys_match = list(written.state_dict()) == list(compiled.state_dict())
    with torch.no_grad():  # so that weights which come from elsewhere are what it computes with
        for parameter in compiled.parameters():
            parameter.zero_()
    compiled.load_state_dict(written.state_dict())
    want = results(written, case == "bf16")
    graphs = []
    for _ in range(STEPS):
        got = results(compiled, case == "bf16")
        graphs.append(counters["stats"]["unique_graphs"])
    differences = relative_differences(got, want)
    worst = max(differences, key=lambda name: differences[name])
    with torch.no_grad():
        compiled.dit.blocks[1].self_attn.v.weight.neg_()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        changed = relative_differences(results(compiled, case == "bf16"), want)
    by_onednn = [event.count for event in seen.key_averages() if event.key == "mkldnn::_linear_pointwise"]
    return {
        "compared": len(want), "same_names": got.keys() == want.keys(), "keys_match": keys_match,
        "worst": worst, "difference": differences[worst], "changed": changed["velocity"],
        "graphs": graphs, "breaks": sum(counters["graph_break"].values()), "by_onednn": sum(by_onednn),
    }  # fmt: skip


def relative_differences(got: dict[str, torch.Tensor], want: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the norm of each difference over that of the value."""
    # Of gradients that are rounding alone, such as those of attention to a single token, a share of the largest's.
    largest = max(value.norm() for name, value in want.items() if name.startswith("dit."))
    differences = {}
    for name, value in want.items():
        floor = 1e-3 * largest if name.startswith("dit.") else 0.0
        differences[name] = ((got[name] - value).norm() / (value.norm() + floor)).item()
    return differences


if __name__ == "__main__":
    torch.set_num_threads(1)
    compiling.BACKEND = sys.argv[1]
    # On every processor, so that it is tested there.
    onednn_linear.onednn_is_faster = torch.backends.mkldnn.is_available
    print(json.dumps({case: examined(case) for case in sys.argv[2:] or CASES}))
