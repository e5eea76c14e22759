"""Real videos, whose target view nobody has seen: generate it, track in both views, score what needs no truth."""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio

from mvt4g.data.real_clips import RealClip
from mvt4g.geometry.sampling import bilinear_sample
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.video_tracks import at_video_frames
from mvt4g.matching.rows import argmax_matches, cycle_consistent
from mvt4g.metrics.novel_view import NAMES, ScoreTable, score_table
from mvt4g.metrics.per_video import PerVideoMetric
from mvt4g.metrics.video_names import VideoNames
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.systems.settings import EvaluationSpec
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Conditions, InputError, TapRequest


@dataclass(frozen=True)
class NovelView:
    """What was generated for one real video.

    Attributes:
        real: The video, cameras and queries it was made from.
        video: The target view, in [0, 1].
        tracks: Pixels (x, y) of every query in both views; None without a tracking head.
        visible: True where the head says it is seen.
        confidence: In [0, 1], how near the truth the head thinks a position is.
    """

    real: RealClip
    video: Float[Tensor, "t 3 h w"]
    tracks: Float[Tensor, "v t q 2"] | None
    visible: Bool[Tensor, "v t q"] | None
    confidence: Float[Tensor, "v t q"] | None = None


KEYS = {"codec": "psnr_codec", "cycle": "cycle_consistency@sampled", "in_mask": "track_in_mask"}
"""Key of each score, by the name of its column."""


class _RealVideoMetric(PerVideoMetric):
    """Keeps the scores of every video."""

    def __init__(self) -> None:
        super().__init__([*KEYS])

    def update(self, **values: Tensor) -> None:
        """Append one video."""
        self.add_videos(**{name: value.reshape(1) for name, value in values.items()})

    def compute(self) -> dict[str, Tensor]:
        """Return the means over videos, NaN where no video has the score."""
        return {name: self.mean(name) for name in self.columns}


class RealVideoScores(nn.Module):
    """Scores that need no true target view, one of each a video, and their means over the videos that have it.

    ``psnr_codec``: the codec's own ceiling on the reference, dB, a mean over frames. ``cycle_consistency@sampled``:
    share of query points whose best match in the other view matches back to within 1.5 cells. ``track_in_mask``: share
    of points queried on an annotated object that the head says it sees in the reference and that then lie on an
    annotated object.
    """

    def __init__(self) -> None:
        super().__init__()
        self.videos = _RealVideoMetric()
        self.names = VideoNames()

    @property
    def update_called(self) -> bool:
        """True once a video was added."""
        return self.names.update_called

    def add(self, name: str, scores: dict[str, Tensor]) -> None:
        """Add a video.

        Args:
            name: What tables call it.
            scores: By column, those that it has.
        """
        unknown = torch.full((), torch.nan, dtype=torch.float64, device=self.videos.device)
        self.names.update([name])
        self.videos.update(**{column: scores.get(column, unknown) for column in KEYS})

    def scores(self) -> dict[str, Tensor]:
        """Return the mean of every score that any video has."""
        if not self.update_called:
            return {}
        means = self.videos.compute()
        return {KEYS[column]: mean for column, mean in means.items() if not mean.isnan()}

    def table(self) -> ScoreTable:
        """Return the scores of every video of all ranks; all ranks must call it."""
        table = score_table({"": self.videos, NAMES: self.names})
        scores = {key: table.scores[f"/{column}"] for column, key in KEYS.items()}
        return ScoreTable(table.names, scores, table.notes)

    def reset(self) -> None:
        """Forget everything added."""
        self.videos.reset()
        self.names.reset()


class RealVideoPass:
    """Generates the target view of real videos and tracks their query points.

    Args:
        model: Only run, never changed.
        spec: Sampling steps and seed.
        layer: Whose attention is checked for cycle consistency; None = not at all.
    """

    def __init__(self, model: NovelViewModel, spec: EvaluationSpec, layer: int | None) -> None:
        self.model, self.spec, self.layer = model, spec, layer
        self.guidance = Guidance(spec.guidance, model.backbone.text_shape, model.backbone.image_dim)

    @torch.no_grad()
    def __call__(self, real: RealClip, scores: RealVideoScores | None = None) -> NovelView:
        """Generate for a batch of one.

        Args:
            real: With a batch axis of 1.
            scores: Takes what can be scored; None = nothing is.

        Raises:
            InputError: If the evaluation spec asks for no sampling steps.
        """
        if not self.spec.sample_steps:
            raise InputError("evaluation.sample_steps: got 0, want at least 1 to generate a video")
        clip, names = real.clip, (str(real.clip.name[0]),)
        latents = self.model.codec.encode(clip.video[:, REFERENCE])
        noise = clip_noise(names, self.spec.seed, latents.shape[1:], latents.device)
        text, guidance = self.guidance.arguments(names, latents.device)
        conditions = Conditions(text, self.guidance.image(clip.video[:, REFERENCE, 0]))
        taps = {} if self.layer is None else {-1: TapRequest([self.layer])}
        made = self.model.generate(latents, clip.cameras, noise, self.spec.build_sampler(), conditions, guidance, taps)
        video = self.model.codec.decode(made.latents)
        tracks, visible, confidence = None, None, None
        if self.model.tracking_head is not None:
            found = at_video_frames(self.model.track(made.taps, real.queries, clip.cameras), clip.video.shape[2])
            tracks, visible, confidence = found.tracks[0], found.visible[0], found.confidence[0]
        if scores is not None:
            codec, truth = self.model.codec.decode(latents).flatten(0, 1), clip.video[:, REFERENCE].flatten(0, 1)
            known = self._scores(made.taps, real, tracks, visible)
            known["codec"] = peak_signal_noise_ratio(codec, truth.float(), 1.0, dim=(1, 2, 3))
            scores.add(real.item or names[0], known)
        return NovelView(real, video[0], tracks, visible, confidence)

    def _scores(
        self, taps: dict[int, AttentionTap], real: RealClip, tracks: Tensor | None, visible: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the scores of matches and tracks, by column, that the video has."""
        found: dict[str, Tensor] = {}
        if self.layer is not None:
            matches = argmax_matches(taps[self.layer], real.queries)
            home = cycle_consistent(taps[self.layer], real.queries, matches)
            found["cycle"] = home[:, TARGET].double().mean()
        if tracks is None or visible is None or real.clip.dynamic is None:
            return found
        mask = rearrange(real.clip.dynamic[0, REFERENCE].float(), "t h w -> t 1 h w")
        inside = bilinear_sample(mask, tracks[REFERENCE])[..., 0] > 0.5
        frame = real.queries[0, :, 1].long()
        start = bilinear_sample(mask[frame], rearrange(real.queries[0, :, 2:], "q xy -> q 1 xy"))[:, 0, 0] > 0.5
        counted = visible[REFERENCE] & start
        if counted.any():
            found["in_mask"] = inside[counted].double().mean()
        return found
