"""Real videos, whose target view nobody has seen: generate it, track in both views, score what needs no truth."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.view_pass import generate_view
from mvt4g.matching.rows import argmax_matches, cycle_consistent
from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.presets import REAL_VIDEOS, build_metrics
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import REFERENCE, AttentionTap, GeneratedVideos, ViewRecord


@dataclass(frozen=True)
class NovelView:
    """What was generated for one real video.

    Attributes:
        real: The video, cameras and queries it was made from.
        video: The target view, in [0, 1].
        tracks: The head's, of every query in both views; None without a tracking head.
    """

    real: RealClip
    video: Float[Tensor, "t 3 h w"]
    tracks: VideoTracks | None


def real_video_metrics() -> NovelViewMetrics:
    """Return the metrics that need no true target view, one value of each a video.

    ``psnr_codec`` is the codec's own ceiling on the reference; a score that no video has is left out of the means.
    """
    members, absent = build_metrics(REAL_VIDEOS)
    return NovelViewMetrics(members, absent, only_known=True)


class RealVideoPass:
    """Generates the target view of real videos and tracks their query points.

    Args:
        model: Only run, never changed.
        spec: Sampling steps and seed.
        layer: Whose attention is checked for cycle consistency; None = not at all.
    """

    def __init__(self, model: NovelViewModel, spec: EvaluationSpec, layer: int | None) -> None:
        self.model = model
        self.spec = spec
        self.layer = layer
        self.guidance = Guidance(spec.guidance, model.backbone.text_shape, model.backbone.image_dim)

    @torch.no_grad()
    def __call__(self, real: RealClip, metrics: NovelViewMetrics | None = None) -> NovelView:
        """Generate for a batch of one.

        Args:
            real: With a batch axis of 1.
            metrics: Take what is known; None = nothing is scored.

        Raises:
            InputError: If the evaluation spec asks for no sampling steps.
        """
        layers = () if self.layer is None else (self.layer,)
        sampler = self.spec.build_sampler()
        seed = self.spec.seed if real.seed is None else real.seed
        made = generate_view(self.model, real.clip, real.queries, sampler, self.guidance, seed, layers)
        if metrics is not None:
            metrics.update(self._describe(real, made.reference_latents, made.video, made.taps, made.tracks))
        tracks = None if made.tracks is None else made.tracks[0]
        return NovelView(real, made.video[0], tracks)

    def _describe(
        self,
        real: RealClip,
        latents: Float[Tensor, "1 d f lh lw"],
        video: Float[Tensor, "1 t 3 h w"],
        taps: dict[int, AttentionTap],
        found: VideoTracks | None,
    ) -> GeneratedVideos:
        """Put together what is known of a generated video.

        Args:
            real: What it was generated from.
            latents: Of the reference.
            video: Generated.
            taps: Of the last sampling step.
            found: The head's tracks of the queries.
        """
        clip = real.clip
        truth = clip.video[:, REFERENCE]
        home = None
        if self.layer is not None:
            matches = argmax_matches(taps[self.layer], real.queries)
            home = cycle_consistent(taps[self.layer], real.queries, matches)
        return GeneratedVideos(
            names=(real.item or str(clip.name[0]),),
            video=video,
            reference=ViewRecord(truth, dynamic=None if clip.dynamic is None else clip.dynamic[:, REFERENCE]),
            codec_output=self.model.codec.decode(latents),
            codec_input=truth,
            queries=real.queries,
            tracks=None if found is None else found.tracks,
            visible=None if found is None else found.visible,
            cycle_home=home,
        )
