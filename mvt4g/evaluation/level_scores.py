"""The metrics of one split of a novel-view run, and the keys they are logged under."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.metrics.collection import NovelViewMetrics, Scores
from mvt4g.metrics.presets import ALL_LEVELS, GENERATION, NOISE_LEVEL, build_metrics
from mvt4g.types import GeneratedVideos

SAMPLED = "sampled"
"""Noise-level name of the last sampling step."""


def level_name(sigma: float) -> str:
    """Return how a noise level is written in a key."""
    return f"{sigma:.2f}"


class NovelViewScores(nn.Module):
    """All scores of one split: those read at each noise level, and those of generated videos.

    Args:
        spec: The noise levels, and how generated videos are scored.
        layers: Those whose attention is scored.
        headline_layer: The one that is named first.
        beside: Metrics of generated videos beside those of the preset.
    """

    def __init__(
        self,
        spec: EvaluationSpec,
        layers: Sequence[int],
        headline_layer: int | None,
        beside: Sequence[str] = GENERATION,
    ) -> None:
        super().__init__()
        given: dict[str, Any] = {"layers": layers, "headline_layer": headline_layer}
        given["threshold_px"] = spec.pck_threshold_px
        names = [*map(level_name, spec.noise_levels), SAMPLED]
        # A module's name has no dot.
        self._names = {name: f"at_{name.replace('.', '_')}" for name in names}
        self.levels = nn.ModuleDict()
        for key in self._names.values():
            self.levels[key] = Scores(build_metrics(NOISE_LEVEL, **given)[0])
        self.all_levels = Scores(build_metrics(ALL_LEVELS)[0])
        self.videos: NovelViewMetrics = spec.videos.build(beside)

    @property
    def score_tracks_of_videos(self) -> bool:
        """True where tracks through generated videos are scored, which a second pass of the head is for."""
        return "geometry" in self.videos.members()

    def read(self, level: str, **known: Any) -> None:
        """Take what is known of a batch, or of a part of it, at one noise level.

        Args:
            level: As by ``level_name``, or ``SAMPLED``.
            known: By the names that metrics ask for it by.
        """
        self._level(level).take(known)
        if level != SAMPLED:
            self.all_levels.take(known)

    def generated(self, videos: GeneratedVideos) -> None:
        """Take a batch of generated videos."""
        self.videos.update(videos)

    def scores(self) -> dict[str, Shaped[Tensor, ""]]:
        """Return every score that anything was added to, keyed ``<metric>@<level>`` where it is of a noise level."""
        scores = self.all_levels.compute()
        for name in self._names:
            for key, value in self._level(name).compute().items():
                scores[f"{key}@{name}"] = value
        if self.videos.update_called:
            scores |= self.videos.compute()
        return scores

    def reset(self) -> None:
        """Forget everything added."""
        for scores in (*map(self._level, self._names), self.all_levels, self.videos):
            scores.reset()

    def _level(self, name: str) -> Scores:
        scores = self.levels[self._names[name]]
        assert isinstance(scores, Scores)
        return scores
