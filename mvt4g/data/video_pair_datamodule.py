"""Two given videos of one scene, for predict with the tracker."""

from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mvt4g.data.loading import LoaderSpec, raise_if_error
from mvt4g.data.real_clips import CameraAssumption, RealClip
from mvt4g.data.sources import FolderSource, FrameSource
from mvt4g.data.video_pairs import VideoPair
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import VideoSource
from mvt4g.formats.images import frame_paths
from mvt4g.types import InputError


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
    ) -> None:
        """Take note of where the videos are; they are looked at in ``setup``.

        Args:
            reference: A video file or a folder of frames.
            target: The same scene at the same times from elsewhere, likewise.
            cameras: JSON with the paths of both views, as ``predict`` writes it; None = unknown.
            queries: Points to track: "grid:8" over the reference's first frame, or a .json, .csv or .npz file.
            size: What videos are cut and resized to; ``num_frames`` is the most that is tracked through.
            camera: The field of view where the cameras are not known.
            loader: Workers.
        """
        super().__init__()
        self.reference, self.target, self.cameras, self.queries = reference, target, cameras, queries
        self.size, self.camera, self.loader = size, camera, loader
        self.pair: VideoPair | None = None

    def setup(self, stage: str) -> None:
        """Open the videos and check all that needs no frame.

        Raises:
            InputError: If a stage needs true tracks, or a file or option is bad.
        """
        if stage != "predict":
            raise InputError(f"data: got VideoPairDataModule for {stage}, want it for predict alone: it has no tracks")
        videos = _open(self.reference), _open(self.target)
        self.pair = VideoPair(videos, self.size, self.cameras, self.queries, self.camera)

    def predict_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the pair."""
        assert self.pair is not None, "Lightning calls setup first"
        options: dict[str, Any] = {**self.loader.worker_options()}
        return DataLoader(self.pair, batch_size=1, shuffle=False, collate_fn=RealClip.batch_of_one, **options)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise here, in the main process, what a worker found wrong.

        Raises:
            InputError: The worker's.
        """
        return raise_if_error(batch)


def _open(video: Path) -> FrameSource:
    if video.is_dir():
        return FolderSource(video.resolve().name, frame_paths(video))
    return VideoSource(video)
