"""What every trained system does: build a model, supervise its taps by objectives, optimise, save and load."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.inference.encoding import Encoded, encode_clip
from mvt4g.inference.noise import generator_for
from mvt4g.inference.queries import draw_queries
from mvt4g.losses.objective import MakeObjective, TapContext, TapObjective
from mvt4g.models.backbone import NovelViewBackbone, check_channels, check_members
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.lifted_view import LIFTED_VIEW, check_lifted_view
from mvt4g.models.layers.lora import add_lora
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.trainable import count_groups, freeze_others, trainable_table
from mvt4g.systems.loading import check_weights
from mvt4g.systems.objective_logs import Logged, objective_logs
from mvt4g.systems.schedule import build_optimizer, warmup_cosine
from mvt4g.systems.settings import StepSpec
from mvt4g.systems.sharding import renumber, shard
from mvt4g.systems.shown import drop_conditions
from mvt4g.types import AttentionTap, Conditions, InputError, LatentClip, MultiViewClip, TapShape

DROPOUT_STREAM = 1
LIFTED_STREAM = 2
"""Fifth parts of the random seeds that say what is hidden from a step, and which pairs it is shown."""


class StepInput(NamedTuple):
    """What a training step starts from.

    Attributes:
        clip: The batch, or the pairs that were made of it.
        latents: Of both views, as the network is shown them.
        conditions: What else the network is told, after dropout.
        generator: Of the step's further draws.
    """

    clip: MultiViewClip | LatentClip
    latents: Float[Tensor, "b v c f h w"]
    conditions: Conditions
    generator: torch.Generator


class TrainedSystem(LightningModule):
    """A novel-view model with objectives on its attention; what a step does beside them is the subclass's.

    Args:
        backbone: The camera-controlled video DiT.
        codec: Turns video into the latents that the backbone works on; never trained.
        flow: The diffusion process.
        tracking_head: Builds the head from the shape of the backbone's taps; None = no head.
        training: Draws of a step and what it trains.

    Raises:
        InputError: If codec and backbone disagree on the latents, a layer does not exist, or the backbone takes
            channels that nothing gives it.
    """

    def __init__(
        self,
        backbone: NovelViewBackbone,
        codec: Codec,
        flow: FlowMatching,
        tracking_head: Callable[[TapShape], TrackingHead] | None,
        training: StepSpec,
    ) -> None:
        super().__init__()
        check_members(backbone, "text_shape")
        check_channels(backbone)
        head = None if tracking_head is None else tracking_head(backbone.tap_shape)
        if training.lora is not None:
            add_lora(backbone, training.lora)
        self.model = NovelViewModel(backbone, codec, flow, head)
        if training.trainable is not None:
            freeze_others(self, training.trainable, f"{training.option}.trainable")
        self.training_spec = training
        self.objectives: tuple[TapObjective, ...] = ()

    def supervise(self, objectives: Sequence[MakeObjective], layer: int | None = None) -> None:
        """Build the objectives.

        Args:
            objectives: Told of the model.
            layer: Where those look that name no layer, if there is no head.

        Raises:
            InputError: If two have one name, or one looks at a layer that does not exist.
        """
        head = self.model.tracking_head
        context = TapContext(layer)
        if head is not None:
            context = TapContext(head.layer, self.model.track, head.layer, head.spec.rotated)
        self.objectives = tuple(make(context) for make in objectives)
        names = [objective.name for objective in self.objectives]
        if len(set(names)) < len(names):
            raise InputError(f"objectives: got {names}, want no name twice: they are logged by it")
        for objective in self.objectives:
            self.model.check_layers(f"objectives.{objective.name}.layers", objective.layers)

    @property
    def data_rank(self) -> int:
        """Which of a step's batches this process sees; ranks that share a sequence see the same one."""
        return self.global_rank if self.device_mesh is None else self.device_mesh["data_parallel"].get_local_rank()

    def configure_model(self) -> None:
        """Slice the parameters over the ranks where the strategy is ``ModelParallelStrategy``, Lightning's FSDP2."""
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh)

    def on_fit_start(self) -> None:
        """Say what trains, where not all does."""
        if self.training_spec.trainable is not None:
            self.print(trainable_table(count_groups(self)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer over the trainable parameters, and its warm-up counted in steps."""
        spec = self.training_spec
        optimizer = build_optimizer(spec.optimizer, self.parameters())
        if not spec.warmup_steps and spec.decay_steps is None:
            return optimizer
        factor = warmup_cosine(spec.warmup_steps, spec.decay_steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what shapes do not tell, and number the optimizer's parameters as FSDP2 would, for its ranks to go on."""
        if self.model.lifted_view is not None:
            checkpoint[LIFTED_VIEW] = self.model.lifted_view.settings()
        if self.device_mesh is None and "optimizer_states" in checkpoint:
            numbers = [number for number, value in enumerate(self.parameters()) if value.requires_grad]
            states = checkpoint["optimizer_states"]
            checkpoint["optimizer_states"] = [renumber(state, numbers) for state in states]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that a checkpoint's weights are those of this model, and were trained on the same lifted view.

        Raises:
            InputError: As ``check_lifted_view`` and ``check_weights``.
        """
        check_lifted_view(checkpoint, self.model.lifted_view, "--ckpt_path")
        if "state_dict" not in checkpoint:
            return  # ModelParallelStrategy has loaded it already, strictly
        check_weights(checkpoint["state_dict"], self.state_dict())

    def step_input(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> StepInput:
        """Encode a batch, or take what was encoded; every draw follows (seed, global step, micro-batch, rank)."""
        spec = self.training_spec
        micro_batch = batch_idx % self.trainer.accumulate_grad_batches
        key = (spec.seed, self.global_step, micro_batch, self.data_rank)
        clip, clean = self.show(batch, generator_for(*key, LIFTED_STREAM))
        # A stream of its own: what is hidden changes no other draw of the step.
        dropout = generator_for(*key, DROPOUT_STREAM)
        latents, drop_text = drop_conditions(clean.latents, spec.condition_dropout, self.model.flow, dropout)
        conditions = replace(clean.conditions, drop_text=drop_text)
        return StepInput(clip, latents, conditions, generator_for(*key))

    def show(
        self, batch: MultiViewClip | LatentClip, generator: torch.Generator
    ) -> tuple[MultiViewClip | LatentClip, Encoded]:
        """Return what a training step is of, and encoded; by default the batch itself.

        Args:
            batch: As it comes from the data.
            generator: Of what is drawn for it alone.
        """
        return batch, encode_clip(self.model, batch)

    def active_objectives(self) -> list[TapObjective]:
        """Return the objectives that count at this step."""
        return [objective for objective in self.objectives if objective.weight_at(self.global_step)]

    def supervised_layers(self) -> tuple[int, ...]:
        """Return the layers that this step's objectives look at."""
        layers: set[int] = set()
        for objective in self.active_objectives():
            layers.update(objective.layers)
        return tuple(sorted(layers))

    def supervision(
        self,
        taps: Mapping[int, AttentionTap],
        batch: MultiViewClip | LatentClip,
        sigma: Float[Tensor, " b"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """Return the weighed and gated sum of this step's objectives, and log each.

        Clips without tracks pass the head too, whose gradients are exact zeros then: all ranks must run the same.
        """
        truth = draw_queries(batch, self.model.codec.grid, self.training_spec.num_queries, generator)
        total = sigma.new_zeros(())
        for objective in self.active_objectives():
            terms = objective.at(self.global_step)(taps, truth, batch.cameras)
            terms.check(objective.name, len(sigma))
            self.log_means(objective_logs(objective.name, terms, sigma, clip_names(batch)))
            gated = objective.gate(sigma) * terms.total
            total = total + objective.weight_at(self.global_step) * gated.mean()
        return total

    def log_scores(
        self,
        split: str,
        scores: Mapping[str, Float[Tensor, ""]],
        suffix: str = "",
    ) -> None:
        """Log the scores of a split under ``<split>/<key><suffix>``; loggers want fp32."""
        self.log_dict({f"{split}/{key}{suffix}": value.float() for key, value in scores.items()})

    def log_means(self, means: Mapping[str, Logged]) -> None:
        """Log means with the number of clips that each is of."""
        for key, mean in means.items():
            self.log(key, mean.value, batch_size=mean.clips)


def clip_names(batch: MultiViewClip | LatentClip) -> tuple[str, ...]:
    """Return the names of a batch's clips."""
    return (batch.name,) if isinstance(batch.name, str) else batch.name


def check_tracks(batch: MultiViewClip | LatentClip | RealClip) -> None:
    """Check that the tracks of a batch are known.

    Raises:
        InputError: If they are not.
    """
    if isinstance(batch, RealClip) or batch.tracks is None or batch.visible is None:
        raise InputError("data: got clips without tracks, want some whose tracks are known")
