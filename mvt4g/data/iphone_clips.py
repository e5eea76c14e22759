"""DyCheck's iPhone scenes as pairs of views: a moving phone's video, and what one that stood still saw meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.crops import framed_clip
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.query_points import QueryChoice, grid_queries
from mvt4g.data.real_clips import RealClip
from mvt4g.data.source_record import SourceRecord
from mvt4g.data.target_cameras import TargetCamera
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.formats.readers import iphone
from mvt4g.geometry.depth_maps import frame_depth
from mvt4g.geometry.framing import Framing
from mvt4g.geometry.pose import compose, invert_pose
from mvt4g.types import REFERENCE, Cameras, InputError, MultiViewClip

FPS = 30.0
"""Of a scene that states none; all of DyCheck's were taken at 30."""


@dataclass(frozen=True)
class IPhonePair:
    """A stretch of time of a scene that the moving phone and one that stood still both saw; a view to be generated.

    Attributes:
        scene: Its folder.
        chunk: Number of the chunk of the moving phone's video that it lies in.
        reference: The moving phone's camera.
        target: The other camera.
        times: Of both, one after the other without a gap.
        size: What the model takes.
        queries: Points to track in the reference: "grid:N".
        seed: Of the noise; None = the model's own.
        several: True where other views of the list are of the same video.
    """

    scene: Path
    chunk: int
    reference: str
    target: str
    times: tuple[str, ...]
    size: VideoSize
    queries: str = "grid:8"
    seed: int | None = None
    several: bool = True

    @property
    def clip(self) -> str:
        """Name of the video: the scene's and the chunk's number."""
        return f"{self.scene.name}-{self.chunk}"

    @property
    def camera(self) -> str:
        """Name of the target camera."""
        return f"cam{int(self.target):02d}"

    @property
    def item(self) -> str:
        """What lists and tables call it."""
        return f"{self.clip}/{self.camera}" + ("" if self.seed is None else f"-s{self.seed}")

    def convention(self) -> str:
        """What the target cameras are relative to: both cameras are measured in one world."""
        return "world"

    def inputs(self) -> dict[str, Any]:
        """Return all of the data that the result depends on."""
        poses = self._files("camera", ".json", (self.reference, self.target))
        size = iphone.size_folder(self.scene)
        depth = list(filter(Path.is_file, self._files(f"depth/{size}", ".npy", (self.reference,))))
        inputs = {
            "source": {"sha256": sha256_of_all(self._pictures()), "name": self.clip},
            "camera": {"trajectory": self.camera, "sha256": sha256_of_all(poses)},
            "queries": {"choice": self.queries, "sha256": None},
            "size": asdict(self.size),
            "times": list(self.times),
        }
        if depth:
            inputs["source_depth"] = {"sha256": sha256_of_all(depth)}
        return inputs

    def read(self) -> RealClip | InputError:
        """Return the reference's video with the cameras of both views, or what is wrong with it."""
        try:
            return self._real_clip()
        except InputError as error:
            error.item = self.item
            return error

    def read_both(self) -> MultiViewClip | InputError:
        """Return the videos of both views with all that is known of them, or what is wrong with them."""
        try:
            whole, framing = self._whole((self.reference, self.target))
        except InputError as error:
            error.item = self.item
            return error
        return replace(framed_clip(whole, [framing] * 2), name=f"{self.clip}_{self.camera}")

    def _real_clip(self) -> RealClip:
        whole, framing = self._whole((self.reference,))
        height_width = (whole.video.shape[-2], whole.video.shape[-1])
        poses = self._files("camera", ".json", (self.target,))
        target_poses = []
        target_intrinsics = []
        for path in poses:  # its pictures are not opened: they are what is to be generated
            camera = iphone.read_camera(path, height_width)
            target_poses.append(camera.cam_from_world)
            target_intrinsics.append(camera.intrinsics)
        both = Cameras(
            torch.stack([whole.cameras.cam_from_world[0], torch.stack(target_poses)]),
            torch.stack([whole.cameras.intrinsics[0], torch.stack(target_intrinsics)]),
        )
        clip = MultiViewClip(
            video=framing.video(whole.video[0])[None],
            depth=None if whole.depth is None else frame_depth(whole.depth[0], framing)[None],
            cameras=Cameras(_from_first(both.cam_from_world), framing.intrinsics(both.intrinsics)),
            name=self.clip,
            fps=whole.fps,
        )
        queries = grid_queries(QueryChoice.parse(self.queries).count, framing)
        numbers = list(map(int, self.times))
        fps = iphone.frame_rate(self.scene) or FPS
        seconds = [number / fps for number in numbers]
        place = self.scene / "rgb" / iphone.size_folder(self.scene)
        record = SourceRecord.of(place, fps, numbers, seconds, framing)
        rule = f"times {numbers[0]} to {numbers[-1]}; {framing.sentence()}; cameras of the scene, in metres"
        target = TargetCamera(self.camera, self.camera)
        rows = torch.arange(len(queries))
        return RealClip(clip, queries, rows, (record,), f"{self.clip}: {rule}", target, self.item, self.seed)

    def _whole(self, cameras: Sequence[str]) -> tuple[MultiViewClip, Framing]:
        """Read pictures at the scene's own size, and say what is to be done to them."""
        ids = []
        for camera in cameras:
            ids.append([f"{camera}_{time}" for time in self.times])
        whole = iphone.read_ids(self.scene, ids)
        whole = replace(whole, fps=whole.fps or FPS)
        return whole, self.size.framing((whole.video.shape[-2], whole.video.shape[-1]), str(self.scene))

    def _pictures(self) -> list[Path]:
        return self._files(f"rgb/{iphone.size_folder(self.scene)}", ".png", (self.reference,))

    def _files(self, folder: str, suffix: str, cameras: Sequence[str]) -> list[Path]:
        return [self.scene / folder / f"{camera}_{time}{suffix}" for camera in cameras for time in self.times]


class IPhonePairs(Dataset[MultiViewClip | InputError]):
    """The pairs as clips of two views, for scores against the true target view.

    Args:
        pairs: Any number.
    """

    def __init__(self, pairs: Sequence[IPhonePair]) -> None:
        self.pairs = tuple(pairs)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def __getitem__(self, index: int) -> MultiViewClip | InputError:
        """Return a clip, or what is wrong with it."""
        return self.pairs[index].read_both()


def find_pairs(scene: Path, size: VideoSize, queries: str, chunks: Sequence[int] = ()) -> Iterator[IPhonePair]:
    """Yield every chunk of a scene from every camera that saw enough of it.

    Chunk k is the frames k N to (k + 1) N - 1 of the moving phone, N = ``size.num_frames``. A phone that stood still
    lacks some of them: the longest stretch without a gap that both saw is taken, cut to ``temporal_stride`` m + 1
    frames. A chunk of which it saw fewer than ``temporal_stride`` + 1 in a row is left out.

    Args:
        scene: Its folder.
        size: What the model takes.
        queries: As ``IPhonePair``.
        chunks: Numbers of those wanted; empty = all.

    Raises:
        InputError: If a split is broken, or the scene has not one moving phone.
    """
    check_size(size)
    moving = iphone.read_split(scene, "train")
    if len(moving) != 1:
        raise InputError(f"{scene}: splits/train.json: got cameras {list(moving)}, want one, the moving phone")
    ((reference, times),) = moving.items()
    standing = iphone.read_split(scene, "val")
    count = size.num_frames
    for chunk in range(-(-len(times) // count)):
        if chunks and chunk not in chunks:
            continue
        shown = times[chunk * count : (chunk + 1) * count]
        for target, seen in standing.items():
            stretch = longest_stretch(shown, seen)
            kept = (len(stretch) - 1) // size.temporal_stride * size.temporal_stride + 1
            if kept > size.temporal_stride:
                yield IPhonePair(scene, chunk, reference, target, stretch[:kept], size, queries)


def longest_stretch(times: Sequence[str], seen: Sequence[str]) -> tuple[str, ...]:
    """Return the longest part of ``times`` all of which is in ``seen``, the first of equally long ones.

    Times that are not one after the other, by number, are not of one stretch.
    """
    there = set(seen)
    best: list[str] = []
    current: list[str] = []
    for time in times:
        if time not in there:
            current = []
            continue
        follows = bool(current) and int(time) == int(current[-1]) + 1
        current = [*current, time] if follows else [time]
        best = current if len(current) > len(best) else best
    return tuple(best)


def check_size(size: VideoSize) -> None:
    """Refuse what chunks leave no room for.

    Raises:
        InputError: If frames are to be chosen within a scene.
    """
    if size.frames != FrameSelection() or size.time != "first":
        raise InputError("size.frames, size.time: got a choice of frames, want none: a scene is cut into chunks")


def _from_first(cam_from_world: Float[Tensor, "v t 4 4"]) -> Float[Tensor, "v t 4 4"]:
    """Return poses whose world is the reference's camera of frame 0."""
    first = invert_pose(cam_from_world[REFERENCE, 0].double())
    return compose(cam_from_world.double(), first.expand_as(cam_from_world)).float()
