"""The metrics of one split of a novel-view run, and the keys they are logged under."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from mvt4g.matching.pairs import KINDS
from mvt4g.metrics.attention_pck import AttentionPCK
from mvt4g.systems.settings import EvaluationSpec
from mvt4g.systems.track_scores import TrackScores

SAMPLED = "sampled"
"""Noise-level name of the last sampling step."""


def level_name(sigma: float) -> str:
    """Return how a noise level is written in a key."""
    return f"{sigma:.2f}"


class LevelScores(nn.Module):
    """Scores read at one noise level: diffusion loss, attention PCK of all layers, scores of the head's tracks."""

    def __init__(self, layers: Sequence[int], threshold_px: float) -> None:
        super().__init__()
        self.loss = MeanMetric()
        self.attention = AttentionPCK(tuple(layers))
        self.tracks = TrackScores(threshold_px)

    def scores(self, level: str, headline_layer: int | None) -> dict[str, Tensor]:
        """Return every score that anything was added to, keyed ``<metric>@<level>``."""
        found: dict[str, Tensor] = {}
        if self.loss.update_called:
            found["loss_diff"] = self.loss.compute()
        if self.attention.update_called:
            attention = self.attention.compute()
            found |= {f"attention_pck/{key}": value for key, value in attention.items()}
            if headline_layer in self.attention.layers:
                for kind in KINDS:
                    found[f"attention_pck/{kind}"] = attention[f"layer{headline_layer}/{kind}"]
        found |= self.tracks.scores()
        return {f"{key}@{level}": value for key, value in found.items()}


class NovelViewScores(nn.Module):
    """All scores of one split; every state is a sum, so batches and ranks add up."""

    def __init__(self, spec: EvaluationSpec, layers: Sequence[int], headline_layer: int | None) -> None:
        super().__init__()
        self.headline_layer = headline_layer
        names = [*map(level_name, spec.noise_levels), SAMPLED]
        self._names = {name: f"at_{name.replace('.', '_')}" for name in names}
        self.levels = nn.ModuleDict({key: LevelScores(layers, spec.pck_threshold_px) for key in self._names.values()})
        self.videos = spec.videos.build()
        self.psnr_codec = MeanMetric()  # torchmetrics' own has lists, whose type a rank without clips does not know
        self.warp_error = MeanMetric()
        self.warp_error_dyn = MeanMetric()
        self.warp_error_truth = MeanMetric()

    def level(self, name: str) -> LevelScores:
        """Return the scores of one noise level, named as by ``level_name`` or ``SAMPLED``."""
        scores = self.levels[self._names[name]]
        assert isinstance(scores, LevelScores)
        return scores

    def add_codec(self, codec_truth: Float[Tensor, "b t c h w"], truth: Float[Tensor, "b t c h w"]) -> None:
        """Add the codec's own reconstruction of the truth, in [0, 1]: what no generated video can beat."""
        error = (codec_truth.float() - truth.float()).square().mean(dim=(2, 3, 4))
        self.psnr_codec.update(-10 * error.log10())

    def scores(self) -> dict[str, Tensor]:
        """Return every score that anything was added to; a share over nothing is NaN."""
        found: dict[str, Tensor] = {}
        for name in self._names:
            found |= self.level(name).scores(name, self.headline_layer)
        losses = [value for key, value in found.items() if key.startswith("loss_diff@")]
        if losses:
            found["loss"] = torch.stack(losses).mean()
        named: dict[str, Metric] = {
            "psnr_codec": self.psnr_codec,
            "warp_error": self.warp_error,
            "warp_error_dyn": self.warp_error_dyn,
            "warp_error_truth": self.warp_error_truth,
        }
        found |= {key: metric.compute() for key, metric in named.items() if metric.update_called}
        return found | (self.videos.compute() if self.psnr_codec.update_called else {})

    def reset(self) -> None:
        """Forget everything added."""
        for module in self.modules():
            if isinstance(module, Metric | MetricCollection):
                module.reset()


def masked_error(
    video: Float[Tensor, "b t c h w"], truth: Float[Tensor, "b t c h w"], mask: Bool[Tensor, "b t h w"]
) -> Float[Tensor, " n"]:
    """Return the mean absolute error over each clip's masked pixels, for the clips that have any."""
    error = (video - truth).abs().mean(dim=2)
    total = mask.flatten(1).sum(dim=1)
    mean = (error * mask).flatten(1).sum(dim=1) / total.clamp(min=1)
    return mean[total > 0]
