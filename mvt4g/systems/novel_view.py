"""Joint training of a novel-view video DiT, a tracking head on its attention, and a loss on the attention itself."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.losses.track import TrackLoss
from mvt4g.metrics.novel_view import NovelViewMetrics
from mvt4g.models.backbones import Backbone
from mvt4g.models.codec import Codec
from mvt4g.models.layers.lora import add_lora
from mvt4g.models.novel_view import NoisyPass, NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.trainable import count_groups, freeze_others, trainable_table
from mvt4g.systems.draws import generator_for
from mvt4g.systems.latents import encoded
from mvt4g.systems.loading import check_weights
from mvt4g.systems.queries import draw_queries
from mvt4g.systems.real_video import NovelView, RealVideoPass, RealVideoScores
from mvt4g.systems.schedule import warmup_cosine
from mvt4g.systems.scores import NovelViewScores
from mvt4g.systems.scoring import BatchScorer, EvaluationOutput
from mvt4g.systems.settings import EvaluationSpec, TrainingSpec
from mvt4g.systems.sharding import renumbered, shard
from mvt4g.systems.shares import check_shares
from mvt4g.systems.shown import shown
from mvt4g.systems.source_means import source_means
from mvt4g.types import TARGET, InputError, LatentClip, MultiViewClip, TapShape

DROPOUT_STREAM = 1
"""Fifth part of the random seeds that say what is hidden from a step."""
NOISE_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Edges of the noise levels by which L_track and L_corr are logged."""


class NovelViewSystem(LightningModule):
    """L = L_diff + weight_track * L_track + weight_corr * L_corr over clips of a reference and a target view.

    Args:
        backbone: The camera-controlled video DiT.
        codec: Turns video into the latents that the backbone works on; never trained.
        flow: The diffusion process.
        tracking_head: Builds the head from the shape of the backbone's taps; None = no head and no L_track.
        correspondence_loss: Supervises attention maps; its layers default to the head's. None = no L_corr.
        optimizer: Builds the optimizer from the trainable parameters.
        training: Draws and weights of a training step.
        evaluation: What validation and test measure.

    Raises:
        InputError: If codec and backbone disagree on the latents, or a layer does not exist.

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 17-20.
    """

    def __init__(
        self,
        backbone: Backbone,
        codec: Codec,
        flow: FlowMatching = FlowMatching(),
        tracking_head: Callable[[TapShape], TrackingHead] | None = None,
        correspondence_loss: CorrespondenceLoss | None = None,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.AdamW,
        training: TrainingSpec = TrainingSpec(),
        evaluation: EvaluationSpec = EvaluationSpec(),
    ) -> None:
        super().__init__()
        head = None if tracking_head is None else tracking_head(backbone.tap_shape)
        if training.lora is not None:
            add_lora(backbone, training.lora)
        self.model = NovelViewModel(backbone, codec, flow, head)
        if training.trainable is not None:
            freeze_others(self, training.trainable, "training.trainable")
        self.diffusion_loss, self.track_loss = DiffusionLoss(), TrackLoss()
        self.correspondence_loss, self.make_optimizer = correspondence_loss, optimizer
        self.training_spec, self.evaluation = training, evaluation
        self.corr_layers = self._correspondence_layers()
        self.model.check_layers("correspondence_loss.layers", self.corr_layers)
        headline = head.layer if head is not None else next(iter(self.corr_layers), None)
        layers = self._scored_layers(headline)
        self.score = BatchScorer(self.model, evaluation, layers, headline)
        self.real_pass, self.real_scores = RealVideoPass(self.model, evaluation, headline), RealVideoScores()
        self.scores = nn.ModuleDict({split: NovelViewScores(evaluation, layers, headline) for split in ("val", "test")})

    @property
    def video_metrics(self) -> NovelViewMetrics:
        """The metrics of the videos generated in test."""
        return self._scores("test").videos

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

    def training_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> Tensor:
        """Return the joint loss; every draw follows (seed, global step, micro-batch, rank).

        Clips without tracks pass the head too, whose gradients are exact zeros then: all ranks must run the same.
        """
        micro_batch = batch_idx % self.trainer.accumulate_grad_batches
        key = (self.training_spec.seed, self.global_step, micro_batch, self.data_rank)
        generator, dropout = generator_for(*key), self.training_spec.condition_dropout
        clean = encoded(self.model.codec, batch)
        latents, drop_text = shown(clean.latents, dropout, self.model.flow, generator_for(*key, DROPOUT_STREAM))
        sigma = self.model.flow.draw_sigmas(len(latents), generator).to(latents.device)
        noise = torch.randn(latents[:, TARGET].shape, generator=generator).to(latents.device)
        layers = self._supervised_layers()
        passed = self.model.noisy_pass(
            latents, batch.cameras, sigma, noise, layers, text=clean.text, image=clean.image, drop_text=drop_text
        )
        per_clip = self.diffusion_loss(passed.velocity, passed.target, self.model.flow.weight(sigma))
        total = per_clip.mean()
        self.log_dict({"train/loss_diff": total, **_by_source("diff", per_clip, batch)}, batch_size=len(sigma))
        if layers:
            total = total + self._auxiliary_loss(passed, batch, generator)
        self.log("train/loss", total, prog_bar=True, batch_size=len(sigma))
        return total

    def on_validation_epoch_start(self) -> None:
        """Start the split's scores anew."""
        self._scores("val").reset()

    def validation_step(  # type: ignore[override]  # Lightning hands any object on to the callbacks
        self, batch: MultiViewClip | LatentClip, batch_idx: int
    ) -> EvaluationOutput:
        """Score one batch."""
        return self.score(batch, self._scores("val"), sample=self.evaluation.sample_in_validation)

    def on_validation_epoch_end(self) -> None:
        """Log the split's scores."""
        self._log_scores("val")

    def on_test_epoch_start(self) -> None:
        """Start the split's scores anew.

        Raises:
            InputError: As ``check_shares``.
        """
        check_shares(self.trainer.test_dataloaders)
        self._scores("test").reset()
        self.real_scores.reset()

    def test_step(  # type: ignore[override]  # as validation_step
        self, batch: MultiViewClip | LatentClip | RealClip, batch_idx: int
    ) -> EvaluationOutput | NovelView:
        """Score one batch; of a real video, what needs no true target view."""
        if isinstance(batch, RealClip):
            return self.real_pass(batch, self.real_scores)
        return self.score(batch, self._scores("test"), sample=True)

    def on_test_epoch_end(self) -> None:
        """Log the split's scores."""
        self._log_scores("test")
        self.log_dict({f"test/{key}": value.float() for key, value in self.real_scores.scores().items()})

    def predict_step(self, batch: RealClip, batch_idx: int) -> NovelView:
        """Generate the target view of one real video and track its query points in both."""
        return self.real_pass(batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer over the trainable parameters, and its warm-up counted in steps."""
        optimizer = self.make_optimizer([value for value in self.parameters() if value.requires_grad])
        spec = self.training_spec
        if not spec.warmup_steps and spec.decay_steps is None:
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(spec.warmup_steps, spec.decay_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Number the optimizer's parameters as FSDP2 would, so that its ranks can go on from here."""
        if self.device_mesh is None and "optimizer_states" in checkpoint:
            numbers = [number for number, value in enumerate(self.parameters()) if value.requires_grad]
            checkpoint["optimizer_states"] = [renumbered(state, numbers) for state in checkpoint["optimizer_states"]]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that a checkpoint's weights are those of this model.

        Raises:
            InputError: As ``check_weights``.
        """
        if "state_dict" not in checkpoint:
            return  # ModelParallelStrategy has loaded it already, strictly
        check_weights(checkpoint["state_dict"], self.state_dict())

    def _auxiliary_loss(
        self, passed: NoisyPass, batch: MultiViewClip | LatentClip, generator: torch.Generator
    ) -> Tensor:
        spec, head = self.training_spec, self.model.tracking_head
        truth = draw_queries(batch, self.model.codec.grid, spec.num_queries, generator)
        total = passed.sigma.new_zeros(())
        weight_track, weight_corr = self._weights()
        if head is not None and weight_track:
            prediction = self.model.track(passed.taps, truth.queries, batch.cameras)
            track = self.track_loss(prediction, truth)
            terms = ("position", "occluded_position", "visibility", "confidence")
            parts = {name: getattr(track, name).detach().mean() for name in terms}
            self._log_auxiliary("track", track.total, track.empty, passed.sigma, parts)
            self.log_dict(_by_source("track", track.total, batch, track.empty), batch_size=len(passed.sigma))
            total = total + weight_track * (spec.track_gate(passed.sigma) * track.total).mean()
        if self.correspondence_loss is not None and weight_corr:
            taps = {layer: passed.taps[layer] for layer in self.corr_layers}
            corr = self.correspondence_loss(taps, truth)
            pairs = _means(corr.pairs, {pair: count > 0 for pair, count in corr.counts.items()})
            self._log_auxiliary("corr", corr.total, corr.empty, passed.sigma, pairs)
            self.log_dict(_by_source("corr", corr.total, batch, corr.empty), batch_size=len(passed.sigma))
            total = total + weight_corr * (spec.corr_gate(passed.sigma) * corr.total).mean()
        return total

    def _log_auxiliary(
        self, name: str, per_clip: Tensor, empty: Tensor, sigma: Tensor, parts: dict[str, Tensor]
    ) -> None:
        values = per_clip.detach()
        logged = {f"train/loss_{name}": values.mean(), f"train/empty_{name}": empty.float().mean()}
        bins = {
            f"sigma_{low:.2f}_{high:.2f}": (sigma > low) & (sigma <= high) & ~empty
            for low, high in pairwise(NOISE_BINS)
        }
        parts = parts | _means(dict.fromkeys(bins, values), bins)
        logged |= {f"train/loss_{name}/{part}": value for part, value in parts.items()}
        self.log_dict(logged, batch_size=len(sigma))

    def _correspondence_layers(self) -> tuple[int, ...]:
        if self.correspondence_loss is None:
            return ()
        if self.correspondence_loss.layers is not None:
            return tuple(self.correspondence_loss.layers)
        if self.model.tracking_head is None:
            raise InputError("correspondence_loss.layers: got null without a tracking head, want a list of layers")
        return (self.model.tracking_head.layer,)

    def _scored_layers(self, headline: int | None) -> tuple[int, ...]:
        chosen = self.evaluation.attention_layers
        if chosen is None:
            return tuple(range(self.model.backbone.num_layers))
        self.model.check_layers("evaluation.attention_layers", chosen)
        return tuple(sorted({*chosen, *([] if headline is None else [headline])}))

    def _supervised_layers(self) -> tuple[int, ...]:
        weight_track, weight_corr = self._weights()
        layers = set(self.corr_layers) if weight_corr else set()
        if self.model.tracking_head is not None and weight_track:
            layers.add(self.model.tracking_head.layer)
        return tuple(sorted(layers))

    def _weights(self) -> tuple[float, float]:
        """Return what L_track and L_corr weigh at this step."""
        spec, step = self.training_spec, self.global_step
        return spec.weight_track * spec.track_steps(step), spec.weight_corr * spec.corr_steps(step)

    def _log_scores(self, split: str) -> None:
        scores = self._scores(split).scores()
        self.log_dict({f"{split}/{key}": value.float() for key, value in scores.items()})

    def _scores(self, split: str) -> NovelViewScores:
        scores = self.scores[split]
        assert isinstance(scores, NovelViewScores)
        return scores


def _means(per_clip: dict[str, Tensor], there: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean of each entry over the clips that have it, for the entries that any clip has."""
    known = torch.stack([there[name].any() for name in per_clip]).tolist()  # one wait for the device
    return {
        name: torch.where(there[name], value, 0).sum() / there[name].sum()
        for (name, value), is_known in zip(per_clip.items(), known, strict=True)
        if is_known
    }


def _by_source(
    term: str, per_clip: Tensor, batch: MultiViewClip | LatentClip, empty: Tensor | None = None
) -> dict[str, Tensor]:
    """Return a term's mean by source, over the clips that have it, under its log keys."""
    names = (batch.name,) if isinstance(batch.name, str) else batch.name
    means = source_means(per_clip.detach(), names, None if empty is None else ~empty)
    return {f"train/loss_{term}/{source}": mean for source, mean in means.items()}
