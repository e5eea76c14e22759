"""Where correspondence lives in a model: every layer's attention at every noise level, against true tracks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from lightning.pytorch import LightningModule
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler, Sampler
from mvt4g.evaluation.match_pictures import ShownMatches
from mvt4g.inference.encoding import decode_clip, encode_clip
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.matching.reading import read_attention
from mvt4g.matching.tokens import cell_of_pixels
from mvt4g.metrics.attention.attention_correspondence import AttentionCorrespondence
from mvt4g.metrics.functional.attention_correspondence import PANELS, CrossFrames, scored_pairs
from mvt4g.metrics.video_names import VideoNames
from mvt4g.models.backbone import NovelViewBackbone, check_channels, check_members
from mvt4g.models.codec import Codec
from mvt4g.models.conditioning.lifted_view import check_lifted_view
from mvt4g.models.layers.lora import merge_lora
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.ranges import Depth, Natural, Points, Positive, PositiveShare, Seed, check_ranges
from mvt4g.systems.bad_items import going_on
from mvt4g.systems.loading import check_weights
from mvt4g.systems.shares import check_shares
from mvt4g.systems.trained import clip_names
from mvt4g.types import REFERENCE, AttentionTap, InputError, LatentClip, MultiViewClip, PointTruth, TapRequest

SHOWN_PANELS = ("ref", "tgt", "cross")
"""Panels that ``metrics.json`` tells of; the maps on disk have the two directions of ``cross`` too."""
SHOWN_SCORES = (
    "matching_accuracy",
    "accuracy_of_all",
    "attention_score",
    "confidence",
    "harmonic_mean",
    "reliable_share",
)


@dataclass(frozen=True)
class ProbeSpec:
    """What a probe reads, and when.

    Attributes:
        layers: 0-based; None = all.
        trajectory: Where latents come from: "noised" ground truth, or "sampled" by the model itself, step by step and
            without guidance.
        noise_levels: Sigmas of "noised", highest first as in sampling.
        sample_steps: Steps of "sampled".
        sampler: Of "sampled", built with so many steps.
        steps: Sampling steps that are read, from 0; None = all.
        num_queries: Query points a clip, from either view.
        threshold_px: Of matching accuracy; None = half a token, DiffTrack's 8 px on Wan's 16.
        cross_frames: Frames of the other view that count: the query's own, or all.
        cycle_cells: How near home a match must come back to be reliable, in tokens.
        shown_clips: Clips whose matches are shown in pictures.
        shown_points: Query points shown of each.
        seed: Of noise and queries, together with the clip's name.
    """

    layers: tuple[Natural, ...] | None = None
    trajectory: Literal["noised", "sampled"] = "noised"
    noise_levels: tuple[PositiveShare, ...] = (0.95, 0.8, 0.65, 0.5, 0.35, 0.2, 0.05)
    sample_steps: Depth = 20
    sampler: Callable[[int], Sampler] = EulerSampler
    steps: tuple[Natural, ...] | None = None
    num_queries: Points = 64
    threshold_px: Positive | None = None
    cross_frames: CrossFrames = "same"
    cycle_cells: Positive = 1.5
    shown_clips: Natural = 4
    shown_points: Natural = 3
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range, or something is named twice.
        """
        check_ranges(self, "probe")
        for name in ("layers", "noise_levels", "steps"):
            values = getattr(self, name)
            if values is not None and (not values or len(set(values)) < len(values)):
                raise InputError(f"probe.{name}: got {values}, want at least one, and none twice")
        if self.steps is not None and max(self.steps) >= self.sample_steps:
            raise InputError(f"probe.steps: got {self.steps}, want 0 to {self.sample_steps - 1}")

    def sigmas(self, flow: FlowMatching) -> tuple[float, ...]:
        """Return the noise levels that are read, in order."""
        if self.trajectory == "noised":
            return self.noise_levels
        levels = self.sampler(self.sample_steps).sigmas(flow)
        return tuple(levels[list(self.read_steps())].tolist())

    def read_steps(self) -> tuple[int, ...]:
        """Return the sampling steps that are read."""
        return tuple(range(self.sample_steps)) if self.steps is None else self.steps

    def settings(self) -> dict[str, str]:
        """Return what two probes must share if their scores are to be compared, but for layers and sigmas."""
        named = ["trajectory", "num_queries", "cross_frames", "cycle_cells", "seed"]
        if self.trajectory == "sampled":
            named.append("sample_steps")
        settings = {name: str(getattr(self, name)) for name in named}
        if self.trajectory == "sampled":
            kind = type(self.sampler(self.sample_steps)).__name__
            if kind != "EulerSampler":  # probes of before there were others say nothing of it
                settings["sampler"] = kind
        return settings


class CorrespondenceProbe(LightningModule):
    """Scores the attention of every layer, and of every head, against the true tracks of its test clips.

    Its model is that of a ``NovelViewSystem`` without what trains it. Maps (layer x noise level) come from
    ``AttentionCorrespondence``; ``maps`` are means over heads, ``head_maps`` have a row for every head of every layer.
    A tap is read as soon as its layer has run, and forgotten.

    Args:
        backbone: The video DiT that is looked into.
        codec: Turns video into its latents.
        flow: The diffusion process.
        probe: What is read, and when.

    Attributes:
        layers: Those that are read.
        sigmas: Noise levels at which they are.
        shown: Query points of the first batch, read at the level nearest to 0.5; None before it.

    Raises:
        InputError: If codec and backbone disagree on the latents, or a layer does not exist.

    Source: the analysis of MVTrack4Gen (arXiv 2606.26087), after DiffTrack (arXiv 2506.17220).
    """

    def __init__(
        self,
        backbone: NovelViewBackbone,
        codec: Codec,
        flow: FlowMatching = FlowMatching(),
        probe: ProbeSpec = ProbeSpec(),
    ) -> None:
        super().__init__()
        check_members(backbone)
        check_channels(backbone)
        self.model = NovelViewModel(backbone, codec, flow)
        self.spec = probe
        self.layers = tuple(range(backbone.num_layers)) if probe.layers is None else probe.layers
        self.model.check_layers("probe.layers", self.layers)
        self.sigmas = probe.sigmas(flow)
        self.num_heads = backbone.tap_shape.num_heads
        self.shown: ShownMatches | None = None
        self.shown_step = min(range(len(self.sigmas)), key=self._distance_from_half)
        threshold = probe.threshold_px
        if threshold is None:
            threshold = backbone.tap_shape.stride / 2
        build = partial(AttentionCorrespondence, threshold_px=threshold, cross_frames=probe.cross_frames)
        every_head = tuple(range(len(self.layers) * self.num_heads))
        self.scores = build(self.layers, len(self.sigmas))
        self.head_scores = build(every_head, len(self.sigmas))
        self.same_place = build((0,), 1)
        self.clips = VideoNames()

    def on_test_epoch_start(self) -> None:
        """Start anew.

        Raises:
            InputError: As ``check_shares``.
        """
        check_shares(self.trainer.test_dataloaders)
        self.shown = None
        for metric in (self.scores, self.head_scores, self.same_place, self.clips):
            metric.reset()

    @going_on
    @torch.no_grad()
    def test_step(self, batch: MultiViewClip | LatentClip, batch_idx: int) -> None:
        """Read the attention on one batch.

        Raises:
            InputError: If the clips have no tracks.
        """
        latents, conditions = encode_clip(self.model, batch)
        names = clip_names(batch)
        if batch.tracks is None or batch.visible is None:
            raise InputError(f"{names[0]}: got a clip without tracks, want true ones or pseudo-tracks to probe against")
        self.clips.update(names)
        noise = clip_noise(names, self.spec.seed, latents.shape[2:], latents.device)
        truth = draw_queries_by_name(batch, names, self.model.codec.grid, self.spec.num_queries, self.spec.seed)
        self._score_same_place(truth)
        shown = None
        if batch_idx == 0 and self.spec.shown_clips and self.spec.shown_points:
            first = decode_clip(self.model.codec, batch, self.spec.shown_clips)
            shown = ShownMatches.choose(first, truth, self.spec.shown_clips, self.spec.shown_points)
            self.shown = shown
        requests = []
        for step in range(len(self.sigmas)):
            reader = partial(self._read, step, truth, shown)
            requests.append(TapRequest(self.layers, reader))
        if self.spec.trajectory == "noised":
            for sigma, asked in zip(self.sigmas, requests, strict=True):
                level = torch.full((len(latents),), sigma, device=latents.device)
                self.model.noisy_pass(latents, batch.cameras, level, noise, conditions, asked)
            return
        taps = dict(zip(self.spec.read_steps(), requests, strict=True))
        sampler = self.spec.sampler(self.spec.sample_steps)
        # The model samples step by step, so that each level is read on what it has made so far.
        reference = latents[:, REFERENCE]
        generation = self.model.generate(reference, batch.cameras, noise, sampler, conditions, taps=taps)
        if shown is not None:
            chosen = generation.latents[: self.spec.shown_clips]
            self.shown = shown.with_target(self.model.codec.decode(chosen))

    def take_notes(self) -> dict[str, Any]:
        """Return the points that pictures show, and forget them: see ``metric_shares.LeavesNotes``."""
        shown = self.shown
        self.shown = None
        return {} if shown is None else vars(shown)

    def add_notes(self, notes: dict[str, Any]) -> None:
        """Take the points that pictures show, where the batches have any."""
        if notes:
            self.shown = ShownMatches(**notes)

    def on_test_epoch_end(self) -> None:
        """Log every layer's scores, means over noise levels, and the best layers.

        Raises:
            InputError: If there was no query point to score.
        """
        accuracies = torch.stack(list(self.same_place_accuracy().values()))
        if bool(accuracies.isnan().all()):
            raise InputError("data: got no clip with a query point that is seen in another frame, want some")
        self.log_dict({f"test/probe/{key}": value.float() for key, value in self.summary().items()})

    def maps(self) -> dict[str, Float[Tensor, "layers levels"]]:
        """Return the maps (layer x noise level), under ``<panel>/<score>``."""
        return self._reshape(self.scores, (len(self.layers), len(self.sigmas)))

    def head_maps(self) -> dict[str, Float[Tensor, "layers heads levels"]]:
        """Return the maps (layer x head x noise level), under ``<panel>/<score>``."""
        return self._reshape(self.head_scores, (len(self.layers), self.num_heads, len(self.sigmas)))

    def same_place_accuracy(self) -> dict[str, Float[Tensor, ""]]:
        """Return, by panel, the accuracy of matching every query to its own place, which knows no correspondence."""
        scores = self.same_place.compute()
        return {panel: scores[f"{panel}/accuracy_of_all"].reshape(()) for panel in PANELS}

    def summary(self) -> dict[str, Float[Tensor, ""]]:
        """Return the layers' scores as means over noise levels, the best layers, and the accuracy of the same place."""
        scores: dict[str, Tensor] = {}
        maps = self.maps()
        for panel in SHOWN_PANELS:
            for score in SHOWN_SCORES:
                means = maps[f"{panel}/{score}"].nanmean(dim=1)
                for layer, mean in zip(self.layers, means, strict=True):
                    scores[f"layer{layer}/{panel}/{score}"] = mean
            scores[f"same_place/{panel}/matching_accuracy"] = self.same_place_accuracy()[panel]
            best = math.nan
            if not maps[f"{panel}/harmonic_mean"].isnan().all():  # one entry alone has nothing to stand out of
                best = float(self.best_layers(panel)[0])
            scores[f"best_layer/{panel}"] = torch.tensor(best)
        return scores

    def best_layers(self, panel: str) -> list[int]:
        """Return the layers from the best down, by the mean over noise levels of a panel's harmonic mean; NaN last."""
        means = self.maps()[f"{panel}/harmonic_mean"].nanmean(dim=1).nan_to_num(nan=-1.0)
        order = means.argsort(descending=True, stable=True)
        return [self.layers[index] for index in order.tolist()]

    def settings(self) -> dict[str, str]:
        """Return what the scores depend on beside the model, the clips, and the layers and sigmas of the maps."""
        return self.spec.settings() | {"threshold_px": f"{self.scores.threshold_px:g}"}

    def clip_names(self) -> tuple[str, ...]:
        """Return the names of the clips that were read, by all ranks, sorted; all ranks must call it."""
        with self.clips.sync_context(dist_sync_fn=self.clips.dist_sync_fn):
            return tuple(sorted(self.clips.names()))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what the probe has a place for: no tracking head, adapters merged, and the average where there is one.

        Raises:
            InputError: As ``check_lifted_view`` and ``check_weights``.
        """
        check_lifted_view(checkpoint, self.model.lifted_view, "--ckpt_path")
        if "state_dict" not in checkpoint:
            return  # ModelParallelStrategy has loaded it already, strictly
        average = checkpoint.get("callbacks", {}).pop("EMA", {}).get("average", {})
        state = merge_lora(checkpoint["state_dict"] | average)
        for name in list(state):
            if name.startswith("model.tracking_head."):
                del state[name]
        checkpoint["state_dict"] = state
        check_weights(state, self.state_dict())

    def _distance_from_half(self, step: int) -> float:
        return abs(self.sigmas[step] - 0.5)

    @staticmethod
    def _reshape(metric: AttentionCorrespondence, shape: tuple[int, ...]) -> dict[str, Float[Tensor, "..."]]:
        """Compute a metric; torchmetrics makes scalars of maps of one entry, so that their shape is given back."""
        return {key: value.reshape(shape) for key, value in metric.compute().items()}

    def _score_same_place(self, truth: PointTruth) -> None:
        """Score the answer that every point stays at its query's own place, with attention of no weight."""
        visible = truth.latent_visible()
        stride = self.model.backbone.tap_shape.stride
        own = cell_of_pixels(truth.queries[..., 2:], stride)
        cells = own[:, None, None].expand(*visible.shape, 2)
        nothing = torch.zeros(visible.shape, device=cells.device)
        self.same_place.update(0, 0, cells, nothing, nothing, truth, stride)

    def _wanted(self, truth: PointTruth) -> Bool[Tensor, "b v f q"]:
        """Return where a match is counted."""
        pairs = scored_pairs(truth, truth.tracks.shape[1], self.spec.cross_frames)
        return (pairs >= 0) & truth.latent_visible()

    def _read(self, step: int, truth: PointTruth, shown: ShownMatches | None, tap: AttentionTap) -> None:
        if shown is not None and step == self.shown_step:
            shown.read(tap)
        # A row of the heads' maps is one head of one layer, layer by layer.
        first = self.layers.index(tap.layer) * self.num_heads
        rows = tuple(range(first, first + self.num_heads))
        wanted = self._wanted(truth)
        mean, heads = read_attention(tap, truth.queries, self.spec.cycle_cells, wanted=wanted)
        for metric, row, read in ((self.scores, tap.layer, mean), (self.head_scores, rows, heads)):
            metric.update(row, step, read.cells, read.mass, read.peak, truth, tap.stride, read.home)
