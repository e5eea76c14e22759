"""Multi-view tracking in two given videos, without generating any: train, score and run the tracker on its own."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.evaluation.level_scores import level_name
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.inference.tracker import Tracker, TrackerSpec, check_pair
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.losses.objective import MakeObjective
from mvt4g.metrics.collection import Scores, ScoreTable
from mvt4g.metrics.presets import TRACKS, build_metrics
from mvt4g.metrics.tracks.by_pair import view_names
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.codec import Codec
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.systems.bad_items import going_on, scored_before
from mvt4g.systems.settings import TrackerTraining
from mvt4g.systems.shares import check_shares
from mvt4g.systems.trained import TrainedSystem, check_tracks, clip_names
from mvt4g.types import TARGET, InputError, LatentClip, MultiViewClip, TapRequest, TapShape


@dataclass(frozen=True)
class PairTracks:
    """The tracks in one pair of videos.

    Attributes:
        real: The videos, cameras and queries.
        tracks: Of every query in both views.
    """

    real: RealClip
    tracks: VideoTracks


class MultiViewTracking(TrainedSystem):
    """Tracks points through two given videos by what one pass of a novel-view DiT knows; no video is generated.

    Configurations and checkpoints of ``NovelViewSystem`` serve here: what both take has one name. ``fit`` trains the
    head, and the DiT with it up to the last layer that is looked at unless it is frozen, by its objectives at low
    noise, without L_diff.

    Args:
        backbone: The camera-controlled video DiT.
        codec: Turns video into the latents that the backbone works on; never trained.
        flow: How noise is added, and what the backbone is told of it: as it was trained.
        tracking_head: Builds the head from the shape of the backbone's taps; None = zero-shot methods alone.
        objectives: What ``fit`` trains by; layers default to the head's, or without a head to the tracker's.
        tracker: How videos are tracked, and how that is measured.
        tracker_training: Draws of a training step, and what it trains.

    Raises:
        InputError: If codec and backbone disagree on the latents, or a layer does not exist.
    """

    training_spec: TrackerTraining

    def __init__(
        self,
        backbone: NovelViewBackbone,
        codec: Codec,
        flow: FlowMatching = FlowMatching(),
        tracking_head: Callable[[TapShape], TrackingHead] | None = None,
        objectives: Sequence[MakeObjective] = (),
        tracker: TrackerSpec = TrackerSpec(),
        tracker_training: TrackerTraining = TrackerTraining(),
    ) -> None:
        super().__init__(backbone, codec, flow, tracking_head, tracker_training)
        self.tracker = Tracker(self.model, tracker)
        self.supervise(objectives, self.tracker.layer)
        self.spec = tracker
        self.evaluation = tracker.evaluation
        self.scores = nn.ModuleDict()
        for split in ("val", "test"):
            members, _ = build_metrics(TRACKS, threshold_px=self.evaluation.pck_threshold_px)
            self.scores[split] = Scores(members, row="view")
        self._freeze_unused(backbone)

    def _freeze_unused(self, backbone: NovelViewBackbone) -> None:
        """Freeze what no objective reaches: nothing runs beyond the last layer that one looks at."""
        rotated: dict[int, bool] = {}
        for objective in self.objectives:
            if objective.weight:
                for layer in objective.layers:
                    rotated[layer] = rotated.get(layer, False) or objective.rotated
        if rotated:
            last = max(rotated)
            backbone.freeze_beyond(last, rotated[last])

    def training_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> Float[Tensor, ""]:
        """Return the sum of the objectives; every draw follows (seed, global step, micro-batch, rank)."""
        check_tracks(batch)
        given = self.step_input(batch, batch_idx)
        latents = given.latents
        low, high = self.training_spec.sigmas
        shares = torch.rand(len(latents), generator=given.generator)
        sigma = (low + (high - low) * shares).to(latents.device)
        noise = torch.randn(latents[:, TARGET].shape, generator=given.generator).to(latents.device)
        asked = TapRequest(self.supervised_layers(), stop_after=True)
        passed = self.model.noisy_pass(latents, batch.cameras, sigma, noise, given.conditions, asked)
        total = self.supervision(passed.taps, batch, sigma, given.generator)
        self.log("train/loss", total, prog_bar=True, batch_size=len(sigma))
        return total

    def on_fit_start(self) -> None:
        """Check that there is something to train by at every step, and say what trains, where not all does.

        Raises:
            InputError: If no objective counts, or none does at the last step or at a noise level that is drawn.
        """
        if not any(objective.weight for objective in self.objectives):
            raise InputError("objectives: got none that counts, want one to fit by, such as a TrackObjective")
        steps = -1 if self._trainer is None else self._trainer.max_steps
        last = steps - 1 if steps > 0 else sys.maxsize  # -1: the fit has no last step
        if not any(objective.weight_at(last) for objective in self.objectives):
            raise InputError("objectives: got gates by step that close before the fit ends, want one open to the end")
        low, high = self.training_spec.sigmas
        for objective in self.objectives:
            gate = objective.gate
            if objective.weight and (gate.high < low or gate.low > high):
                told = f"objectives.{objective.name}.gate: got noise levels {gate.low} to {gate.high}"
                raise InputError(f"{told}, want some of tracker_training.sigmas, {low} to {high}")
        super().on_fit_start()

    def on_validation_epoch_start(self) -> None:
        """Start the split's scores anew."""
        self._scores("val").reset()

    @scored_before
    def validation_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> None:
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

    @going_on
    def test_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> None:
        """Track a batch's query points and score them."""
        self._score(batch, "test")

    def on_test_epoch_end(self) -> None:
        """Log the split's scores."""
        self._log_scores("test")

    def score_table(self) -> tuple[ScoreTable, dict[str, str]]:
        """Return the scores of either view of every clip of a test; all ranks must call it."""
        return self._scores("test").table(), self._scores("test").remarks()

    @going_on
    def predict_step(self, batch: RealClip, batch_idx: int) -> PairTracks:
        """Track the query points of one pair of videos."""
        check_pair(batch.clip)
        found = self.tracker(batch.clip, batch.queries)
        return PairTracks(batch, found[0])

    def _score(self, batch: MultiViewClip | LatentClip, split: str) -> None:
        check_tracks(batch)
        spec = self.evaluation
        names = clip_names(batch)
        truth = draw_queries_by_name(batch, names, self.model.codec.grid, spec.num_queries, spec.seed)
        found = self.tracker(batch, truth.queries)
        given = {
            "tracks": found.tracks,
            "visible": found.visible,
            "confidence": found.confidence,
            "truth": truth,
        }
        self._scores(split).take(given, view_names(names, len(truth.queries)))

    def _log_scores(self, split: str) -> None:
        self.log_scores(split, self._scores(split).compute(), f"@{level_name(self.spec.sigma)}")

    def _scores(self, split: str) -> Scores:
        scores = self.scores[split]
        assert isinstance(scores, Scores)
        return scores
