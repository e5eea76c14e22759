"""Fits of a tiny system, by one process or by two ranks: ``python -m tests.systems.two_ranks OUT fsdp tokens``."""

import logging
import os
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightning
import torch
import torch._dynamo
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch.multiprocessing import start_processes
from torch.utils.data import DataLoader

from mvt4g.callbacks.checkpoints import CheckpointFiles
from mvt4g.callbacks.ema import EMA
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.losses.correspondence import CorrespondenceObjective
from mvt4g.losses.track import TrackObjective
from mvt4g.models import compiling
from mvt4g.models.backbones import ReCamMaster, ReDirector
from mvt4g.models.codec import PatchCodec
from mvt4g.models.conditioning.plucker import PluckerConditioning, packed_channels
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.systems.novel_view import NovelViewSystem
from mvt4g.systems.settings import TrainingSpec
from tests.models.small_backbones import make_loud
from tests.systems.wall import wall_batch

OPTIONS = {"tensor_parallel_size": 1, "data_parallel_size": 1, "save_distributed_checkpoint": False}
STRATEGIES = {
    "ddp": lambda: DDPStrategy(process_group_backend="gloo"),
    "fsdp": lambda: ModelParallelStrategy(**OPTIONS | {"data_parallel_size": 2}),
    "tokens": lambda: ModelParallelStrategy(**OPTIONS | {"tensor_parallel_size": 2}),
}
"""By name; with ``tokens`` both ranks see the first one's clips, and share their tokens."""
STEPS = 3


class BothRanks(NovelViewSystem):
    """One process that does the work of two ranks: a batch is a list of one batch a rank."""

    acting_rank = 0

    @property
    def global_rank(self):
        return self.acting_rank

    def training_step(self, batch, batch_idx):
        losses = []
        for self.acting_rank, clips in enumerate(batch):
            losses.append(super().training_step(clips, batch_idx))
        return torch.stack(losses).mean()


class Seen(lightning.Callback):
    """Keeps every step's loss, the gradients of the first, and how many tokens this process computes in a block."""

    def __init__(self):
        self.losses, self.gradients, self.tokens = [], {}, 0

    def on_fit_start(self, trainer, pl_module):
        pl_module.model.backbone.dit.blocks[0].self_attn.q.register_forward_pre_hook(self.count)

    def count(self, module, inputs):
        self.tokens = inputs[0][..., 0].numel()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses.append(trainer.strategy.reduce(outputs["loss"], reduce_op="mean").item())

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if not self.gradients:
            self.gradients = {
                name: whole(value.grad) for name, value in pl_module.named_parameters() if value.grad is not None
            }


def whole(value):
    return (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().clone()


def held_here(value):
    return (value.to_local() if hasattr(value, "to_local") else value).numel()


def build(kind=NovelViewSystem, redirector=False, **changes):
    torch.manual_seed(0)
    codec = PatchCodec()
    sizes = VideoDiTConfig(
        dim=24, ffn_dim=32, freq_dim=16, text_dim=8, num_heads=1, num_layers=2, activation_checkpointing=True
    )
    sizes = replace(sizes, **changes)
    if redirector:
        sizes = replace(sizes, control_channels=packed_channels(codec.grid), image_dim=9)
    make, own = (ReDirector, ()) if redirector else (ReCamMaster, ("cam_encoder", "projector"))
    return kind(
        make_loud(make(sizes, codec.grid, [PluckerConditioning()])), codec,
        tracking_head=lambda shape: TrackingHead(shape, layer=1),
        objectives=[partial(TrackObjective, weight=1.0), partial(CorrespondenceObjective, weight=1.0)],
        training=TrainingSpec(
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2), num_queries=8, warmup_steps=2,
            trainable=("self_attn", *own, "plucker", "tracking_head"),
        ),
    )  # fmt: skip


def batches(rank):
    return [wall_batch(4 * step + 2 * rank, 4 * step + 2 * rank + 1) for step in range(STEPS)]


def fit(system, data, strategy="auto", devices=1, steps=STEPS, ckpt_path=None, precision="32-true"):
    """Fit; return what was seen, the trainer, and the average."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    seen, average = Seen(), EMA()
    trainer = lightning.Trainer(
        accelerator="cpu", devices=devices, strategy=strategy, max_steps=steps, gradient_clip_val=1.0,
        precision=precision, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[seen, average], plugins=[CheckpointFiles()], use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(system, DataLoader(data, batch_size=None), ckpt_path=ckpt_path, weights_only=True)
    return seen, trainer, average


def sampled(model):
    """Return what a model generates for the first clip: cameras are encoded once, outside of its forward."""
    clip, noise = wall_batch(0), torch.randn(1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return model.generate(model.codec.encode(clip.video[:, 0]), clip.cameras, noise, EulerSampler(2)).latents


def state(seen, trainer, average):
    """Return all that a fit leaves, whole, and how many numbers this process held of weights and average."""
    weights = {name: whole(value) for name, value in trainer.lightning_module.named_parameters()}
    averaged = {name: whole(value) for name, value in average.average.items()}
    held = [sum(map(held_here, values)) for values in (trainer.lightning_module.parameters(), average.average.values())]
    return {
        "losses": seen.losses, "gradients": seen.gradients, "weights": weights, "average": averaged,
        "held": held, "tokens": seen.tokens, "sampled": sampled(trainer.lightning_module.model),
    }  # fmt: skip


def found_by(strategy, rank, out):
    """Fit through, save a fit cut short in ``out``, resume it, and resume the one that lies there already."""
    data = batches(0 if strategy == "tokens" else rank)
    through = state(*fit(build(), data, STRATEGIES[strategy](), 2))
    seen, trainer, average = fit(build(), data, STRATEGIES[strategy](), 2, steps=STEPS - 1)
    trainer.save_checkpoint(out / "short.ckpt")
    short = state(seen, trainer, average)
    resumed = state(*fit(build(), data[STEPS - 1 :], STRATEGIES[strategy](), 2, ckpt_path=out / "short.ckpt"))
    from_one = state(*fit(build(), data[STEPS - 1 :], STRATEGIES[strategy](), 2, ckpt_path=out / "one.ckpt"))
    found = {"through": through, "short": short, "resumed": resumed, "from_one": from_one}
    if strategy == "tokens":
        found["redirector"] = state(*fit(build(redirector=True), data, STRATEGIES[strategy](), 2))
    return found


def compiled_by(strategy, rank):
    """Fit with compiled blocks, by the backend that traces and differentiates but makes no code."""
    compiling.BACKEND = "aot_eager"
    system = build(compile="blocks")
    found = state(*fit(system, batches(0 if strategy == "tokens" else rank), STRATEGIES[strategy](), 2))
    return found | {"graphs": torch._dynamo.utils.counters["stats"]["unique_graphs"]}


def be_rank(rank, out, strategies):
    """Fit by one strategy after the other; the first rank writes what it found."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    for strategy in strategies:
        plain, _, compiled = strategy.partition("-")
        found = compiled_by(plain, rank) if compiled else found_by(strategy, rank, out / strategy)
        if rank == 0:
            torch.save(found, out / strategy / "two.pt")


def main(out, *strategies):
    """Fork two ranks off this process, which has imported what they need."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ |= {
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    start_processes(be_rank, (Path(out), strategies), nprocs=2, start_method="fork")


if __name__ == "__main__":
    main(*sys.argv[1:])
