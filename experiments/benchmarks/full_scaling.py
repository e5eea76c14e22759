"""A step of ReCamMaster at full size on fake ranks: what ``scaling --full`` prints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import _disable_current_modes

from experiments.benchmarks.memory_count import Recipe, build, flops_of, forward, num_tokens, one_clip
from mvt4g.commands.step_memory import GIB, LiveBytes, gib
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems import sharding

FRAMES = 81
SIZE = (480, 832)
BF16 = 2
FP32 = 4


def sized(dit: str) -> Recipe:
    """Return ReCamMaster's recipe with a network of another size, on the meta device."""
    sizes: VideoDiTConfig = getattr(VideoDiTConfig, dit)()
    return build("recammaster", replace(sizes, activation_checkpointing=True))


def step_bytes(dit: str, ranks: int, shared: int) -> dict[str, float]:
    """Return GiB of one rank of a step: parameters in all their copies, and all that lives at the peak.

    Args:
        dit: A size of ``VideoDiTConfig``.
        ranks: Of FSDP2, over which every parameter is sliced.
        shared: Ranks that share the tokens of a clip.
    """
    dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (ranks // shared, shared), mesh_dim_names=("data_parallel", "tensor_parallel"))
        seen = LiveBytes()
        built = sized(dit)
        model = built.model
        with FakeTensorMode(allow_non_fake_inputs=True), seen:
            model.to_empty(device="cpu")
            # A mesh of ranks is made of true numbers, also within the mode.
            with patch.object(sharding, "init_device_mesh", _true_mesh):
                sharding.shard(model, mesh)
            state = hold_state(model)
            batch = one_clip(built, FRAMES, SIZE)
            seen.peak = 0
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = forward(built, batch)
            loss.backward()
            held = gib(model.parameters()) + gib(state)
        return {"state": held, "peak": seen.peak / GIB}
    finally:
        dist.destroy_process_group()


def _true_mesh(*args: Any, **options: Any) -> DeviceMesh:
    with _disable_current_modes():
        return init_device_mesh(*args, **options)


def hold_state(model: NovelViewModel) -> list[torch.Tensor]:
    """Return the copies that training keeps of what trains: average and both moments of Adam, fp32.

    Gradients are made by the backward pass itself.
    """
    copies: list[torch.Tensor] = []
    for value in model.parameters():
        if value.requires_grad:
            copies.extend(torch.empty_like(value, requires_grad=False) for _ in range(3))
    return copies


def received(dit: str, ranks: int, shared: int) -> dict[str, float]:
    """Return GB that a rank receives in a step: gathered weights and summed gradients, and gathered keys and values.

    Weights come whole twice, forward and backward, in fp32 as they lie; gradients of what trains once. Keys and values
    come in bf16, once forward, once when a block is run again, and their gradients go back once.
    """
    model = sized(dit).model
    sizes: VideoDiTConfig = getattr(VideoDiTConfig, dit)()
    every = sum(value.numel() for value in model.parameters())
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    others = (ranks - 1) / ranks
    weights = (2 * every + trained) * FP32 * others
    tokens = num_tokens(model.backbone, FRAMES, SIZE)
    a_layer = 2 * tokens * sizes.dim * BF16
    return {"weights": weights / 1e9, "tokens": 3 * sizes.num_layers * a_layer * (shared - 1) / shared / 1e9}


def print_full(dit: str, ranks: Sequence[int], shared: Sequence[int]) -> None:
    """Print the counts of one size of network."""
    found = flops_of(sized(dit), FRAMES, SIZE)
    print(f"{dit}: forward {found['forward']:.0f} TFLOP ({found['attention']:.0%} attention), step {found['step']:.0f}")
    print("| ranks | of them share a clip | state, GiB | peak, GiB | weights received, GB | tokens received, GB |")
    print("|---:|---:|---:|---:|---:|---:|")
    for count in ranks:
        for together in shared:
            held = step_bytes(dit, count, together)
            moved = received(dit, count, together)
            print(
                f"| {count} | {together} | {held['state']:.1f} | {held['peak']:.1f} |"
                f" {moved['weights']:.0f} | {moved['tokens']:.0f} |",
                flush=True,
            )
