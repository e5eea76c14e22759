"""Memory and arithmetic of a training step at full size, counted and not measured: no GPU and no weights are needed.

    python -m experiments.benchmarks.memory_count [--recipe recammaster] [--ranks 8] [--frames 81] [--size 480 832]
                                                  [--sampling]

A step of the recipe's own backbone, head and L_corr (configs/backbone) runs on fake tensors, which have shapes and no
numbers. After every operation the bytes of all living tensors are added up; the peak is their largest sum within a
step, the optimizer's state being there before. Several ranks are one rank of FSDP2 over a fake process group.

What a GPU needs on top is not counted: CUDA's context, workspaces of matmul, attention and NCCL, gaps between
allocations (2 to 4 GiB together is usual). Nor is the codec: latents come from a cache. Fake tensors lie on the CPU,
whose autocast and fused attention round and keep what CUDA's do.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.flop_counter import FlopCounterMode

from mvt4g.commands.parsing.config_files import read_config
from mvt4g.commands.step_memory import (
    GIB,
    BatchSize,
    LatentsOnly,
    LiveBytes,
    StepBatch,
    gib,
    step_batch,
    step_loss,
    without_numbers,
)
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.losses import correspondence
from mvt4g.models import backbones
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.backbones.joint_views import JointViews
from mvt4g.models.conditioning.plucker import PluckerConditioning
from mvt4g.models.layers.lora import LoRASpec, add_lora
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking import head
from mvt4g.models.trainable import count_groups, freeze_others, total_count
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.sharding import shard
from mvt4g.types import Conditions, LatentGrid

CONFIGS = Path(__file__).parents[2] / "configs" / "backbone"
RECIPES = {
    "recammaster": ("wan_1_3b_recammaster.yaml",),
    "redirector": ("wan_1_3b_redirector.yaml",),
    "lora": ("wan_1_3b_recammaster.yaml", "lora_24gb.yaml"),
}
"""Files of a recipe, each laid over the one before."""
TERA = 1e12


class Recipe(NamedTuple):
    """What of a configuration decides memory."""

    model: NovelViewModel
    loss: correspondence.CorrespondenceLoss
    num_queries: int


def build(recipe: str, dit: VideoDiTConfig | None = None) -> Recipe:
    """Build backbone and head as the recipe's files say, on the meta device: parameters of a shape alone.

    Args:
        recipe: Of ``RECIPES``.
        dit: Sizes of the network in place of the files'.
    """
    options: dict[str, Any] = {}
    for name in RECIPES[recipe]:
        given = read_config(CONFIGS / name)["model"]["init_args"]
        training = options.get("training", {}) | given.pop("training")
        options |= given | {"training": training}
    given, tracking = options["backbone"]["init_args"], options["tracking_head"]["init_args"]
    grid = LatentGrid(**given["grid"])
    with torch.device("meta"):
        extra = [PluckerConditioning() for _ in given["extra_conditioning"]]
        kind = getattr(backbones, options["backbone"]["class_path"].rpartition(".")[2])
        backbone = kind(dit or VideoDiTConfig(**given["dit"]), grid, extra)
        if "lora" in options["training"]:
            add_lora(backbone, LoRASpec(**options["training"]["lora"]))
        tracking_head = head.TrackingHead(
            backbone.tap_shape, tracking["layer"], head.TrackingHeadSpec(**tracking["spec"])
        )
        model = NovelViewModel(backbone, LatentsOnly(grid), FlowMatching(), tracking_head)
    freeze_others(model, options["training"]["trainable"], "trainable")
    return Recipe(model, correspondence.CorrespondenceLoss(), options["training"]["num_queries"])


def one_clip(recipe: Recipe, frames: int, size: Sequence[int]) -> StepBatch:
    """Return latents, cameras, queries and text of one clip."""
    return step_batch(recipe.model, BatchSize(1, frames, size, recipe.num_queries))


def forward(recipe: Recipe, batch: StepBatch) -> Float[Tensor, ""]:
    """Return a loss in which everything that a step trains has its part."""
    assert recipe.model.tracking_head is not None
    return step_loss(recipe.model, batch, (recipe.model.tracking_head.layer,), recipe.loss)


def count_memory(recipe: str, ranks: int, frames: int, size: Sequence[int]) -> dict[str, float]:
    """Return GiB of one rank, by what they hold, and the peak of a whole step."""
    seen = LiveBytes()
    built = build(recipe)
    model = built.model
    mesh = init_device_mesh("cpu", (ranks, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    with FakeTensorMode(allow_non_fake_inputs=True), seen:
        model.to_empty(device="cpu")
        if ranks > 1:
            shard(model, mesh)
        trained = [value for value in model.parameters() if value.requires_grad]
        optimizer = torch.optim.AdamW(trained, foreach=False)
        average = [value.detach().clone() for value in trained]
        for value in trained:
            value.grad = torch.zeros_like(value)
        gradients = gib(value.grad for value in trained)
        optimizer.step()
        state = gib(part for values in optimizer.state.values() for part in values.values())
        optimizer.zero_grad()
        batch = one_clip(built, frames, size)
        seen.peak = 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = forward(built, batch)
        loss.backward()
        optimizer.step()
        held = {"weights": gib(model.parameters()), "average": gib(average), "gradients": gradients, "Adam": state}
        peak = seen.peak / GIB
    return {**held, "activations at the peak": peak - sum(held.values()), "peak": peak}


def count_sampling(recipe: str, frames: int, size: Sequence[int]) -> dict[str, float]:
    """Return GiB of one GPU that samples a clip in bf16-mixed: the weights, fp32, and the peak of a forward."""
    seen = LiveBytes()
    built = build(recipe)
    backbone = built.model.backbone
    with FakeTensorMode(allow_non_fake_inputs=True), seen, torch.no_grad():
        backbone.to_empty(device="cpu")
        batch = one_clip(built, frames, size)
        reference, target = batch.latents.unbind(1)
        seen.peak = 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            encoded = backbone.encode_cameras(batch.cameras, *target.shape[2:])
            backbone(target, reference, torch.rand(1), encoded, Conditions(batch.text))
        weights, peak = gib(backbone.parameters()), seen.peak / GIB
    return {"weights": weights, "activations at the peak": peak - weights, "peak": peak}


def count_flops(recipe: str, frames: int, size: Sequence[int]) -> dict[str, float]:
    """Return TFLOP of a forward on all frames of both views, attention's share of it, and TFLOP of a whole step."""
    return flops_of(build(recipe), frames, size)


def flops_of(built: Recipe, frames: int, size: Sequence[int]) -> dict[str, float]:
    """As ``count_flops``, of a recipe that was built."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        built.model.to_empty(device="cpu")
        batch = one_clip(built, frames, size)
        with FlopCounterMode(display=False) as step:
            forward(built, batch).backward()
        with FlopCounterMode(display=False) as whole, torch.no_grad():
            dit_forward(built.model.backbone, batch)
        attention = sum(count for name, count in whole.flop_counts["Global"].items() if "attention" in str(name))
        total = whole.get_total_flops()
    return {"forward": total / TERA, "attention": attention / total, "step": step.get_total_flops() / TERA}


def dit_forward(backbone: NovelViewBackbone, batch: StepBatch) -> None:
    """Run the network to the end for every frame, as its authors do; ours spares the reference's last block."""
    assert isinstance(backbone, JointViews), "no recipe has another"
    dit_call = backbone.dit.forward

    def to_the_end(*args: Any, num_output_frames: int | None = None, **options: Any) -> Any:
        return dit_call(*args, **options)

    backbone.dit.forward = to_the_end  # type: ignore[method-assign]
    reference, target = batch.latents.unbind(1)
    backbone(target, reference, torch.rand(1), batch.cameras, Conditions(batch.text))


def num_tokens(backbone: NovelViewBackbone, frames: int, size: Sequence[int]) -> int:
    """Return the tokens of both views."""
    stride = backbone.tap_shape.stride
    return 2 * backbone.grid.latent_frames(frames) * (size[0] // stride) * (size[1] // stride)


def main() -> None:
    """Print the counts of one recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", choices=RECIPES, default="recammaster")
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--size", type=int, nargs=2, default=(480, 832), metavar=("H", "W"))
    parser.add_argument("--no_flops", action="store_true")
    parser.add_argument("--sampling", action="store_true", help="a forward without gradients instead, on one GPU")
    with without_numbers():
        print_counts(parser.parse_args())


def print_counts(given: argparse.Namespace) -> None:
    """Print what the options ask for."""
    dist.init_process_group("fake", rank=0, world_size=given.ranks, store=FakeStore())
    model = build(given.recipe).model
    trainable, frozen = total_count(count_groups(model))
    tokens = num_tokens(model.backbone, given.frames, given.size)
    print(f"{given.recipe}, {given.frames} frames of {given.size[0]}x{given.size[1]}: {tokens:,} tokens a clip")
    print(f"{trainable.numbers:,} parameters train, {frozen.numbers:,} are frozen; codec not among them")
    what = "sampling" if given.sampling else f"{given.ranks} rank(s)"
    print(f"\nGiB a GPU, one clip a GPU, {what}, counted")
    counted = (
        count_sampling(given.recipe, given.frames, given.size)
        if given.sampling
        else count_memory(given.recipe, given.ranks, given.frames, given.size)
    )
    for name, value in counted.items():
        print(f"{name:28}{value:8.2f}")
    if not given.no_flops and not given.sampling:
        found = count_flops(given.recipe, given.frames, given.size)
        print(f"\nTFLOP, counted: forward {found['forward']:.1f} ({found['attention']:.1%} attention),", end=" ")
        print(f"training step {found['step']:.0f}")


if __name__ == "__main__":
    main()
