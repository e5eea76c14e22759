"""A list of given videos, each from one or several target cameras: what test and predict go through."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mvt4g.data.asked_views import AskedViews
from mvt4g.data.camera_paths import CameraAssumption, CameraChoice
from mvt4g.data.query_points import QueryChoice
from mvt4g.data.real_clips import RealClip, RealClips
from mvt4g.data.source_cameras import source_camera_file, source_camera_files
from mvt4g.data.source_depth import source_depth_file, source_depth_files
from mvt4g.data.sources import FrameSource
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.data.video_places import video_name
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.formats.images import frame_paths
from mvt4g.types import InputError


@dataclass(frozen=True)
class ViewSettings:
    """What is the same of every item.

    Attributes:
        size: What the model takes.
        queries: Points to track, as the option gives them.
        camera: What the videos do not say.
    """

    size: VideoSize
    queries: str
    camera: CameraAssumption


@dataclass(frozen=True)
class ViewRequest:
    """One video to be seen from one camera path.

    Attributes:
        source: The video, or its place where it is opened when its turn comes.
        target: The camera path.
        settings: What is the same of every item.
        several: True where other items see the same video, from other cameras or other noise.
        seed: Of the noise; None = the model's own.
    """

    source: FrameSource | Path
    target: TargetCamera
    settings: ViewSettings
    several: bool = False
    seed: int | None = None

    @property
    def clip(self) -> str:
        """Name of the video."""
        return self.source.name if isinstance(self.source, FrameSource) else video_name(self.source)

    @property
    def camera(self) -> str:
        """Name of the camera path."""
        return self.target.name

    @property
    def item(self) -> str:
        """What lists and tables call it."""
        if not self.several:
            return self.clip
        return f"{self.clip}/{self.camera}" + ("" if self.seed is None else f"-s{self.seed}")

    def convention(self) -> str:
        """What the target cameras are relative to.

        Raises:
            InputError: If the trajectory is none.
        """
        return CameraChoice.parse(self.target.text).relative_to

    def clips(self) -> RealClips:
        """Open the video, without reading a frame.

        Raises:
            InputError: As ``RealClips``.
        """
        settings = self.settings
        source = self.source
        if not isinstance(source, FrameSource):
            source = open_video(source, settings.size.frames.folder_fps)
        return RealClips((source,), settings.size, self.target.text, settings.queries, settings.camera)

    def read(self) -> RealClip | InputError:
        """Return the clip, or what is wrong with it."""
        try:
            clip = self.clips()[0]
        except InputError as error:
            clip = error
        if isinstance(clip, InputError):
            clip.item = self.item
            return clip
        return replace(clip, camera=self.target, item=self.item, seed=self.seed)

    def inputs(self) -> dict[str, Any]:
        """Return all of the data that the result depends on."""
        settings = self.settings
        assumed = asdict(settings.camera)
        own = assumed.pop("source")
        layout = assumed.pop("source_layout")
        depth = assumed.pop("depth")
        inputs = {
            "source": {"sha256": sha256_of_all(self._files()), "name": self.clip},
            "camera": {"trajectory": self.target.name, "sha256": digest_or_none(self.target.file)},
            "queries": query_inputs(settings.queries),
            "size": asdict(settings.size),
            "assumed": assumed,
        }
        files = [] if own is None else source_camera_files(source_camera_file(own, self.clip), layout)
        if files:
            inputs["source_cameras"] = {"layout": layout, "sha256": sha256_of_all(files)}
        if depth is not None:
            inputs["source_depth"] = {"sha256": self._depth_digest(depth)}
        return inputs

    def _depth_digest(self, depth: str) -> str:
        """Return the checksum of the files of the video's depth.

        Raises:
            InputError: If there are none.
        """
        files = source_depth_files(depth, self.clip)
        if not files:
            raise InputError(f"{source_depth_file(depth, self.clip)}: no such file, want the depth of {self.clip}")
        return sha256_of_all(files)

    def _files(self) -> Sequence[Path]:
        if isinstance(self.source, FrameSource):
            return self.source.files
        return frame_paths(self.source) if self.source.is_dir() else [self.source]


class GivenVideos(AskedViews[ViewRequest]):
    """Requests in order: every video from every camera, video by video.

    What is wrong with one comes back as an ``InputError`` item that names it, so that the others go on. What is wrong
    with all of them, or with the only one, is found at construction as far as no frame need be read for it.

    Args:
        requests: At least one.

    Raises:
        InputError: If the trajectories, the queries or the only video is bad.
    """

    def __init__(self, requests: Sequence[ViewRequest]) -> None:
        super().__init__(requests)
        self._check(self.requests)

    @staticmethod
    def _check(requests: Sequence[ViewRequest]) -> None:
        checked = set()
        faults = []
        for request in requests:
            settings = request.settings
            # Trajectory and queries are many videos' own: without a video they are checked once.
            if (request.target, settings) not in checked:
                RealClips((), settings.size, request.target.text, settings.queries, settings.camera)
                checked.add((request.target, settings))
        for request in requests:
            # A video that is not open yet is not opened for this, unless it is the only one.
            if isinstance(request.source, FrameSource) or len(requests) == 1:
                try:
                    request.clips()
                except InputError as error:
                    faults.append(error)
        if faults and len(faults) == len(requests):
            raise faults[0]


def query_inputs(queries: str) -> dict[str, str | None]:
    """Return what a result depends on of an option for queries: the option, or the content of the file it names."""
    path = QueryChoice.parse(queries).path
    return {"choice": queries if path is None else "file", "sha256": digest_or_none(path)}


def digest_or_none(path: Path | None) -> str | None:
    """Return the SHA-256 of a file, None for none."""
    return None if path is None else sha256_of_all([path])
