"""Joint training of a novel-view video DiT, a tracking head on its attention, and losses on the attention itself."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.data.real_clips import RealClip
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.evaluation.evaluator import BatchScorer, EvaluationOutput
from mvt4g.evaluation.level_scores import NovelViewScores
from mvt4g.evaluation.real_video import NovelView, RealVideoPass, real_video_metrics
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference.encoding import Encoded, depths_of, encode_shown
from mvt4g.inference.lifted_pairs import show_pairs
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.losses.diffusion import DiffusionLoss
from mvt4g.losses.objective import MakeObjective
from mvt4g.metrics.collection import NovelViewMetrics, ScoreTable
from mvt4g.metrics.presets import GENERATION, WITHOUT_TRUTH
from mvt4g.models.backbone import NovelViewBackbone
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.lifted_view import LiftedView
from mvt4g.models.tracking.head import TrackingHead
from mvt4g.systems.bad_items import going_on, scored_before
from mvt4g.systems.objective_logs import source_logs
from mvt4g.systems.settings import TrainingSpec
from mvt4g.systems.shares import check_shares
from mvt4g.systems.trained import TrainedSystem, clip_names
from mvt4g.types import TARGET, InputError, LatentClip, MultiViewClip, TapRequest, TapShape


class NovelViewSystem(TrainedSystem):
    """L = L_diff + the weighed sum of its objectives, over clips of a reference and a target view.

    The paper's objectives are L_track and L_corr: ``losses.track.TrackObjective`` and
    ``losses.correspondence.CorrespondenceObjective``.

    Args:
        backbone: The camera-controlled video DiT.
        codec: Turns video into the latents that the backbone works on; never trained.
        flow: The diffusion process.
        tracking_head: Builds the head from the shape of the backbone's taps; None = no head.
        objectives: Losses on taps, each with its weight, its layers and its gates.
        training: Draws of a training step, and what it trains.
        evaluation: What validation and test measure.

    Raises:
        InputError: If codec and backbone disagree on the latents, or a layer does not exist.

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 17-20.
    """

    training_spec: TrainingSpec

    def __init__(
        self,
        backbone: NovelViewBackbone,
        codec: Codec,
        flow: FlowMatching = FlowMatching(),
        tracking_head: Callable[[TapShape], TrackingHead] | None = None,
        objectives: Sequence[MakeObjective] = (),
        training: TrainingSpec = TrainingSpec(),
        evaluation: EvaluationSpec = EvaluationSpec(),
    ) -> None:
        super().__init__(backbone, codec, flow, tracking_head, training)
        self.supervise(objectives)
        self._check_pairs()
        self.training_depth = ReferenceDepth(training.lifted.depth)
        self.diffusion_loss = DiffusionLoss()
        self.evaluation = evaluation
        headline = self._headline_layer()
        layers = self._scored_layers(headline)
        self.score = BatchScorer(self.model, evaluation, layers, headline)
        self.real_pass = RealVideoPass(self.model, evaluation, headline)
        self.real_metrics = real_video_metrics()
        self.scores = nn.ModuleDict()
        # A fit validates often: what a search along lines costs is for the test alone.
        for split, beside in (("val", GENERATION), ("test", (*GENERATION, *WITHOUT_TRUTH))):
            self.scores[split] = NovelViewScores(evaluation, layers, headline, beside)

    @property
    def video_metrics(self) -> NovelViewMetrics:
        """The metrics of the videos generated in test."""
        return self._scores("test").videos

    def score_table(self) -> tuple[ScoreTable, dict[str, str]]:
        """Return the scores of every video of a test, and what is to be said of them; all ranks must call it."""
        metrics = self.real_metrics if self.real_metrics.update_called else self.video_metrics
        return metrics.table(), metrics.remarks()

    def training_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> Float[Tensor, ""]:
        """Return the joint loss; every draw follows (seed, global step, micro-batch, rank)."""
        given = self.step_input(batch, batch_idx)
        batch = given.clip
        latents = given.latents
        flow = self.model.flow
        asked = TapRequest(self.supervised_layers())
        # Drawn on the CPU, so that every device trains on the same numbers.
        sigma = flow.draw_sigmas(len(latents), given.generator).to(latents.device)
        noise = torch.randn(latents[:, TARGET].shape, generator=given.generator).to(latents.device)
        passed = self.model.noisy_pass(latents, batch.cameras, sigma, noise, given.conditions, asked)
        per_clip = self.diffusion_loss(passed.velocity, passed.target, flow.weight(sigma))
        total = per_clip.mean()
        self.log("train/loss_diff", total, batch_size=len(sigma))
        self.log_means(source_logs("diff", per_clip, clip_names(batch)))
        if asked.layers:
            total = total + self.supervision(passed.taps, batch, passed.sigma, given.generator)
        self.log("train/loss", total, prog_bar=True, batch_size=len(sigma))
        return total

    def show(
        self, batch: MultiViewClip | LatentClip, generator: torch.Generator
    ) -> tuple[MultiViewClip | LatentClip, Encoded]:
        """Return the pairs that a training step is of: the batch itself, or what is made of its references alone.

        Raises:
            InputError: If pairs are to be made of clips that are latents or have no depth.
        """
        spec = self.training_spec.lifted
        view = self.model.lifted_view
        if not spec.from_one_video and view is None:
            return super().show(batch, generator)
        if isinstance(batch, LatentClip):
            raise InputError("data: got latents, which have no depth, want clips with it for training.lifted")
        # A model that is shown no rendering learns from such pairs all the same, by its cameras.
        seed = int(torch.randint(2**31, (), generator=generator))
        depth = depths_of(batch, self.training_depth, seed)
        lifting = (view or LiftedView()).lifting
        clip, rendering = show_pairs(batch, depth, spec.pairs, spec.moves, lifting, generator)
        return clip, encode_shown(self.model, clip, rendering)

    def on_validation_epoch_start(self) -> None:
        """Start the split's scores anew."""
        self._scores("val").reset()

    @scored_before
    def validation_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> EvaluationOutput:
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
        self.real_metrics.reset()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch to the device; a video that is generated in windows stays, and goes there window by window."""
        if isinstance(batch, RealClip) and self.real_pass.in_windows(batch):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    @going_on
    def test_step(self, batch: MultiViewClip | LatentClip | RealClip, batch_idx: int) -> EvaluationOutput | NovelView:
        """Score one batch; of a real video, what needs no true target view."""
        if isinstance(batch, RealClip):
            return self.real_pass(batch, self.real_metrics)
        return self.score(batch, self._scores("test"), sample=True)

    def on_test_epoch_end(self) -> None:
        """Log the split's scores."""
        self._log_scores("test")
        if self.real_metrics.update_called:
            self.log_scores("test", self.real_metrics.compute())

    @going_on
    def predict_step(self, batch: RealClip, batch_idx: int) -> NovelView:
        """Generate the target view of one real video and track its query points in both."""
        return self.real_pass(batch)

    def _check_pairs(self) -> None:
        supervised = [objective.name for objective in self.objectives if objective.weight]
        pairs = self.training_spec.lifted.pairs
        if supervised and "views" not in pairs:
            want = "views among them: pairs of one video have no true tracks"
            raise InputError(f"training.lifted.pairs: got {list(pairs)} with objectives {supervised}, want {want}")

    def _headline_layer(self) -> int | None:
        """Return the layer whose attention is shown first: the head's, or else the first that an objective is of."""
        if self.model.tracking_head is not None:
            return self.model.tracking_head.layer
        for objective in self.objectives:
            if objective.layers:
                return objective.layers[0]
        return None

    def _scored_layers(self, headline: int | None) -> tuple[int, ...]:
        chosen = self.evaluation.attention_layers
        if chosen is None:
            return tuple(range(self.model.backbone.num_layers))
        self.model.check_layers("evaluation.attention_layers", chosen)
        scored = set(chosen)
        if headline is not None:
            scored.add(headline)
        return tuple(sorted(scored))

    def _log_scores(self, split: str) -> None:
        self.log_scores(split, self._scores(split).scores())

    def _scores(self, split: str) -> NovelViewScores:
        scores = self.scores[split]
        assert isinstance(scores, NovelViewScores)
        return scores
