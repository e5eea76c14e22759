"""Real videos as clips with one video and two cameras: what is given, and from where it is to be seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.query_points import QueryChoice, file_queries, grid_queries, mask_queries
from mvt4g.data.source_record import SourceRecord
from mvt4g.data.sources import FrameSource
from mvt4g.data.video_size import VideoSize, describe_frames
from mvt4g.formats.track_files import read_queries
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW, Trajectory, read_views
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.pose import invert_pose, relative_to
from mvt4g.geometry.trajectories import PRESETS, preset_trajectory
from mvt4g.types import Cameras, InputError, MultiViewClip, _TensorFields


@dataclass(frozen=True)
class CameraAssumption:
    """What a real video does not say of its camera, and how far a preset moves.

    Attributes:
        fov_deg: Horizontal field of view of the whole source frame, for both views, where no file gives intrinsics.
        strength: Factor on a preset's motion.
        scale: Scene units per metre of a preset.
    """

    fov_deg: float = 60.0
    strength: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        if not 0 < self.fov_deg < 180:
            raise InputError(f"camera.fov_deg: got {self.fov_deg}, want an angle in (0, 180)")


@dataclass(frozen=True)
class RealClip(_TensorFields):
    """A real video with the target cameras it is to be seen from and the points to track.

    Attributes:
        clip: One video, the reference's (v = 1; so are ``instances`` and ``dynamic``), or those of both views where the
            target's is given (``VideoPair``); two views of cameras in any case: 0 the reference's, 1 the target's. The
            world is the reference camera of frame 0. ``dynamic`` is where the annotation has an object.
        queries: (view, frame, x, y) in pixels and frames of the clip; the view has a video.
        query_rows: Row of each query in the file it came from, else its own number.
        sources: What each view that has a video was taken from.
        rule: What was done to make the source fit the model, in words for people.
    """

    clip: MultiViewClip
    queries: Float[Tensor, "*b q 4"]
    query_rows: Int[Tensor, "*b q"]
    sources: tuple[SourceRecord, ...]
    rule: str

    @staticmethod
    def batch_of_one(items: "Sequence[RealClip | InputError]") -> "RealClip | InputError":
        """Give a clip a batch axis of 1, or hand on the error in its place: real clips differ in their queries."""
        (item,) = items
        if isinstance(item, InputError):
            return item
        clip, queries, rows = MultiViewClip.stack([item.clip]), item.queries[None], item.query_rows[None]
        return replace(item, clip=clip, queries=queries, query_rows=rows)


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
            trajectory: A preset's name, a JSON path, or ReCamMaster's "camera_extrinsics.json:cam03". A file has a
                pose for each frame kept, or for each frame of the source, of which those of the frames kept are taken.
            queries: "mask", "mask:16", "grid:8", or the path of a file in pixels and frames of the source.
            camera: What the videos do not say.

        Raises:
            InputError: If the trajectory or the queries are bad, or a video is too short.
        """
        self.sources, self.size, self.camera = tuple(sources), size, camera
        self.query_choice = QueryChoice.parse(queries)
        if self.query_choice.path is not None:
            read_queries(self.query_choice.path)
        self._kept = tuple(size.choose_frames(source.num_frames, str(source.place)) for source in self.sources)
        self._preset, self._views = trajectory, _read_trajectory(trajectory)
        for source, kept in zip(self.sources, self._kept, strict=True):
            self._paths(source, kept)

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.sources)

    def __getitem__(self, index: int) -> RealClip | InputError:
        """Return a clip, or what is wrong with it."""
        try:
            return self._clip(self.sources[index], self._kept[index])
        except InputError as error:
            return error

    def _clip(self, source: FrameSource, kept: tuple[int, ...]) -> RealClip:
        video = source.read(kept)
        framing = self.size.framing((video.shape[-2], video.shape[-1]), str(source.place))
        instances = _read_masks(source, kept, framing)
        queries, rows, query_rule = self._queries(source, kept, framing, instances)
        clip = MultiViewClip(
            video=framing.video(video)[None],
            cameras=self._cameras(source, kept, framing),
            name=source.name,
            instances=None if instances is None else instances[None],
            dynamic=None if instances is None else (instances > 0)[None],
            fps=source.fps,
        )
        rule = "; ".join(
            [describe_frames(kept, source.num_frames), framing.sentence(), self._camera_rule(), query_rule]
        )
        return RealClip(clip, queries, rows, (source.record(kept, framing),), f"{source.name}: {rule}")

    def _queries(
        self, source: FrameSource, kept: Sequence[int], framing: Framing, instances: Tensor | None
    ) -> tuple[Tensor, Tensor, str]:
        choice = self.query_choice
        if choice.path is not None:
            queries, rows = file_queries(choice.path, source.num_frames, kept, [framing])
            total = len(read_queries(choice.path))
            lost = f", {total - len(rows)} lie in what is cut away" if len(rows) < total else ""
            return queries, rows, f"{len(rows)} of {total} query points of {choice.path.name}{lost}"
        if choice.kind == "grid":
            queries = grid_queries(choice.count, *framing.size)
            return queries, torch.arange(len(queries)), f"{len(queries)} query points on a grid over frame 0"
        masks = instances if instances is not None else _read_masks(source, kept[:1], framing)
        if masks is None:
            raise InputError(f"{source.place}: queries: got 'mask' without masks, want 'grid:N' or a file")
        queries = mask_queries(masks > 0, choice.count, source.name)
        described = f"{len(queries)} query points on the mask of frame {int(queries[0, 1])}"
        return queries, torch.arange(len(queries)), described

    def _cameras(self, source: FrameSource, kept: Sequence[int], framing: Framing) -> Cameras:
        reference, target = self._paths(source, kept)
        world_from_cam = torch.stack([reference.world_from_cam, target.world_from_cam])
        assumed = framing.intrinsics(intrinsics_from_fov(math.radians(self.camera.fov_deg), *framing.source))
        intrinsics = [framed_intrinsics(path, framing, assumed, self._preset) for path in (reference, target)]
        return Cameras(
            invert_pose(relative_to(world_from_cam, reference.world_from_cam[0].expand(2, 4, 4))),
            torch.stack(intrinsics),
        )

    def _paths(self, source: FrameSource, kept: Sequence[int]) -> tuple[Trajectory, Trajectory]:
        """Return the paths of reference and target, a pose for every frame kept."""
        still = Trajectory(torch.eye(4).expand(len(kept), 4, 4))
        if self._views is None:
            preset = preset_trajectory(self._preset, len(kept), self.camera.strength, self.camera.scale)
            return still, Trajectory(preset)
        count = len(self._views[TARGET_VIEW].world_from_cam)
        if count not in (len(kept), source.num_frames):
            want = f"{len(kept)}, one per frame kept, or {source.num_frames}, one per frame of {source.place}"
            raise InputError(f"{self._preset}: got {count} poses, want {want}")
        chosen = list(range(count)) if count == len(kept) else list(kept)
        views = {name: pick_frames(path, chosen) for name, path in self._views.items()}
        return views.get(REFERENCE_VIEW, still), views[TARGET_VIEW]

    def _camera_rule(self) -> str:
        if self._views is not None and all(path.intrinsics is not None for path in self._views.values()):
            return f"cameras of {self._preset}"
        return f"target cameras {self._preset}, the source frame taken to be {self.camera.fov_deg:g} degrees wide"


def _read_masks(source: FrameSource, frames: Sequence[int], framing: Framing) -> Int[Tensor, "t h w"] | None:
    """Read object ids and frame them as the video is."""
    masks = source.read_masks(frames)
    if masks is None:
        return None
    height, width = masks.shape[-2:]
    if (height, width) != framing.source:
        want = f"{framing.source[1]}x{framing.source[0]} as the frames have"
        raise InputError(f"{source.place}: got masks of {width}x{height}, want {want}")
    return framing.nearest(masks)


def _read_trajectory(text: str) -> dict[str, Trajectory] | None:
    """Read the views of a trajectory file; None for a preset."""
    if text in PRESETS:
        return None
    path, separator, camera = text.rpartition(":")
    if not (separator and path.endswith(".json")):
        path, camera = text, ""
    if not path.endswith(".json"):
        raise InputError(f"trajectory: got {text!r}, want a .json file or one of {', '.join(PRESETS)}")
    return read_views(Path(path), camera or None)


def framed_intrinsics(path: Trajectory, framing: Framing, assumed: Tensor, what: str) -> Float[Tensor, "t 3 3"]:
    """Return K in pixels of the framed video: the file's, which may be for the source or for the framed size.

    Args:
        path: Of one view.
        framing: Of its video.
        assumed: K of the framed video where the file has none.
        what: The file, for messages.

    Raises:
        InputError: If the file's K are for pictures of another size.
    """
    if path.intrinsics is None:
        return assumed.expand(len(path.world_from_cam), 3, 3)
    if path.image_size == framing.size:
        return path.intrinsics
    if path.image_size == framing.source:
        return framing.intrinsics(path.intrinsics)
    want = f"{list(framing.source)}, the video's, or {list(framing.size)}, the model's"
    raise InputError(f"{what}: image_size: got {list(path.image_size or ())}, want {want}")


def pick_frames(path: Trajectory, frames: Sequence[int]) -> Trajectory:
    """Return the path at some of its frames."""
    intrinsics = None if path.intrinsics is None else path.intrinsics[list(frames)]
    return replace(path, world_from_cam=path.world_from_cam[list(frames)], intrinsics=intrinsics)
