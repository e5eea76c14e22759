"""Real videos, whose target view nobody has seen: generate it, track in both views, score what needs no truth."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.inference.candidates import Choice
from mvt4g.inference.cycle import cycle_distance
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.inference.long_videos import LongVideoGenerator
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.view_pass import GenerationWay, generate_view
from mvt4g.inference.window_store import WindowStore
from mvt4g.matching.rows import argmax_matches, cycle_consistent
from mvt4g.metrics.collection import NovelViewMetrics
from mvt4g.metrics.presets import REAL_VIDEOS, WITHOUT_TRUTH, build_metrics
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Cameras, GeneratedVideos, ViewRecord


@dataclass(frozen=True)
class NovelView:
    """What was generated for one real video.

    Attributes:
        real: The video, cameras and queries it was made from.
        video: The target view, in [0, 1].
        tracks: The head's, of every query in both views; None without a tracking head.
        choice: Which of several seeds it is from; None where there was one.
        geometry: What is scored without a true view, by key; NaN where there is nothing to score. Of ``predict`` alone.
    """

    real: RealClip
    video: Float[Tensor, "t 3 h w"]
    tracks: VideoTracks | None
    choice: Choice | None = None
    geometry: dict[str, float] | None = None


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
        if spec.sample_steps:
            # What cannot choose among seeds is told of before the first video is read.
            spec.build_chooser(model, spec.build_sampler())

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
        chooser = self.spec.build_chooser(self.model, sampler)
        way = GenerationWay(sampler, self.guidance, self.depth, chooser)
        windows = self.spec.windows
        if windows is not None and self.in_windows(real):
            generate = LongVideoGenerator(self.model, windows, way, seed)
            long = generate(real.clip, real.queries, self.store)
            found = None if long.tracks is None else long.tracks.as_batch()
            geometry = self._score(real, None, long.video[None], {}, found, metrics)
            return NovelView(real, long.video, long.tracks, None, geometry)
        layers = () if self.layer is None else (self.layer,)
        made = generate_view(self.model, real.clip, real.queries, way, seed, layers)
        geometry = self._score(real, made.reference_latents, made.video, made.taps, made.tracks, metrics)
        tracks = None if made.tracks is None else made.tracks[0]
        return NovelView(real, made.video[0], tracks, made.choices[0] if made.choices else None, geometry)

    def _score(
        self,
        real: RealClip,
        latents: Float[Tensor, "1 d f lh lw"] | None,
        video: Float[Tensor, "1 t 3 h w"],
        taps: dict[int, AttentionTap],
        found: VideoTracks | None,
        metrics: NovelViewMetrics | None,
    ) -> dict[str, float] | None:
        """Add what is known to the metrics; without any return what is scored of the one video."""
        known = self._describe_geometry(real, video, taps, found)
        if metrics is None:
            return geometry_of(known)
        metrics.update(self._describe(real, latents, taps, known))
        return None

    def _describe(
        self,
        real: RealClip,
        latents: Float[Tensor, "1 d f lh lw"] | None,
        taps: dict[int, AttentionTap],
        known: GeneratedVideos,
    ) -> GeneratedVideos:
        """Add to what is known of a generated video what codec and attention tell.

        Args:
            real: What it was generated from.
            latents: Of the reference; None = the codec's own ceiling is not known.
            taps: Of the last sampling step; of a video in windows there are none.
            known: Of the generated video.
        """
        truth = real.clip.video[:, REFERENCE]
        home = None
        if self.layer is not None and taps:
            matches = argmax_matches(taps[self.layer], real.queries)
            home = cycle_consistent(taps[self.layer], real.queries, matches)
        return replace(
            known,
            codec_output=None if latents is None else self.model.codec.decode(latents),
            codec_input=None if latents is None else truth,
            cycle_home=home,
        )

    def _describe_geometry(
        self,
        real: RealClip,
        video: Float[Tensor, "1 t 3 h w"],
        taps: dict[int, AttentionTap],
        found: VideoTracks | None,
    ) -> GeneratedVideos:
        """Put together what tells of a generated video how well it keeps to the cameras asked for.

        Args:
            real: What it was generated from.
            video: Generated.
            taps: Of the last sampling step; without any no point is carried back.
            found: The head's tracks of the queries.
        """
        clip = real.clip
        moving = None if clip.dynamic is None else clip.dynamic[:, REFERENCE]
        seen = replace(view_cameras(clip.cameras, REFERENCE), video=clip.video[:, REFERENCE], dynamic=moving)
        videos = GeneratedVideos(
            names=(real.item or str(clip.name[0]),),
            video=video,
            target=view_cameras(clip.cameras, TARGET),
            reference=seen,
            queries=real.queries,
        )
        if found is None:
            return videos
        cycle = None
        if taps:
            again = partial(self.model.track, taps, cameras=clip.cameras)
            cycle = cycle_distance(again, real.queries, found)
        return replace(
            videos,
            tracks=found.tracks,
            visible=found.visible,
            confidence=found.confidence,
            cycle_px=cycle,
            point_dynamic=queries_on_objects(real),
        )


def geometry_of(videos: GeneratedVideos) -> dict[str, float]:
    """Return what is scored of one video without its true view, by key; without tracks there are fewer keys."""
    members, absent = build_metrics(WITHOUT_TRUTH)
    metrics = NovelViewMetrics(members, absent).to(videos.video.device)
    metrics.update(videos)
    scores = {}
    for key, value in metrics.compute().items():
        if key != "geometry/num_missing":
            scores[key] = float(value)
    return scores


def view_cameras(cameras: Cameras, view: int) -> ViewRecord:
    """Return the record of a view of which the cameras alone are known."""
    return ViewRecord(cam_from_world=cameras.cam_from_world[:, view], intrinsics=cameras.intrinsics[:, view])


def queries_on_objects(real: RealClip) -> Bool[Tensor, "1 q"] | None:
    """Return which queries lie on an annotated object of the reference, which counts as moving; None without masks."""
    if real.clip.dynamic is None:
        return None
    masks = real.clip.dynamic[0, REFERENCE]
    _, frame, x, y = real.queries[0].long().unbind(dim=-1)
    height, width = masks.shape[-2:]
    return masks[frame, y.clamp(0, height - 1), x.clamp(0, width - 1)][None]
