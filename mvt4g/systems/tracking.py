"""Multi-view tracking in two given videos, without generating any: train, score and run the tracker on its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.losses.correspondence import CorrespondenceLoss
from mvt4g.losses.track import TrackLoss
from mvt4g.models.backbones import Backbone
from mvt4g.models.codec import Codec
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.models.trainable import freeze_others
from mvt4g.systems.draws import generator_for
from mvt4g.systems.loading import check_weights
from mvt4g.systems.queries import draw_queries, draw_queries_by_name
from mvt4g.systems.schedule import warmup_cosine
from mvt4g.systems.scores import level_name
from mvt4g.systems.shares import check_shares
from mvt4g.systems.track_scores import TrackScores
from mvt4g.systems.tracker import Tracker, TrackerSpec, check_pair
from mvt4g.types import TARGET, InputError, MultiViewClip, TapShape


@dataclass(frozen=True)
class TrackerTraining:
    """What one training step of the tracker draws and how its terms are weighed.

    Attributes:
        sigmas: Lowest and highest noise level; each clip's is drawn evenly between them.
        weight_corr: Weight of L_corr beside L_track; 0 leaves it out.
        trainable: As ``TrainingSpec.trainable``: [tracking_head] freezes the DiT, so that the head alone learns.
        num_queries: Query points drawn a clip.
        warmup_steps: Optimizer steps over which the learning rate rises linearly from 0.
        decay_steps: Step at which a cosine brings the learning rate to 0; None keeps it constant.
        seed: Of every draw, together with step, micro-batch and rank.
    """

    sigmas: tuple[float, float] = (0.0, 0.25)
    weight_corr: float = 0.01
    trainable: tuple[str, ...] | None = None
    num_queries: int = 64
    warmup_steps: int = 0
    decay_steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        low, high = self.sigmas
        if not 0 <= low <= high <= 1:
            raise InputError(f"tracker_training.sigmas: got {self.sigmas}, want [lowest, highest] in [0, 1]")
        for name, least in (("weight_corr", 0), ("num_queries", 1), ("warmup_steps", 0)):
            if getattr(self, name) < least:
                raise InputError(f"tracker_training.{name}: got {getattr(self, name)}, want at least {least}")
        if self.decay_steps is not None and self.decay_steps <= self.warmup_steps:
            want = f"more than warmup_steps = {self.warmup_steps}"
            raise InputError(f"tracker_training.decay_steps: got {self.decay_steps}, want {want}")


@dataclass(frozen=True)
class PairTracks:
    """The tracks in one pair of videos.

    Attributes:
        real: The videos, cameras and queries.
        tracks: Pixels (x, y) of every query in both views.
        visible: True where it is said to be seen.
        confidence: In [0, 1], how near the truth a position is thought to be.
    """

    real: RealClip
    tracks: Float[Tensor, "v t q 2"]
    visible: Bool[Tensor, "v t q"]
    confidence: Float[Tensor, "v t q"]


class MultiViewTracking(LightningModule):
    """Tracks points through two given videos by what one pass of a novel-view DiT knows; no video is generated.

    Configurations and checkpoints of ``NovelViewSystem`` serve here: what both take has one name. ``fit`` trains the
    head, and the DiT with it up to the last layer that is looked at unless it is frozen, by L_track + weight_corr *
    L_corr at low noise, without L_diff.

    Args:
        backbone: The camera-controlled video DiT.
        codec: Turns video into the latents that the backbone works on; never trained.
        flow: How noise is added, and what the backbone is told of it: as it was trained.
        tracking_head: Builds the head from the shape of the backbone's taps; None = zero-shot methods alone.
        correspondence_loss: Supervises attention maps in ``fit``; its layers default to the head's, or without a head
            to the tracker's. None = no L_corr.
        optimizer: Builds the optimizer from the trainable parameters.
        tracker: How videos are tracked, and how that is measured.
        tracker_training: Draws and weights of a training step.

    Raises:
        InputError: If codec and backbone disagree on the latents, or a layer does not exist.
    """

    def __init__(
        self,
        backbone: Backbone,
        codec: Codec,
        flow: FlowMatching = FlowMatching(),
        tracking_head: Callable[[TapShape], TrackingHead] | None = None,
        correspondence_loss: CorrespondenceLoss | None = None,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.AdamW,
        tracker: TrackerSpec = TrackerSpec(),
        tracker_training: TrackerTraining = TrackerTraining(),
    ) -> None:
        super().__init__()
        head = None if tracking_head is None else tracking_head(backbone.tap_shape)
        self.model = NovelViewModel(backbone, codec, flow, head)
        self.tracker = Tracker(self.model, tracker)
        self.track_loss, self.correspondence_loss, self.make_optimizer = TrackLoss(), correspondence_loss, optimizer
        self.spec, self.training_spec, self.evaluation = tracker, tracker_training, tracker.evaluation
        threshold = tracker.evaluation.pck_threshold_px
        self.scores = nn.ModuleDict({split: TrackScores(threshold) for split in ("val", "test")})
        self.corr_layers: tuple[int, ...] = ()
        if correspondence_loss is not None and tracker_training.weight_corr:
            default = (self.tracker.layer if head is None else head.layer,)
            self.corr_layers = default if correspondence_loss.layers is None else correspondence_loss.layers
            self.model.check_layers("correspondence_loss.layers", self.corr_layers)
        self.trained_layers = tuple(sorted({*self.corr_layers, *([] if head is None else [head.layer])}))
        if tracker_training.trainable is not None:
            freeze_others(self, tracker_training.trainable, "tracker_training.trainable")
        if self.trained_layers:
            last = self.trained_layers[-1]
            rotated = last in self.corr_layers or (head is not None and head.layer == last and head.spec.rotated)
            backbone.freeze_beyond(last, rotated)

    def training_step(self, batch: MultiViewClip, batch_idx: int) -> Tensor:
        """Return L_track + weight_corr * L_corr; every draw follows (seed, global step, micro-batch, rank)."""
        check_tracks(batch)
        spec, head = self.training_spec, self.model.tracking_head
        micro_batch = batch_idx % self.trainer.accumulate_grad_batches
        generator = generator_for(spec.seed, self.global_step, micro_batch, self.global_rank)
        latents = self.model.codec.encode(batch.video)
        low, high = spec.sigmas
        sigma = (low + (high - low) * torch.rand(len(latents), generator=generator)).to(latents.device)
        noise = torch.randn(latents[:, TARGET].shape, generator=generator).to(latents.device)
        taps = self.model.noisy_taps(latents, batch.cameras, sigma, noise, self.trained_layers)
        truth = draw_queries(batch, self.model.codec.grid, spec.num_queries, generator)
        total = latents.new_zeros(())
        if head is not None:
            prediction = self.model.track(taps, truth.queries, batch.cameras)
            track = self.track_loss(prediction, truth)
            logged = {"train/loss_track": track.total.mean(), "train/empty_track": track.empty.float().mean()}
            self.log_dict(logged, batch_size=len(sigma))
            total = total + track.total.mean()
        if self.correspondence_loss is not None and self.corr_layers:
            corr = self.correspondence_loss({layer: taps[layer] for layer in self.corr_layers}, truth)
            logged = {"train/loss_corr": corr.total.mean(), "train/empty_corr": corr.empty.float().mean()}
            self.log_dict(logged, batch_size=len(sigma))
            total = total + spec.weight_corr * corr.total.mean()
        self.log("train/loss", total, prog_bar=True, batch_size=len(sigma))
        return total

    def on_fit_start(self) -> None:
        """Check that there is something to train, on clips whose tracks are known.

        Raises:
            InputError: If there is neither a head nor L_corr.
        """
        if self.model.tracking_head is None and not self.corr_layers:
            raise InputError("tracking_head: got none, and no L_corr, want one of them to fit")

    def on_validation_epoch_start(self) -> None:
        """Start the split's scores anew."""
        self._scores("val").reset()

    def validation_step(self, batch: MultiViewClip, batch_idx: int) -> None:
        """Track a batch's query points and score them."""
        self._score(batch, "val")

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

    def test_step(self, batch: MultiViewClip, batch_idx: int) -> None:
        """Track a batch's query points and score them."""
        self._score(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Log the split's scores."""
        self._log_scores("test")

    def predict_step(self, batch: RealClip, batch_idx: int) -> PairTracks:
        """Track the query points of one pair of videos."""
        check_pair(batch.clip)
        found = self.tracker(batch.clip, batch.queries)
        return PairTracks(batch, found.tracks[0], found.visible[0], found.confidence[0])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimizer over the trainable parameters, and its warm-up counted in steps."""
        optimizer = self.make_optimizer([value for value in self.parameters() if value.requires_grad])
        spec = self.training_spec
        factor = warmup_cosine(spec.warmup_steps, spec.decay_steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that a checkpoint's weights are those of this model.

        Raises:
            InputError: Naming the first weights that are missing, unknown, or of another size.
        """
        if "state_dict" in checkpoint:  # ModelParallelStrategy has loaded it already, strictly
            check_weights(checkpoint["state_dict"], self.state_dict())

    def _score(self, batch: MultiViewClip, split: str) -> None:
        check_tracks(batch)
        names = batch.name if isinstance(batch.name, tuple) else (batch.name,)
        spec, grid = self.evaluation, self.model.codec.grid
        truth = draw_queries_by_name(batch, names, grid, spec.num_queries, spec.seed)
        found = self.tracker(batch, truth.queries)
        self._scores(split).add(found, truth)

    def _log_scores(self, split: str) -> None:
        level = level_name(self.spec.sigma)
        scores = self._scores(split).scores()
        self.log_dict({f"{split}/{key}@{level}": value.float() for key, value in scores.items()})

    def _scores(self, split: str) -> TrackScores:
        scores = self.scores[split]
        assert isinstance(scores, TrackScores)
        return scores


def check_tracks(batch: MultiViewClip | RealClip) -> None:
    """Check that the tracks of a batch are known.

    Raises:
        InputError: If they are not.
    """
    if isinstance(batch, RealClip) or batch.tracks is None or batch.visible is None:
        raise InputError("data: got clips without tracks, want some whose tracks are known")
