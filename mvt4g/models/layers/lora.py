"""Low-rank adapters: a Linear stays as it is and learns the product of two thin matrices beside its own.

They have names of their own next to the Linear's (``q.weight``, ``q.bias``, ``q.lora_down``, ``q.lora_up``,
``q.lora_scale``), so that a file without adapters fits the rest and one with them says by itself how to merge.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from mvt4g.models.trainable import matches
from mvt4g.ranges import Positive, Width, check_ranges
from mvt4g.types import InputError

DOWN = "lora_down"
UP = "lora_up"
SCALE = "lora_scale"


@dataclass(frozen=True)
class LoRASpec:
    """Which Linears get adapters, and of what size.

    Attributes:
        rank: Width between the two matrices.
        alpha: What the adapter adds is scaled by ``alpha / rank``.
        layers: Parts of the names of the backbone's Linears (``*`` for any characters).
    """

    rank: Width = 16
    alpha: Positive = 16.0
    layers: tuple[str, ...] = ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o")

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "lora")
        if not self.layers:
            raise InputError("lora.layers: got an empty list, want parts of the names of Linears")


class LoRALinear(nn.Linear):
    """``W x + b + scale * up (down x)``; ``W`` and ``b`` are frozen and ``up`` starts at zero.

    Source: LoRA, arXiv 2106.09685, section 4.1.
    """

    lora_scale: Tensor

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight = linear.weight
        self.bias = linear.bias
        self.requires_grad_(False)
        self.lora_down = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.lora_up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        self.register_buffer(SCALE, linear.weight.new_tensor(alpha / rank))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, features: Float[Tensor, "*batch i"]) -> Float[Tensor, "*batch o"]:
        """Apply the Linear and its adapter."""
        update = F.linear(F.linear(features, self.lora_down), self.lora_up)
        return super().forward(features) + self.lora_scale * update


def add_lora(module: nn.Module, spec: LoRASpec) -> None:
    """Put adapters on the Linears of ``module`` that a pattern names.

    Raises:
        InputError: If a pattern names no Linear.
    """
    linears = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    for pattern in spec.layers:
        if not any(matches(name, pattern) for name in linears):
            raise InputError(f"lora.layers: got {pattern!r}, which is part of no Linear's name, want e.g. self_attn.q")
    for name, linear in linears.items():
        if any(matches(name, pattern) for pattern in spec.layers):
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent), attribute, LoRALinear(linear, spec.rank, spec.alpha))


def merge_lora(state: Mapping[str, Shaped[Tensor, "..."]]) -> dict[str, Shaped[Tensor, "..."]]:
    """Return weights of a model without adapters that computes what the model with them did.

    Args:
        state: A state dict, with adapters or without.
    """
    merged = {name: value for name, value in state.items() if name.rpartition(".")[2] not in (DOWN, UP, SCALE)}
    for name in state:
        layer, _, part = name.rpartition(".")
        if part == DOWN:
            down = state[f"{layer}.{DOWN}"].float()
            up = state[f"{layer}.{UP}"].float()
            weight = state[f"{layer}.weight"]
            update = state[f"{layer}.{SCALE}"].float() * torch.mm(up, down)
            # In fp32: bf16 would round a small update away.
            merged[f"{layer}.weight"] = (weight.float() + update).to(weight.dtype)
    return merged
