"""DAVIS, a video file or a folder of frames, for test and predict."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.loading import LoaderSpec, raise_if_error
from mvt4g.data.real_clips import RealClip, RealClips
from mvt4g.data.sources import DAVIS_FPS, FolderSource, FrameSource
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.types import InputError


class DAVISDataModule(LightningDataModule):
    """Real videos one at a time, for test (what needs no true target view) and predict.

    Batches are ``RealClip``s with a batch axis of 1, whatever ``loader.batch_size`` says. There is nothing to train on:
    a real video has no true target view.
    """

    def __init__(
        self,
        root: Path | None = None,
        video: Path | None = None,
        trajectory: str = "arc_left",
        queries: str = "grid:8",
        size: VideoSize = VideoSize(),
        camera: CameraAssumption = CameraAssumption(),
        loader: LoaderSpec = LoaderSpec(),
        sequences: Sequence[str] = (),
    ) -> None:
        """Take note of where the videos are; they are looked at in ``setup``.

        Args:
            root: Holds JPEGImages, and perhaps Annotations and ImageSets, of DAVIS 2016 or 2017.
            video: A video file or a folder of frames, instead of ``root``.
            trajectory: "cam01" to "cam10", a preset's name, a JSON path, or "camera_extrinsics.json:cam03".
            queries: Points to track: "mask", "mask:16", "grid:8", or the path of a .json, .csv or .npz file.
            size: What the model takes: which frames (``size.frames``), and how pictures are fitted (``size.fit``).
            camera: What a video does not say of its camera, and what becomes of a path of another length.
            loader: Workers.
            sequences: Of ``root``: names, or sets of ImageSets ("val"); empty = all.
        """
        super().__init__()
        self.root, self.video, self.sequences = root, video, sequences
        self.trajectory, self.queries, self.size, self.camera, self.loader = trajectory, queries, size, camera, loader
        self.clips: RealClips | None = None

    def setup(self, stage: str) -> None:
        """Find the videos and check all that needs no frame.

        Raises:
            InputError: If a stage needs a true target view, or a file or option is bad.
        """
        if stage in ("fit", "validate"):
            raise InputError(
                f"data: got DAVISDataModule for {stage}, want KubricDataModule: real videos have no true target"
            )
        if self.clips is None:
            sources = _open_sources(self.root, self.video, self.sequences, self.size.frames.folder_fps)
            self.clips = RealClips(sources, self.size, self.trajectory, self.queries, self.camera)

    def test_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the videos in order."""
        return self._loader()

    def predict_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the videos in order."""
        return self._loader()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Raise here, in the main process, what a worker found wrong.

        Raises:
            InputError: The worker's.
        """
        return raise_if_error(batch)

    def _loader(self) -> DataLoader[RealClip | InputError]:
        assert self.clips is not None, "Lightning calls setup first"
        options: dict[str, Any] = {**self.loader.worker_options()}
        return DataLoader(self.clips, batch_size=1, shuffle=False, collate_fn=RealClip.batch_of_one, **options)


def _open_sources(
    root: Path | None, video: Path | None, sequences: Sequence[str] = (), folder_fps: float | None = None
) -> tuple[FrameSource, ...]:
    """Open the sequences of a DAVIS root, or one video file or folder of frames, without reading a frame.

    Raises:
        InputError: If not exactly one of ``root`` and ``video`` is given, or what is given is not there.
    """
    if (root is None) == (video is None):
        raise InputError(f"data.root, data.video: got {root} and {video}, want one of them")
    if root is not None:
        listed = list_sequences(root, sequences)
        fps = folder_fps or DAVIS_FPS
        return tuple(FolderSource(sequence.name, sequence.frames, sequence.masks, fps) for sequence in listed)
    assert video is not None, "one of them is given"
    if sequences:
        raise InputError(f"data.sequences: got {list(sequences)} with data.video, want them with data.root only")
    return (open_video(video, folder_fps),)
