"""The camera path that a generated video was asked for, as metrics of cameras compare it with the one that it shows.

The first of these that is there:

1. the target's cameras of the known clip, or of the manifest of ``mvt4g benchmark generate``;
2. the file that ``--asked`` names, one pose a frame of the output;
3. ReCamMaster's camera or the preset that the video's name says, at the layout's speed, over all frames of the output.

A layout whose cameras are relative to the source's camera of each frame keeps the source's motion: the path is then
``source_t * asked_t``, and without the source's cameras the video has no camera errors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from mvt4g.benchmark.aligned_video import AlignedVideo
from mvt4g.benchmark.estimated_files import EstimatedFiles
from mvt4g.benchmark.found_videos import FoundVideo, Method
from mvt4g.formats.foreign.reconstruction import Reconstruction
from mvt4g.geometry.pose import compose, invert_pose, relative_to
from mvt4g.geometry.trajectories import BENCHMARK_CAMERAS, PRESETS, benchmark_trajectory
from mvt4g.types import InputError


class AskedPath(NamedTuple):
    """What a video was asked for.

    Attributes:
        world_from_cam: A pose a scored frame; None = not known.
        reason: Why it is not known.
    """

    world_from_cam: Float[Tensor, "t 4 4"] | None
    reason: str = ""


@dataclass(frozen=True)
class AskedSpec:
    """Where the paths come from that videos were asked for.

    Attributes:
        files: Of paths, as ``--asked`` names them; None = by the camera's name.
        sources: Cameras of the sources, as ``--source_cameras`` names them; None = those of the known clips.
        scale: Units of the source's cameras in a metre of ReCamMaster's cameras.
    """

    files: EstimatedFiles | None = None
    sources: EstimatedFiles | None = None
    scale: float = 1.0

    def path(self, method: Method, video: FoundVideo, aligned: AlignedVideo) -> AskedPath:
        """Return the path of the scored frames, in any world.

        Raises:
            InputError: If a file is broken or has another number of poses.
        """
        known = aligned.videos.target.cam_from_world
        if known is not None:
            return AskedPath(invert_pose(known[0].double()))
        numbers = list(aligned.frames.output)
        whole = self._whole(method, video, aligned.shape.num_frames)
        if whole is None:
            known_names = f"cam01 to {[*BENCHMARK_CAMERAS][-1]}"
            got = f"the name says camera {video.camera!r}" if video.camera else "the name says no camera"
            return AskedPath(None, f"{got}, want {known_names}, or --asked with a file of its path")
        path = whole[numbers].double()
        if method.layout.relative_to == "source_start":
            return AskedPath(path)
        source = self._source(method, video, aligned)
        if source is None:
            reason = "the camera is relative to the source's camera of each frame, which is not known"
            return AskedPath(None, f"{reason} (--source_cameras)")
        return AskedPath(compose(source.double(), path))

    def lens(self, method: Method, video: FoundVideo, aligned: AlignedVideo) -> Float[Tensor, "t 3 3"] | None:
        """Return K of the output by the source's cameras, frame by frame; None where these do not tell it.

        Raises:
            InputError: As ``path``.
        """
        if self.sources is None or aligned.framing is None:
            return None
        place = self.sources.place(method.name, video)
        found = read_of_frames(self.sources, place, max(aligned.frames.source) + 1)
        if found.intrinsics is None or found.image_size is None:
            return None
        lens = found.at_size(aligned.framing.source).intrinsics
        assert lens is not None, "it was looked for"
        return aligned.framing.intrinsics(lens[list(aligned.frames.source)])

    def _whole(self, method: Method, video: FoundVideo, num_frames: int) -> Float[Tensor, "t 4 4"] | None:
        """Return the path of all frames of the output."""
        if self.files is not None:
            found = self.files.read(self.files.place(method.name, video), num_frames)
            return relative_to(found.world_from_cam, found.world_from_cam[0])
        if video.camera not in BENCHMARK_CAMERAS and video.camera not in PRESETS:
            return None
        return benchmark_trajectory(video.camera, num_frames, method.layout.speed, video.strength, self.scale)

    def _source(self, method: Method, video: FoundVideo, aligned: AlignedVideo) -> Float[Tensor, "t 4 4"] | None:
        """Return the source's cameras at the scored frames, from its first camera."""
        known = aligned.videos.reference.cam_from_world
        if known is not None:
            world_from_cam = invert_pose(known[0].double())
            return relative_to(world_from_cam, world_from_cam[0])
        if self.sources is None:
            return None
        place = self.sources.place(method.name, video)
        found = read_of_frames(self.sources, place, max(aligned.frames.source) + 1)
        poses = found.world_from_cam[list(aligned.frames.source)].double()
        if not bool(poses.isfinite().all()):
            raise InputError(f"{place}: got no pose of some frames, want one of every frame that is scored")
        return relative_to(poses, poses[0])


def read_of_frames(files: EstimatedFiles, place: Path, num_frames: int) -> Reconstruction:
    """Read cameras of at least a number of frames.

    Raises:
        InputError: As the reader, or if there are fewer.
    """
    found = files.read(place, None)
    if len(found) < num_frames:
        raise InputError(f"{place}: got {len(found)} poses, want at least {num_frames}")
    return found
