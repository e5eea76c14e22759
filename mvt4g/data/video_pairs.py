"""Two videos of one scene as a clip: a reference and a target that are both given, to be tracked in."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.query_points import QueryChoice, file_queries, grid_queries
from mvt4g.data.real_clips import CameraAssumption, RealClip, framed_intrinsics, pick_frames
from mvt4g.data.sources import FrameSource
from mvt4g.data.video_size import VideoSize, describe_frames
from mvt4g.formats.track_files import read_queries
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.pose import invert_pose, relative_to
from mvt4g.types import Cameras, InputError, MultiViewClip


class VideoPair(Dataset[RealClip | InputError]):
    """One pair of videos, frame t of one taken at the time of frame t of the other, each cut to what the model takes.

    What is found wrong when frames are read comes back as an ``InputError`` item, as from ``RealClips``.
    """

    def __init__(
        self,
        videos: tuple[FrameSource, FrameSource],
        size: VideoSize,
        cameras: Path | None,
        queries: str,
        camera: CameraAssumption,
    ) -> None:
        """Describe the pair; no frame is read yet.

        Args:
            videos: Reference and target; of the longer one the end is left out.
            size: What the model takes.
            cameras: JSON of our own form with both views, a pose for each frame kept or for each frame of the videos;
                None = unknown, and both are taken to stand still in one place.
            queries: "grid:8" over the reference's first frame, or the path of a file in pixels and frames of the
                sources, of either view.
            camera: The field of view where no file gives intrinsics.

        Raises:
            InputError: If cameras or queries are bad, or a video is too short.
        """
        self.videos, self.size, self.cameras_file, self.camera = videos, size, cameras, camera
        self.query_choice = QueryChoice.parse(queries)
        if self.query_choice.kind == "mask":
            raise InputError("queries: got 'mask' for a pair of videos, want 'grid:N' or a file")
        if self.query_choice.path is not None:
            read_queries(self.query_choice.path)
        self.num_frames = min(video.num_frames for video in videos)
        self.kept = size.choose_frames(self.num_frames, str(videos[0].place))
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
        frames = [video.read(self.kept) for video in self.videos]
        framings = [
            self.size.framing((video.shape[-2], video.shape[-1]), str(source.place))
            for video, source in zip(frames, self.videos, strict=True)
        ]
        queries, rows, query_rule = self._queries(framings)
        reference = self.videos[0]
        clip = MultiViewClip(
            video=torch.stack([framing.video(video) for framing, video in zip(framings, frames, strict=True)]),
            cameras=self._cameras(framings),
            name=reference.name,
            fps=reference.fps,
        )
        known = "cameras unknown, taken to stand still in one place"
        parts = [describe_frames(self.kept, self.num_frames), f"reference {framings[0].sentence()}"]
        parts += [f"target {framings[1].sentence()}", f"cameras of {self.cameras_file}" if self.cameras_file else known]
        rule = f"{reference.name}: {'; '.join([*parts, query_rule])}"
        records = [source.record(self.kept, framing) for source, framing in zip(self.videos, framings, strict=True)]
        return RealClip(clip, queries, rows, tuple(records), rule)

    def _queries(self, framings: Sequence[Framing]) -> tuple[Float[Tensor, "q 4"], Int[Tensor, " q"], str]:
        path = self.query_choice.path
        if path is None:
            queries = grid_queries(self.query_choice.count, *framings[0].size)
            described = f"{len(queries)} query points on a grid over frame 0 of the reference"
            return queries, torch.arange(len(queries)), described
        queries, rows = file_queries(path, self.num_frames, self.kept, framings)
        return queries, rows, f"{len(rows)} of {len(read_queries(path))} query points of {path.name}"

    def _read_paths(self) -> tuple[Trajectory, Trajectory]:
        """Return the paths of both views, a pose for every frame kept."""
        if self.cameras_file is None:
            still = Trajectory(torch.eye(4).expand(len(self.kept), 4, 4))
            return still, still
        views = read_views(self.cameras_file)
        if REFERENCE_VIEW not in views:
            raise InputError(f"{self.cameras_file}: got the views {list(views)}, want the reference's cameras too")
        count = len(views[TARGET_VIEW].world_from_cam)
        if count < self.num_frames and count != len(self.kept):
            want = f"{len(self.kept)}, one per frame kept, or {self.num_frames}, one per frame of the videos"
            raise InputError(f"{self.cameras_file}: got {count} poses, want {want}")
        chosen = range(count) if count == len(self.kept) else self.kept
        return pick_frames(views[REFERENCE_VIEW], chosen), pick_frames(views[TARGET_VIEW], chosen)

    def _cameras(self, framings: Sequence[Framing]) -> Cameras:
        world_from_cam = torch.stack([path.world_from_cam for path in self.paths])
        fov, what = math.radians(self.camera.fov_deg), str(self.cameras_file)
        intrinsics = [
            framed_intrinsics(path, framing, framing.intrinsics(intrinsics_from_fov(fov, *framing.source)), what)
            for path, framing in zip(self.paths, framings, strict=True)
        ]
        return Cameras(
            invert_pose(relative_to(world_from_cam, self.paths[0].world_from_cam[0].expand(2, 4, 4))),
            torch.stack(intrinsics),
        )
