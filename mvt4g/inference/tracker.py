"""Tracking in two given videos: one pass of the DiT at a low noise level, no generation."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mvt4g.inference.encoding import decode_clip, encode_clip
from mvt4g.inference.noise import clip_noise
from mvt4g.inference.public_inputs import batch_of_one, check_moments, check_queries
from mvt4g.inference.reader import FromFiles, TrainedModel, running
from mvt4g.inference.saved_config import build_arguments, mapping_at
from mvt4g.inference.video_tracks import SeenRule, VideoTracks, at_video_frames
from mvt4g.inference.windows import track_in_windows, windows_over
from mvt4g.matching.rows import Matches, argmax_matches, cycle_consistent
from mvt4g.matching.soft_matches import soft_matches
from mvt4g.matching.tokens import interpolate_frames
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.ranges import Frames, Natural, Points, Positive, Seed, Share, check_ranges
from mvt4g.types import REFERENCE, TARGET, AttentionTap, Cameras, InputError, LatentClip, MultiViewClip, TapRequest


@dataclass(frozen=True)
class TrackerEvaluation:
    """What validation and test of the tracker measure.

    Attributes:
        num_queries: Query points drawn a clip.
        pck_threshold_px: Of track PCK, in pixels of the input video.
        seed: Of queries, together with the clip's name.
    """

    num_queries: Points = 64
    pck_threshold_px: Positive = 2.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation")


@dataclass(frozen=True)
class TrackerSpec:
    """How two videos are tracked, and how that is measured.

    Attributes:
        method: "head" = the tracking head; without one, "argmax" = the best cell of the layer's own attention, and
            "soft_argmax" = the mean position of the cells around it.
        sigma: Noise level of the target's latents in the one pass; the reference's are clean.
        layer: Whose attention is read without the head; None = the head's.
        window: Video frames of one pass, ``temporal_stride`` * m + 1; None = the whole video.
        overlap: Frames that two windows share; None = half a window.
        seen: When a point tracked by the head counts as seen. "product": P(visible) * P(confident) > 0.6. "visibility":
            P(visible) > 0.5, for small videos, where few positions are sure to 12 pixels of a 512 wide image.
        seed: Of the noise, together with the clip's name.
        evaluation: What validation and test measure.
    """

    method: Literal["head", "argmax", "soft_argmax"] = "head"
    sigma: Share = 0.1
    layer: Natural | None = None
    window: Frames | None = None
    overlap: Natural | None = None
    seen: SeenRule = "product"
    seed: Seed = 0
    evaluation: TrackerEvaluation = TrackerEvaluation()

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "tracker")
        if self.window is None and self.overlap is not None:
            raise InputError(f"tracker.overlap: got {self.overlap} without a window, want both or none")
        if self.window is not None and not 0 < self.shared < self.window:
            raise InputError(f"tracker.overlap: got {self.shared} of {self.window} frames, want 1 to window - 1")

    @property
    def shared(self) -> int:
        """Frames that two windows share."""
        return (self.window or 0) // 2 if self.overlap is None else self.overlap


class Tracker(FromFiles):
    """Tracks query points through both views of given videos.

    ``from_run`` and ``from_weights`` read it from files: a run of the tracker, or of a novel-view system, which says no
    ``tracker`` options. Weights without a tracking head do for ``tracker.method: argmax``.

    Args:
        model: Only run, never changed.
        spec: How.
        autocast: Arithmetic of ``track`` in mixed precision; None = fp32.

    Raises:
        InputError: If the model has no such layer or no head, or a window does not fit the codec's latents.
    """

    def __init__(
        self,
        model: NovelViewModel,
        spec: TrackerSpec = TrackerSpec(),
        autocast: torch.dtype | None = None,
    ) -> None:
        self.model = model
        self.spec = spec
        self.autocast = autocast
        if spec.method == "head" and model.tracking_head is None:
            raise InputError("tracker.method: got 'head' without a tracking head, want one, or argmax or soft_argmax")
        # A head reads one layer, that it was trained on: only attention is read from another.
        own = None if model.tracking_head is None else model.tracking_head.layer
        layer = own if spec.method == "head" or spec.layer is None else spec.layer
        if layer is None:
            raise InputError("tracker.layer: got null without a tracking head, want a layer")
        model.check_layers("tracker.layer", [layer])
        self.layer = layer
        if spec.window is not None:
            model.codec.grid.latent_frames(spec.window)

    @classmethod
    def _of(cls, trained: TrainedModel) -> "Tracker":
        given = mapping_at(trained.options, "tracker", trained.where)
        spec = TrackerSpec(**build_arguments(TrackerSpec, given, f"{trained.where}.tracker"))
        return cls(trained.model, spec, trained.autocast)

    def track(
        self,
        reference: Float[Tensor, "t c h w"],
        target: Float[Tensor, "t c h w"],
        queries: Float[Tensor, "q 4"],
        cameras: Cameras,
        name: str = "video",
    ) -> tuple[Float[Tensor, "v t q 2"], Bool[Tensor, "v t q"], Float[Tensor, "v t q"]]:
        """Track query points through two synchronous videos of one scene.

        Args:
            reference: RGB in [0, 1], of a size and length that the codec takes.
            target: The same from another camera.
            queries: (view, frame, x, y), pixels; either view, any frame.
            cameras: (2 t): of the reference and of the target, one a frame; intrinsics in pixels of the videos.
            name: Of the pair: noise follows ``tracker.seed`` and name.

        Returns:
            Pixels (x, y) of every query in both views; True where it is said to be seen; and in [0, 1] how near the
            truth a position is thought to be.

        Raises:
            InputError: If an argument is of another shape or kind, or a query of a view or frame that is not there.
        """
        with running(self.model, self.autocast) as device:
            clip = batch_of_one([reference, target], cameras, name, self.model.codec.grid, device)
            found = self(clip, check_queries(queries, clip))
        return found.tracks[0], found.visible[0], found.confidence[0]

    @torch.no_grad()
    def __call__(
        self,
        clip: MultiViewClip | LatentClip,
        queries: Float[Tensor, "b q 4"],
    ) -> VideoTracks:
        """Track in a batch of clips.

        Args:
            clip: Both views' videos, or their latents, and cameras; windows see what latents are decoded to.
            queries: (view, video frame, x, y), pixels; either view, any frame.

        Raises:
            InputError: If there is no query, or one of a view or frame that is not there.
        """
        spec = self.spec
        views, num_frames = clip.cameras.cam_from_world.shape[1:3]
        check_moments(queries, views, num_frames)
        names = clip.name if isinstance(clip.name, tuple) else (clip.name,)
        if spec.window is None or num_frames <= spec.window:
            return self._track(clip, names, range(num_frames), queries)
        windows = windows_over(num_frames, spec.window, spec.shared)
        # Latents cannot be cut in time: the first one of a window stands for one frame, all others for a whole stride.
        video = decode_clip(self.model.codec, clip).video

        parts = []
        for i in range(len(queries)):
            # One clip at a time: where its queries are carried on from is its own.
            depth = clip.depth[i : i + 1] if isinstance(clip, MultiViewClip) and clip.depth is not None else None
            alone = MultiViewClip(video[i : i + 1], clip.cameras[i : i + 1], names[i : i + 1], depth=depth)
            track = partial(self._track, alone, names[i : i + 1])
            parts.append(track_in_windows(track, queries[i : i + 1], windows))
        return VideoTracks(
            tracks=torch.cat([part.tracks for part in parts]),
            visible=torch.cat([part.visible for part in parts]),
            confidence=torch.cat([part.confidence for part in parts]),
        )

    def _track(
        self,
        clip: MultiViewClip | LatentClip,
        names: tuple[str, ...],
        window: range,
        queries: Float[Tensor, "b q 4"],
    ) -> VideoTracks:
        """Track in some frames of the clips, from which the frames of ``queries`` count too; latents are of all."""
        frames = slice(window.start, window.stop)
        cameras = clip.cameras[:, :, frames]
        if isinstance(clip, MultiViewClip):
            depth = None if clip.depth is None else clip.depth[:, :, frames]
            clip = MultiViewClip(video=clip.video[:, :, frames], cameras=cameras, name=clip.name, depth=depth)
        latents, conditions = encode_clip(self.model, clip)
        noise = clip_noise(names, self.spec.seed, latents.shape[2:], latents.device)
        sigma = torch.full((len(latents),), self.spec.sigma, device=latents.device)
        asked = TapRequest([self.layer], stop_after=True)
        taps = self.model.noisy_pass(latents, cameras, sigma, noise, conditions, asked).taps
        if self.spec.method == "head":
            prediction = self.model.track(taps, queries, cameras)
            return at_video_frames(prediction, len(window), self.spec.seen)
        return self._zero_shot(taps[self.layer], queries, len(window))

    def _zero_shot(
        self,
        tap: AttentionTap,
        queries: Float[Tensor, "b q 4"],
        num_frames: int,
    ) -> VideoTracks:
        """Read tracks off attention; a point counts as seen where its match comes home."""
        find = argmax_matches if self.spec.method == "argmax" else soft_matches
        found: Matches = find(tap, queries)
        at_home = cycle_consistent(tap, queries, found)
        both = torch.stack([at_home.to(found.probability.dtype), found.probability], dim=-1)
        both = interpolate_frames(both, tap.frame_times, num_frames)
        seen, confidence = both.unbind(dim=-1)
        tracks = interpolate_frames(found.pixels, tap.frame_times, num_frames)
        return VideoTracks(tracks, seen > 0.5, confidence)


def check_pair(clip: MultiViewClip) -> None:
    """Check that a clip has the videos of both views.

    Raises:
        InputError: If it has not.
    """
    if clip.video.shape[1] != TARGET - REFERENCE + 1:
        raise InputError(f"{clip.name}: got {clip.video.shape[1]} video, want those of both views to track in")
