"""Two given videos of one scene, for predict with the tracker."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Subset

from mvt4g.data.asked_views import Request
from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.given_videos import digest_or_none, query_inputs
from mvt4g.data.loading import LoaderSpec, goes_on, raise_if_error
from mvt4g.data.real_clips import RealClip
from mvt4g.data.shares import share_of
from mvt4g.data.sources import FrameSource
from mvt4g.data.video_pairs import VideoPair
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.types import InputError


@dataclass(frozen=True)
class PairRequest:
    """The pair as an item of a list of one.

    Attributes:
        pair: The videos.
        queries: Points to track, as the option gives them.
        target_start_s: When the target's first frame was taken, in seconds of the reference.
    """

    pair: VideoPair
    queries: str
    target_start_s: float

    @property
    def clip(self) -> str:
        """Name of the reference."""
        return self.pair.videos[0].name

    @property
    def camera(self) -> str:
        """Name of the target."""
        return self.pair.videos[1].name

    def inputs(self) -> dict[str, Any]:
        """Return all of the data that the result depends on."""
        reference, target = self.pair.videos
        cameras = self.pair.cameras_file
        assumed = asdict(self.pair.camera)
        del assumed["source"], assumed["source_layout"]  # of a single video alone
        return {
            "source": {"sha256": sha256_of_all(reference.files), "name": self.clip},
            "target": {"sha256": sha256_of_all(target.files), "start_s": self.target_start_s},
            "camera": {"file": None if cameras is None else str(cameras), "sha256": digest_or_none(cameras)},
            "queries": query_inputs(self.queries),
            "size": asdict(self.pair.size),
            "assumed": assumed,
        }


class VideoPairDataModule(LightningDataModule):
    """A reference and a target video, both given: what `predict` of the tracker takes."""

    def __init__(
        self,
        reference: Path,
        target: Path,
        cameras: Path | None = None,
        queries: str = "grid:8",
        size: VideoSize = VideoSize(num_frames=4001),
        camera: CameraAssumption = CameraAssumption(),
        loader: LoaderSpec = LoaderSpec(batch_size=1),
        target_start_s: float = 0.0,
    ) -> None:
        """Take note of where the videos are; they are looked at in ``setup``.

        Args:
            reference: A video file or a folder of frames.
            target: The same scene from elsewhere, likewise; frames are matched by time (``VideoPair``).
            cameras: JSON with the paths of both views, as ``predict`` writes it; None = unknown.
            queries: Points to track: "grid:8" over the reference's first frame, or a .json, .csv or .npz file.
            size: What is taken of the videos (``size.frames``, ``size.fit``); ``num_frames`` is the most that is
                tracked through.
            camera: The field of view where the cameras are not known, and what becomes of paths of another length.
            loader: Few.
            target_start_s: When the target's first frame was taken, in seconds of the reference.
        """
        super().__init__()
        self.reference = reference
        self.target = target
        self.cameras = cameras
        self.queries = queries
        self.size = size
        self.camera = camera
        self.loader = loader
        self.target_start_s = target_start_s
        self.pair: VideoPair | None = None
        self._wanted = True

    def requests(self) -> Sequence[Request]:
        """Return the pair, once ``setup`` has run."""
        assert self.pair is not None, "setup comes first"
        return (PairRequest(self.pair, self.queries, self.target_start_s),) if self._wanted else ()

    def keep(self, places: Iterable[int]) -> None:
        """Leave the pair out, unless it is among the places."""
        self._wanted = bool(list(places))

    def setup(self, stage: str) -> None:
        """Open the videos and check all that needs no frame.

        Raises:
            InputError: If a stage needs true tracks, or a file or option is bad.
        """
        if stage != "predict":
            want = "it for predict alone: it has no tracks"
            raise InputError(f"data: got VideoPairDataModule for {stage}, want {want}")
        if self.camera.source is not None:
            raise InputError(f"camera.source: got {self.camera.source} for a pair of videos, want data.cameras")
        if self.camera.depth is not None:
            raise InputError(f"camera.depth: got {self.camera.depth} for a pair of videos, want null")
        videos = _open_pair(self.reference, self.target, self.size.frames.folder_fps)
        self.pair = VideoPair(
            videos=videos,
            size=self.size,
            cameras=self.cameras,
            queries=self.queries,
            camera=self.camera,
            target_start_s=self.target_start_s,
        )

    def predict_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the pair."""
        assert self.pair is not None, "Lightning calls setup first"
        options: dict[str, Any] = {**self.loader.worker_options(), "collate_fn": RealClip.batch_of_one}
        pairs = Subset(self.pair, [0] if self._wanted else [])
        sampler = share_of(pairs, 1, self.trainer)
        return DataLoader(pairs, batch_size=1, shuffle=False, sampler=sampler, **options)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Hand on what a worker found wrong, which predict reports at its end.

        Raises:
            InputError: The worker's, where there is no trainer to go on.
        """
        return batch if goes_on(self.trainer) else raise_if_error(batch)


def _open_pair(reference: Path, target: Path, folder_fps: float | None) -> tuple[FrameSource, FrameSource]:
    """Open two videos; a folder of frames, which states no rate, has that of a video of as many frames beside it.

    Raises:
        InputError: If one is not there, or a folder's rate is neither told nor plain.
    """
    first = open_video(reference, folder_fps)
    second = open_video(target, folder_fps)
    if folder_fps is not None or reference.is_dir() == target.is_dir():
        return first, second
    folder = reference if reference.is_dir() else target
    if first.num_frames != second.num_frames:
        got = f"{first.num_frames} and {second.num_frames} frames of {reference} and {target}"
        want = "the folder's rate: --data.init_args.size.frames.folder_fps"
        raise InputError(f"{folder}: got {got}, want {want}")
    # Opened anew: the times of a folder's frames follow from its rate.
    if folder == reference:
        return open_video(folder, second.fps), second
    return first, open_video(folder, first.fps)
