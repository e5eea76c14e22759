"""Two videos of one scene as a clip: a reference and a target that are both given, to be tracked in."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.camera_paths import CameraAssumption, KeptFrames, describe_fit, fit_path, for_a_video, framed_cameras
from mvt4g.data.frame_selection import nearest_in_time
from mvt4g.data.query_points import QueriedView, QueryChoice, describe_file_queries, file_queries, grid_queries
from mvt4g.data.real_clips import RealClip
from mvt4g.data.sources import FrameSource
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.track_files import read_queries
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.geometry.framing import Framing
from mvt4g.types import InputError, MultiViewClip

_SAME_RATE = 1.01
"""Rates closer than this are one: 24 and 23.976."""


class VideoPair(Dataset[RealClip | InputError]):
    """One pair of videos, their frames matched by time, each cut to what the model takes.

    The slower video sets the moments (the reference where the rates are one), among those that both show; of the other
    one the frame nearest in time is taken, of two as near the earlier. Both videos begin at one moment, unless
    ``target_start_s`` says otherwise. The selection (``size.frames``, ``size.num_frames``) counts the slower video's
    frames, and seconds from the reference's first. What is found wrong when frames are read comes back as an
    ``InputError`` item, as from ``RealClips``.
    """

    def __init__(
        self,
        videos: tuple[FrameSource, FrameSource],
        size: VideoSize,
        cameras: Path | None,
        queries: str,
        camera: CameraAssumption,
        target_start_s: float = 0.0,
    ) -> None:
        """Describe the pair; no frame is read yet.

        Args:
            videos: Reference and target.
            size: What the model takes.
            cameras: JSON of our own form with both views: one pose, or one for each frame kept, for each frame of the
                view's own video, or, of two that begin together at one rate, for each of the shorter one; others are
                resampled by ``camera.resample``. None = unknown, and both are taken to stand still in one place.
            queries: "grid:8" over the reference's first frame, or the path of a file in pixels and frames of the
                sources, of either view.
            camera: The field of view where no file gives intrinsics, and how paths are resampled.
            target_start_s: When the target's first frame was taken, in seconds of the reference.

        Raises:
            InputError: If cameras or queries are bad, or the videos have too little time in common.
        """
        self.videos = videos
        self.size = size
        self.cameras_file = cameras
        self.camera = camera
        self.query_choice = QueryChoice.parse(queries)
        if self.query_choice.kind == "mask":
            raise InputError("queries: got 'mask' for a pair of videos, want 'grid:N' or a file")
        if self.query_choice.path is not None:
            read_queries(self.query_choice.path)
        self._target_start_s = target_start_s
        times = [np.asarray(videos[0].times_s), np.asarray(videos[1].times_s) + target_start_s]
        self.kept, self._slower = _match_frames(videos, times, size)
        self._apart_s = float(np.abs(times[0][list(self.kept[0])] - times[1][list(self.kept[1])]).max())
        self.paths = self._read_paths()

    def __len__(self) -> int:
        """Return 1."""
        return 1

    def __getitem__(self, index: int) -> RealClip | InputError:
        """Return the pair, or what is wrong with it."""
        if index:
            raise IndexError(index)  # what ends iteration over a sequence
        try:
            return self._clip()
        except InputError as error:
            return error

    def _clip(self) -> RealClip:
        video = torch.empty(2, len(self.kept[0]), 3, self.size.height, self.size.width)
        framings = []
        records = []
        for source, view, kept in zip(self.videos, video, self.kept, strict=True):
            framing = source.read_into(view, kept, self.size)
            framings.append(framing)
            records.append(source.record(kept, framing))
        queries, rows, query_rule = self._queries(framings)
        slower = self.videos[self._slower]
        clip = MultiViewClip(
            video=video,
            cameras=framed_cameras(self.paths, framings, self.camera, str(self.cameras_file)),
            name=self.videos[0].name,
            fps=slower.rate(self.kept[self._slower]),
        )
        parts = self._frame_rules()
        parts += [f"reference {framings[0].sentence()}", f"target {framings[1].sentence()}"]
        rule = "; ".join([*parts, self._camera_rule(), query_rule])
        return RealClip(clip, queries, rows, tuple(records), f"{self.videos[0].name}: {rule}")

    def _frame_rules(self) -> list[str]:
        """Say which frames of either video are kept, and how they were matched."""
        names = ("reference", "target")
        rules = []
        notes = []
        for name, kept, video in zip(names, self.kept, self.videos, strict=True):
            rules.append(f"{name} {self.size.describe_frames(kept, video.num_frames)}")
            if video.note:
                notes.append(f"{name}: {video.note}")
        rules += notes
        if self._target_start_s:
            rules.append(f"the target begins at {self._target_start_s:g} s of the reference")
        faster = names[1 - self._slower]
        return [*rules, f"{faster} frames nearest in time, at most {1000 * self._apart_s:.1f} ms off"]

    def _queries(self, framings: Sequence[Framing]) -> tuple[Float[Tensor, "q 4"], Int[Tensor, " q"], str]:
        path = self.query_choice.path
        if path is None:
            queries = grid_queries(self.query_choice.count, framings[0])
            described = f"{len(queries)} query points on a grid over frame 0 of the reference"
            return queries, torch.arange(len(queries)), described
        views = []
        for video, kept, framing in zip(self.videos, self.kept, framings, strict=True):
            views.append(QueriedView(video.num_frames, kept, framing))
        queries, rows = file_queries(path, views)
        return queries, rows, describe_file_queries(path, len(rows))

    def _read_paths(self) -> tuple[Trajectory, Trajectory]:
        """Return the paths of both views, a pose for every frame kept."""
        still = Trajectory(torch.eye(4).expand(len(self.kept[0]), 4, 4))
        if self.cameras_file is None:
            return still, still
        views = read_views(self.cameras_file, same_length=False)
        if REFERENCE_VIEW not in views:
            want = "the reference's cameras too"
            raise InputError(f"{self.cameras_file}: got the views {list(views)}, want {want}")
        of_reference, of_target = self._kept_frames()
        camera = for_a_video(self.camera)
        reference = fit_path(views[REFERENCE_VIEW], of_reference, camera, str(self.cameras_file))
        target = fit_path(views[TARGET_VIEW], of_target, camera, str(self.cameras_file))
        return reference, target

    def _camera_rule(self) -> str:
        if self.cameras_file is None:
            return "cameras unknown, taken to stand still in one place"
        target = read_views(self.cameras_file, same_length=False)[TARGET_VIEW]
        _, of_target = self._kept_frames()
        return f"cameras of {self.cameras_file}{describe_fit(target, of_target, for_a_video(self.camera))}"

    def _kept_frames(self) -> list[KeptFrames]:
        reference, target = self.videos
        rates = sorted((reference.fps, target.fps))
        shared: tuple[int, ...] = ()
        if rates[1] <= rates[0] * _SAME_RATE and not self._target_start_s:
            # else frame k of the shorter video is another moment than frame k of the longer one
            shared = (min(reference.num_frames, target.num_frames),)
        of_reference = KeptFrames.of(reference, self.kept[0], shared)
        return [of_reference, KeptFrames.of(target, self.kept[1], shared)]


def _match_frames(
    videos: Sequence[FrameSource], times: Sequence[Float[np.ndarray, " _"]], size: VideoSize
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], int]:
    """Return the frames kept of both videos, and which is the slower one.

    Args:
        videos: Reference and target.
        times: Of their frames, in seconds of the reference.
        size: What the model takes.
    """
    # The faster video has a frame near each of the slower one's; the other way some would be taken twice.
    slower = 0 if videos[0].fps <= videos[1].fps * _SAME_RATE else 1
    other = times[1 - slower]
    reach = 0.5 / videos[1 - slower].fps  # a frame stands for half its time before and after
    span = (float(other[0]) - reach, float(other[-1]) + reach)
    name = f"{videos[slower].place}, in the time that {videos[1 - slower].place} shows too"
    moments = size.choose_frames(times[slower].tolist(), name, span)
    matches = tuple(nearest_in_time(other, times[slower][list(moments)]).tolist())
    return ((moments, matches) if slower == 0 else (matches, moments)), slower
