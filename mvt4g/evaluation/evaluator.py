"""One evaluated batch: scores on noised ground truth and on sampled video, and what the pictures need."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.evaluation.level_scores import SAMPLED, NovelViewScores, level_name
from mvt4g.evaluation.spec import EvaluationSpec
from mvt4g.evaluation.video_metrics import describe, with_poses
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.inference.cycle import cycle_distance
from mvt4g.inference.encoding import decode_clip, encode_clip
from mvt4g.inference.guidance import Guidance
from mvt4g.inference.lifting.reference_depth import ReferenceDepth
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.queries import draw_queries_by_name
from mvt4g.inference.video_tracks import VideoTracks, at_video_frames
from mvt4g.matching.rows import argmax_matches
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.types import (
    REFERENCE,
    TARGET,
    AttentionTap,
    Cameras,
    GeneratedVideos,
    InputError,
    LatentClip,
    MultiViewClip,
    PointTruth,
    TapRequest,
)


@dataclass(frozen=True)
class Reading:
    """What was read of a batch at one noise level.

    Attributes:
        tracks: The head's, at video frames; None without a head.
        matches: Pixels that the headline layer's attention matches each query to; None without such a layer.
        tap: That layer's.
    """

    tracks: VideoTracks | None
    matches: Float[Tensor, "b v f q 2"] | None = None
    tap: AttentionTap | None = None


@dataclass(frozen=True)
class EvaluationOutput:
    """What an evaluated batch leaves for pictures.

    Attributes:
        clip: The batch.
        generated: Sampled target video in [0, 1]; None without sampling.
        truth: Query points and the truth about them; None for clips without tracks.
        headline: What was read at the headline noise level; None for clips without tracks.
    """

    clip: MultiViewClip
    generated: Float[Tensor, "b t c h w"] | None = None
    truth: PointTruth | None = None
    headline: Reading | None = None


@dataclass(frozen=True)
class _TapReader:
    """Scores the attention of each layer as soon as it has run; of the taps, which are large, it keeps few.

    Attributes:
        truth: Query points and where they truly are.
        scores: Takes what is read.
        level: The noise level's name.
        scored: Layers whose attention is scored.
        kept: Layers whose taps and matches are held on to.
        taps: Those of ``kept``.
        matches: Likewise.
    """

    truth: PointTruth
    scores: NovelViewScores
    level: str
    scored: tuple[int, ...]
    kept: tuple[int, ...]
    taps: dict[int, AttentionTap] = field(default_factory=dict)
    matches: dict[int, Float[Tensor, "b v f q 2"]] = field(default_factory=dict)

    def __call__(self, tap: AttentionTap) -> None:
        if tap.layer in self.scored:
            matches = argmax_matches(tap, self.truth.queries)
            known = {"layer": tap.layer, "match_cells": matches.cells, "truth": self.truth, "stride": tap.stride}
            self.scores.read(self.level, **known)
            if tap.layer in self.kept:
                self.matches[tap.layer] = matches.pixels
        if tap.layer in self.kept:
            self.taps[tap.layer] = tap


class BatchScorer:
    """Scores batches of clips whose target view is known.

    Args:
        model: Only run, never changed.
        spec: What to measure.
        layers: Layers whose attention is scored; the head's need not be one of them.
        headline_layer: The one that pictures show.
    """

    def __init__(
        self, model: NovelViewModel, spec: EvaluationSpec, layers: Sequence[int], headline_layer: int | None
    ) -> None:
        self.model = model
        self.spec = spec
        self.layers = tuple(layers)
        self.headline_layer = headline_layer
        kept: set[int] = set()
        if headline_layer is not None:
            kept.add(headline_layer)
        if model.tracking_head is not None:
            kept.add(model.tracking_head.layer)
        self.kept = tuple(kept)
        self.tapped = tuple(sorted(kept.union(self.layers)))
        self.guidance = Guidance(spec.guidance, model.backbone.text_shape, model.backbone.image_dim)
        self.depth = ReferenceDepth(spec.depth)

    @torch.no_grad()
    def __call__(
        self,
        batch: MultiViewClip | LatentClip,
        scores: NovelViewScores,
        sample: bool,
    ) -> EvaluationOutput:
        """Add one batch to ``scores``; all draws follow each clip's name.

        Args:
            batch: Of two views; the video of latents is what the codec decodes them to.
            scores: Takes the batch.
            sample: Generate the target view and score it, if the spec asks for any sampling steps.
        """
        cameras = shift_target_cameras(batch.cameras, self.spec.camera_shift)
        seen_from = replace(batch, cameras=cameras)
        latents, conditions = encode_clip(self.model, seen_from, self.depth, self.spec.seed)
        clip = decode_clip(self.model.codec, batch)
        names = clip.name if isinstance(clip.name, tuple) else (clip.name,)
        image = self.guidance.image(clip.video[:, REFERENCE, 0], conditions.image)
        conditions = replace(conditions, image=image)
        # One noise for all levels and for sampling: scores of two levels differ by the level alone.
        noise = clip_noise(names, self.spec.seed, latents.shape[2:], latents.device)
        truth = None
        if clip.tracks is not None:
            truth = draw_queries_by_name(clip, names, self.model.codec.grid, self.spec.num_queries, self.spec.seed)
        headline = None
        for sigma in self.spec.noise_levels:
            level = level_name(sigma)
            at_level = torch.full((len(latents),), sigma, device=latents.device)
            reader = None if truth is None else _TapReader(truth, scores, level, self.layers, self.kept)
            tapped = self.tapped if reader is not None else ()
            passed = self.model.noisy_pass(latents, cameras, at_level, noise, conditions, TapRequest(tapped, reader))
            scores.read(level, velocity=passed.velocity, true_velocity=passed.target)
            reading = self._read(reader, cameras)
            if sigma == self.spec.headline:
                headline = reading
        generated = None
        # Sampling takes as many passes as it has steps: validation may do without.
        if sample and self.spec.sample_steps:
            text, guidance = self.guidance.arguments(names, latents.device, conditions.text)
            reader = None if truth is None else _TapReader(truth, scores, SAMPLED, self.layers, self.kept)
            # Of the last step alone, where the latents are nearest to a video.
            taps = {} if reader is None else {-1: TapRequest(self.tapped, reader)}
            conditions = replace(conditions, text=text)
            sampler = self.spec.build_sampler()
            generation = self.model.generate(latents[:, REFERENCE], cameras, noise, sampler, conditions, guidance, taps)
            reading = self._read(reader, cameras)
            generated = self.model.codec.decode(generation.latents)
            videos = replace(describe(clip, names, generated), codec_input=clip.video[:, TARGET])
            videos = replace(videos, codec_output=self.model.codec.decode(latents[:, TARGET]))
            if scores.score_tracks_of_videos:
                videos = with_tracks(videos, self.model, reader, reading, cameras)
            scores.generated(with_poses(videos, self.spec.videos.poses))
        return EvaluationOutput(clip, generated, truth, headline)

    def _read(self, reader: _TapReader | None, cameras: Cameras) -> Reading | None:
        """Run the tracking head on the taps kept during a forward, and collect what the pictures show."""
        if reader is None:
            return None
        tracks = None
        if self.model.tracking_head is not None:
            truth = reader.truth
            prediction = self.model.track(reader.taps, truth.queries, cameras)
            tracks = at_video_frames(prediction, truth.tracks.shape[2])
            reader.scores.read(reader.level, tracks=tracks.tracks, visible=tracks.visible, truth=truth)
        if self.headline_layer is None:
            return Reading(tracks)
        return Reading(tracks, reader.matches.get(self.headline_layer), reader.taps[self.headline_layer])


def with_tracks(
    videos: GeneratedVideos,
    model: NovelViewModel,
    reader: _TapReader | None,
    reading: Reading | None,
    cameras: Cameras,
) -> GeneratedVideos:
    """Add what the tracking head says of the query points of a batch, if anything.

    Args:
        videos: Generated.
        model: With the head.
        reader: Has the taps that it tracked on; None where no points are known.
        reading: What was read off them.
        cameras: Those that the videos were generated for.
    """
    if reader is None or reading is None or reading.tracks is None:
        return videos
    truth = reader.truth
    found = reading.tracks
    again = partial(model.track, reader.taps, cameras=cameras)
    # A query that is none, as in a clip without points, stands for no point.
    counted = truth.valid[:, None, None]
    return replace(
        videos,
        tracks=found.tracks,
        visible=found.visible & counted,
        confidence=found.confidence,
        cycle_px=cycle_distance(again, truth.queries, found),
        point_dynamic=truth.dynamic,
    )


def shift_target_cameras(cameras: Cameras, shift: int) -> Cameras:
    """Give every clip the target cameras of the clip ``shift`` places before it in its batch, round the end.

    The wrong camera stands to the clip's reference as it stood to its own.

    Raises:
        InputError: If the shift gives every clip its own cameras back.
    """
    if not shift:
        return cameras
    size = len(cameras.cam_from_world)
    if shift % size == 0:
        raise InputError(f"evaluation.camera_shift: got {shift} with a batch of {size}, want no multiple of the batch")
    pose = cameras.cam_from_world.clone()
    intrinsics = cameras.intrinsics.clone()
    rolled = cameras.cam_from_world.roll(shift, dims=0)
    other_world_from_own = compose(invert_pose(rolled[:, REFERENCE, :1]), pose[:, REFERENCE, :1])
    pose[:, TARGET] = compose(rolled[:, TARGET], other_world_from_own)
    intrinsics[:, TARGET] = cameras.intrinsics.roll(shift, dims=0)[:, TARGET]
    return Cameras(pose, intrinsics)
