"""Scores videos one by one by the metrics of a preset, those of ``mvt4g test``, and keeps what each has added.

What a video has added to the metrics lies in ``<out>/scored/``, a file a video. It depends on the video's bytes, on all
files of its clip and of estimators, on layout, options and weights, and on the code of this package. A second start
takes what is there and scores the rest; the means are the same to the last digit.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.benchmark.aligned_video import AlignedVideo, NotScored, Shape, align_video
from mvt4g.benchmark.asked_cameras import AskedSpec
from mvt4g.benchmark.estimated_files import EstimatedFiles
from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.benchmark.known_clips import KnownClip
from mvt4g.benchmark.track_evidence import TrackFiles, with_tracks
from mvt4g.callbacks.score_records import code_digest
from mvt4g.evaluation.video_metrics import pose_evidence
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.foreign.frame_maps import AlignedFrames
from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.collection import NovelViewMetrics, required_inputs
from mvt4g.metrics.pose_estimators.poses import PoseEstimate, PoseEstimator, PoseEvidence
from mvt4g.metrics.pose_estimators.poses_from_files import NAME, PosesFromFiles
from mvt4g.metrics.presets import WITHOUT_TRUTH, Preset, novel_view_metrics
from mvt4g.metrics.weights import MetricWeights
from mvt4g.systems.metric_shares import MetricShare, added_alone
from mvt4g.systems.scored_batches import ScoredBatches
from mvt4g.types import GeneratedVideos, InputError

FOLDER = "scored"


@dataclass(frozen=True)
class ScoreSpec:
    """How videos are scored.

    Attributes:
        preset: The protocol.
        weights: Local files of the networks that metrics look through.
        poses: Files of the cameras that videos show; None = ``estimator`` finds them, or they are not known.
        estimator: Finds them.
        geometry: Files of a reconstruction of source and output together, for metrics of consistency.
        tracks: Files of tracks, for metrics that need no true view: ``presets.WITHOUT_TRUTH``.
        asked: Where the paths come from that were asked for.
        frames: At most so many frames of a video are scored, the first ones; None = all.
    """

    preset: Preset = "mvtrack4gen"
    weights: MetricWeights = field(default_factory=MetricWeights)
    poses: EstimatedFiles | None = None
    estimator: PoseEstimator | None = None
    geometry: EstimatedFiles | None = None
    tracks: TrackFiles | None = None
    asked: AskedSpec = AskedSpec()
    frames: int | None = None

    def settings(self) -> dict[str, Any]:
        """Return all of this that does not belong to one video, as JSON holds it."""
        files = {name: path for name, path in asdict(self.weights).items() if path is not None}
        return {
            "preset": self.preset,
            "weights": {name: sha256_of(path) for name, path in files.items()},
            "estimator": None if self.estimator is None else repr(self.estimator),
            "frames": self.frames,
            "scale": self.asked.scale,
            "tracks": None if self.tracks is None else self.tracks.path,
        }


@dataclass(frozen=True)
class ScoredVideo:
    """What became of one video.

    Attributes:
        video: The video.
        lacking: What members of the preset lacked for this video, by member.
    """

    video: FoundVideo
    lacking: Mapping[str, list[str]]


class VideoScorer:
    """Adds videos to the metrics of a preset.

    Args:
        spec: How.
        out: Folder of what each video has added.

    Attributes:
        metrics: Of all videos since the last reset.
        settings: Those of ``spec``, as JSON holds them.
        reused: Videos whose scores were there.

    Raises:
        InputError: If a file of weights is broken.
    """

    def __init__(self, spec: ScoreSpec, out: Path) -> None:
        self.spec = spec
        beside = () if spec.tracks is None else WITHOUT_TRUTH
        self.metrics: NovelViewMetrics = novel_view_metrics(spec.preset, spec.weights, "skip", beside=beside)
        # Once: it reads every file of weights for its checksum.
        self.settings = spec.settings()
        facts = {**self.settings, "code": code_digest(), "torch": torch.__version__}
        self.reused = 0
        self._batches = ScoredBatches(out / FOLDER, facts)
        self._digests: dict[Path, str] = {}
        members = self.metrics.members().values()
        self._needs_truth = spec.estimator is not None or any("target_video" in required_inputs(m) for m in members)

    def add(
        self, method: Method, video: FoundVideo, shape: Shape, clip: KnownClip | None, frames: AlignedFrames
    ) -> ScoredVideo:
        """Add a video, from its file or from what an earlier start has left.

        Args:
            method: Whose it is.
            video: The video.
            shape: Of its file.
            clip: What is known of its clip; None = nothing.
            frames: Which are scored.

        Raises:
            NotScored: If it cannot be scored; the metrics are left as they were.
        """
        place = self._batches.place(self._content(method, video, clip, frames), 1)
        share = self._batches.find(place, self.metrics)
        if share is not None:
            share.add_to(self.metrics)
            self.reused += 1
        else:
            aligned = align_video(method, video, shape, clip, frames, self._needs_truth)
            share = self._score(method, video, aligned)
            self._batches.hold(place, share)
            self._batches.write()
        lacking = share.notes.get("", {})
        return ScoredVideo(video, {member: list(names) for member, names in lacking.items()})

    def _score(self, method: Method, video: FoundVideo, aligned: AlignedVideo) -> MetricShare:
        try:
            asked = self.spec.asked.path(method, video, aligned)
            estimate, told = self._poses(method, video, aligned, asked.world_from_cam)
            videos, geometry_told = self._with_geometry(method, video, aligned)
        except InputError as error:
            raise NotScored("failed", str(error)) from error
        tracks_told = ""
        if self.spec.tracks is not None:
            videos, tracks_told = with_tracks(videos, aligned, self.spec.tracks.place(method.name, video))
        notes = "; ".join(part for part in (asked.reason, told, geometry_told, tracks_told) if part)
        videos = replace(videos, notes=(notes,))
        # Where no path was asked for, metrics would take the reconstruction's own for it.
        has_path = asked.world_from_cam is not None or self.spec.geometry is None
        if estimate is not None and has_path:
            shown, registered = estimate.world_from_cam[None], estimate.registered[None]
            videos = replace(videos, pred_world_from_cam=shown, registered=registered)
        path = None if asked.world_from_cam is None else asked.world_from_cam[None]
        try:
            _, share = added_alone(self.metrics, lambda: self.metrics.update(videos, path))
        except InputError as error:
            raise NotScored("failed", str(error)) from error
        return share

    def _poses(
        self, method: Method, video: FoundVideo, aligned: AlignedVideo, asked: Float[Tensor, "t 4 4"] | None
    ) -> tuple[PoseEstimate | None, str]:
        """Return the cameras that the video shows, and what is to be told; what fails has no registered frame."""
        try:
            if self.spec.poses is not None:
                estimate = self._poses_of_files(self.spec.poses, method, video, aligned)
            elif self.spec.estimator is not None:
                evidence = pose_evidence(aligned.videos, 0)
                if asked is not None and evidence.expected_world_from_cam is None:
                    evidence = replace(evidence, expected_world_from_cam=asked.float())
                if evidence.intrinsics is None:
                    evidence = replace(evidence, intrinsics=self.spec.asked.lens(method, video, aligned))
                estimate = self.spec.estimator(evidence)
            else:
                return None, ""
        except InputError as error:
            count = len(aligned.frames.output)
            nowhere = torch.full((count, 4, 4), torch.nan)
            return PoseEstimate(nowhere, torch.zeros(count, dtype=torch.bool), str(error)), str(error)
        return estimate, estimate.told()

    def _poses_of_files(
        self, files: EstimatedFiles, method: Method, video: FoundVideo, aligned: AlignedVideo
    ) -> PoseEstimate:
        """Return the poses of the scored frames, from an estimator's answer to all frames of the output."""
        place = str(files.place(method.name, video))
        reader = PosesFromFiles(NAME, files.layout, missing_is_failure=True)  # type: ignore[arg-type]  # checked word
        found = reader(PoseEvidence(aligned.shape.num_frames, name=place))
        scored = list(aligned.frames.output)
        return PoseEstimate(
            found.world_from_cam[scored], found.registered[scored], found.reason, {}, False, found.notes
        )

    def _with_geometry(self, method: Method, video: FoundVideo, aligned: AlignedVideo) -> tuple[GeneratedVideos, str]:
        """Return the videos with depth and cameras of both views from one reconstruction of them, where it is given.

        The reconstruction is of twice the output's frames: first the frames of the source that they stand for, framed
        as the output, then the output's own. Where it cannot be read, or is of another number of frames, the video has
        no depth at all: by the true one it would be scored otherwise than the method's other videos.
        """
        files = self.spec.geometry
        if files is None:
            return aligned.videos, ""
        place = files.place(method.name, video)
        count = aligned.shape.num_frames
        try:
            found = files.read(place, 2 * count, maps=True)
            if found.depth is None or found.intrinsics is None:
                raise InputError(f"{place}: got no depth or no intrinsics, want both")
            found = found.at_size(aligned.shape.size)
        except InputError as error:
            reference = replace(aligned.videos.reference, depth=None)
            target = replace(aligned.videos.target, depth=None)
            return replace(aligned.videos, reference=reference, target=target), str(error)
        assert found.depth is not None and found.intrinsics is not None, "both were looked for"
        views = {}
        for view, first in (("reference", 0), ("target", count)):
            places = [first + number for number in aligned.frames.output]
            views[view] = replace(
                getattr(aligned.videos, view),
                depth=found.depth[places][None],
                cam_from_world=invert_pose(found.world_from_cam[places])[None],
                intrinsics=found.intrinsics[places][None],
            )
        videos = replace(aligned.videos, reference=views["reference"], target=views["target"])
        return videos, "; ".join(found.notes)

    def _content(
        self, method: Method, video: FoundVideo, clip: KnownClip | None, frames: AlignedFrames
    ) -> dict[str, Any]:
        """Return all that the scores of a video depend on beside the settings."""
        assert video.path is not None, "only videos that are there are scored"
        paths = [video.path, *([] if clip is None else clip.files())]
        asked = self.spec.asked
        for files in (self.spec.poses, self.spec.geometry, self.spec.tracks, asked.files, asked.sources):
            if files is not None:
                paths += files.files(files.place(method.name, video))
        said = {"clip": video.clip, "camera": video.camera, "seed": video.seed, "strength": video.strength}
        made = video.made or {}
        if "cameras" in made:
            paths.append(method.folder / str(made["cameras"]))
        return {
            "files": [f"{path.name} {self._digest(path)}" for path in paths],
            "said": {**said, "method": method.name, "file": video.file},
            "made": repr(sorted(made.items())),
            "layout": repr(method.layout),
            "options": repr((self.spec.poses, self.spec.geometry, self.spec.tracks, asked)),
            "frames": list(frames.output) + list(frames.source),
        }

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = sha256_of(path)
        return self._digests[path]
