"""Real videos, whose target view nobody has seen: generate it, track in both views, score what needs no truth."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.inference.long_videos import LongVideoGenerator
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.inference.window_store import WindowStore
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
        spec: Sampling steps, seed and windows.
        layer: Whose attention is checked for cycle consistency; None = not at all.

    Attributes:
        store: Keeps the windows of the next video, where it is generated in windows; None = memory.
    """

    def __init__(self, model: NovelViewModel, spec: EvaluationSpec, layer: int | None) -> None:
        self.model = model
        self.spec = spec
        self.layer = layer
        self.guidance = Guidance(spec.guidance, model.backbone.text_shape, model.backbone.image_dim)
        self.depth = ReferenceDepth(spec.depth)
        self.store: WindowStore | None = None

    def in_windows(self, real: RealClip) -> bool:
        """Return whether a video is generated window by window."""
        windows = self.spec.windows
        return windows is not None and real.clip.video.shape[-4] > windows.length

    @torch.no_grad()
    def __call__(self, real: RealClip, metrics: NovelViewMetrics | None = None) -> NovelView:
        """Generate for a batch of one.

        Args:
            real: With a batch axis of 1.
            metrics: Take what is known; None = nothing is scored.

        Raises:
            InputError: If the evaluation spec asks for no sampling steps.
        """
        sampler = self.spec.build_sampler()
        seed = self.spec.seed if real.seed is None else real.seed
        way = GenerationWay(sampler, self.guidance, self.depth)
        windows = self.spec.windows
        if windows is not None and self.in_windows(real):
            generate = LongVideoGenerator(self.model, windows, way, seed)
            long = generate(real.clip, real.queries, self.store)
            if metrics is not None:
                found = None if long.tracks is None else long.tracks.as_batch()
                metrics.update(self._describe(real, None, long.video[None], {}, found))
            return NovelView(real, long.video, long.tracks)
        layers = () if self.layer is None else (self.layer,)
        made = generate_view(self.model, real.clip, real.queries, way, seed, layers)
        if metrics is not None:
            metrics.update(self._describe(real, made.reference_latents, made.video, made.taps, made.tracks))
        tracks = None if made.tracks is None else made.tracks[0]
        return NovelView(real, made.video[0], tracks)

    def _describe(
        self,
        real: RealClip,
        latents: Float[Tensor, "1 d f lh lw"] | None,
        video: Float[Tensor, "1 t 3 h w"],
        taps: dict[int, AttentionTap],
        found: VideoTracks | None,
    ) -> GeneratedVideos:
        """Put together what is known of a generated video.

        Args:
            real: What it was generated from.
            latents: Of the reference; None = the codec's own ceiling is not known.
            video: Generated.
            taps: Of the last sampling step; of a video in windows there are none.
            found: The head's tracks of the queries.
        """
        clip = real.clip
        truth = clip.video[:, REFERENCE]
        home = None
        if self.layer is not None and taps:
            matches = argmax_matches(taps[self.layer], real.queries)
            home = cycle_consistent(taps[self.layer], real.queries, matches)
        return GeneratedVideos(
            names=(real.item or str(clip.name[0]),),
            video=video,
            reference=ViewRecord(truth, dynamic=None if clip.dynamic is None else clip.dynamic[:, REFERENCE]),
            codec_output=None if latents is None else self.model.codec.decode(latents),
            codec_input=None if latents is None else truth,
            queries=real.queries,
            tracks=None if found is None else found.tracks,
            visible=None if found is None else found.visible,
            cycle_home=home,
        )
