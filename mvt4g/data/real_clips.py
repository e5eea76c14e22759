"""Real videos as clips with one video and two cameras: what is given, and from where it is to be seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.camera_paths import CameraAssumption, CameraChoice, KeptFrames, framed_cameras
from mvt4g.data.query_points import (
    QueriedView,
    QueryChoice,
    describe_file_queries,
    file_queries,
    grid_queries,
    mask_queries,
)
from mvt4g.data.source_cameras import SourceCameras, read_source_cameras, source_camera_file
from mvt4g.data.source_depth import read_source_depth
from mvt4g.data.source_record import SourceRecord
from mvt4g.data.sources import FrameSource
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.file_tensors import roomy
from mvt4g.formats.track_files import read_queries
from mvt4g.geometry.framing import Framing
from mvt4g.tensor_fields import TensorFields
from mvt4g.types import InputError, MultiViewClip


@dataclass(frozen=True)
class RealClip(TensorFields):
    """A real video with the target cameras it is to be seen from and the points to track.

    Attributes:
        clip: One video, the reference's (v = 1, as of ``depth``, ``instances``, ``dynamic``), or those of both views
            where the target's is given (``VideoPair``); two views of cameras in any case: 0 the reference's, 1 the
            target's. The world is the reference camera of frame 0. ``dynamic`` is where the annotation has an object.
        queries: (view, frame, x, y) in pixels and frames of the clip; the view has a video.
        query_rows: Row of each query in the file it came from, else its own number.
        sources: What each view that has a video was taken from.
        rule: What was done to make the source fit the model, in words for people.
        camera: Which target cameras were asked for; None where a target video is given.
        item: What lists and tables call it; "" = as the clip.
        seed: Of the noise that its target view is made from; None = the model's own.
    """

    clip: MultiViewClip
    queries: Float[Tensor, "*b q 4"]
    query_rows: Int[Tensor, "*b q"]
    sources: tuple[SourceRecord, ...]
    rule: str
    camera: TargetCamera | None = None
    item: str = ""
    seed: int | None = None

    @staticmethod
    def batch_of_one(items: "Sequence[RealClip | InputError]") -> "RealClip | InputError":
        """Give a clip a batch axis of 1, or hand on the error in its place: real clips differ in their queries."""
        (item,) = items
        if isinstance(item, InputError):
            return item
        clip = MultiViewClip.stack([item.clip])
        return replace(item, clip=clip, queries=item.queries[None], query_rows=item.query_rows[None])


class RealClips(Dataset[RealClip | InputError]):
    """Videos of any size and length, cut and resized to what a model takes.

    All that can be wrong without reading a frame is found at construction; what is found later comes back as an
    ``InputError`` item, since raising in a DataLoader worker would wrap it.
    """

    def __init__(
        self,
        sources: Sequence[FrameSource],
        size: VideoSize,
        trajectory: str,
        queries: str,
        camera: CameraAssumption,
    ) -> None:
        """Describe the clips; no frame is read yet.

        Args:
            sources: The videos.
            size: What the model takes.
            trajectory: "cam01" to "cam10", a preset's name, a JSON path, or "camera_extrinsics.json:cam03". A file has
                moves (docs/cameras.md), or poses: one, or one for each frame kept or for each frame of the source, of
                which those of the frames kept are taken; a path of another length is resampled where
                ``camera.resample`` says how.
            queries: "mask", "mask:16", "grid:8", or the path of a file in pixels and frames of the source.
            camera: What the videos do not say.

        Raises:
            InputError: If the trajectory or the queries are bad, or a video is too short.
        """
        self.sources = tuple(sources)
        self.size = size
        self.camera = camera
        self.query_choice = QueryChoice.parse(queries)
        if self.query_choice.path is not None:
            read_queries(self.query_choice.path)
        self._kept: list[tuple[int, ...]] = []
        self._own: list[SourceCameras | None] = []
        for source in self.sources:
            self._kept.append(size.choose_frames(source.times_s, str(source.place)))
        self.target = CameraChoice.parse(trajectory)
        for source, kept in zip(self.sources, self._kept, strict=True):
            own = self._own_cameras(source)
            self._own.append(own)
            self.target.paths(KeptFrames.of(source, kept), camera, own)  # raises what is wrong with them

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.sources)

    def __getitem__(self, index: int) -> RealClip | InputError:
        """Return a clip, or what is wrong with it."""
        try:
            return self._clip(self.sources[index], self._kept[index], self._own[index])
        except InputError as error:
            return error

    def read(self, index: int, kept: tuple[int, ...]) -> RealClip:
        """Return a clip of other frames than those that ``size`` chooses.

        Args:
            index: Of the video.
            kept: Numbers of its frames.

        Raises:
            InputError: If a file is broken, or a camera of a frame is not known.
        """
        return self._clip(self.sources[index], kept, self._own[index])

    def _own_cameras(self, source: FrameSource) -> SourceCameras | None:
        """Return the cameras of a source's file; None where none is given."""
        if self.camera.source is None:
            return None
        file = source_camera_file(self.camera.source, source.name)
        return read_source_cameras(file, self.camera.source_layout, source)

    def _camera_files(self) -> str:
        """Return what messages call the files that intrinsics may be from."""
        if self.camera.source is None:
            return self.target.text
        return f"{self.camera.source}, {self.target.text}"

    def _clip(self, source: FrameSource, kept: tuple[int, ...], own: SourceCameras | None) -> RealClip:
        video = roomy(1, len(kept), 3, self.size.height, self.size.width)
        framing = source.read_into(video[0], kept, self.size)
        instances = source.read_masks(kept, framing)
        # Points on masks need the masks as the model sees them.
        queries, rows, query_rule = self._queries(source, kept, framing, instances)
        frames = KeptFrames.of(source, kept)
        paths = self.target.paths(frames, self.camera, own)
        depth, depth_notes = self._depth(source, kept, framing)
        clip = MultiViewClip(
            video=video,
            cameras=framed_cameras(paths, (framing, framing), self.camera, self._camera_files()),
            name=source.name,
            depth=depth,
            instances=None if instances is None else instances[None],
            dynamic=None if instances is None else (instances > 0)[None],
            fps=source.rate(kept),
        )
        parts = [self.size.describe_frames(kept, source.num_frames), source.note, framing.sentence()]
        parts.append(self.target.sentence(frames, self.camera))
        if own is not None:
            parts += own.notes
        parts += depth_notes
        rule = "; ".join(filter(None, [*parts, query_rule]))
        return RealClip(clip, queries, rows, (source.record(kept, framing),), f"{source.name}: {rule}")

    def _depth(
        self, source: FrameSource, kept: tuple[int, ...], framing: Framing
    ) -> tuple[Float[Tensor, "1 t h w"] | None, tuple[str, ...]]:
        """Return depth of the one view, and what is to be said of it."""
        if self.camera.depth is None:
            return None, ()
        depth, notes = read_source_depth(self.camera.depth, source, kept, framing)
        return depth[None], (f"depth of {self.camera.depth}", *notes)

    def _queries(
        self, source: FrameSource, kept: Sequence[int], framing: Framing, instances: Int[Tensor, "t h w"] | None
    ) -> tuple[Float[Tensor, "q 4"], Int[Tensor, " q"], str]:
        choice = self.query_choice
        if choice.path is not None:
            queries, rows = file_queries(choice.path, [QueriedView(source.num_frames, kept, framing)])
            return queries, rows, describe_file_queries(choice.path, len(rows))
        if choice.kind == "grid":
            queries = grid_queries(choice.count, framing)
            described = f"{len(queries)} query points on a grid over frame 0"
            return queries, torch.arange(len(queries)), described
        # A video whose first frame alone is annotated has no instances, but points on its mask.
        masks = instances if instances is not None else source.read_masks(kept[:1], framing)
        if masks is None:
            want = "'grid:N' or a file"
            raise InputError(f"{source.place}: queries: got 'mask' without masks, want {want}")
        queries = mask_queries(masks > 0, choice.count, source.name)
        described = f"{len(queries)} query points on the mask of frame {int(queries[0, 1])}"
        return queries, torch.arange(len(queries)), described
