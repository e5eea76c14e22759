"""DAVIS, video files or folders of frames, for test and predict."""

from collections.abc import Sequence
from pathlib import Path

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from mvt4g.data.asked_views import AsksForViews
from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.given_videos import GivenVideos, ViewRequest, ViewSettings
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.real_clips import RealClip
from mvt4g.data.source_cameras import check_source
from mvt4g.data.source_depth import check_depth
from mvt4g.data.sources import DAVIS_FPS, FolderSource, FrameSource
from mvt4g.data.target_cameras import target_cameras
from mvt4g.data.video_places import find_videos
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.formats.readers.davis import list_sequences
from mvt4g.types import InputError


class DAVISDataModule(AsksForViews[ViewRequest], LightningDataModule):
    """Real videos one at a time, for test (what needs no true target view) and predict.

    Batches are ``RealClip``s with a batch axis of 1, whatever ``loader.batch_size`` says. There is nothing to train on:
    a real video has no true target view.
    """

    def __init__(
        self,
        root: Path | None = None,
        video: Path | None = None,
        trajectory: list[str] | str = "arc_left",
        queries: str = "grid:8",
        size: VideoSize = VideoSize(),
        camera: CameraAssumption = CameraAssumption(),
        loader: LoaderSpec = LoaderSpec(),
        sequences: Sequence[str] = (),
    ) -> None:
        """Take note of where the videos are; they are looked at in ``setup``.

        Args:
            root: Holds JPEGImages, and perhaps Annotations and ImageSets, of DAVIS 2016 or 2017.
            video: Instead of ``root``: a video file, a folder of frames; or many of these by a folder that holds them,
                a pattern ("videos/*.mp4") or a list (.txt, one a line).
            trajectory: "cam01" to "cam10", a preset's name, a JSON path, or "camera_extrinsics.json:cam03"; or a list
                of these, from each of which every video is seen.
            queries: Points to track: "mask", "mask:16", "grid:8", or the path of a .json, .csv or .npz file.
            size: What the model takes: which frames (``size.frames``), and how pictures are fitted (``size.fit``).
            camera: What a video does not say of its camera, its depth, and what becomes of a path of another length.
            loader: Few.
            sequences: Of ``root``: names, or sets of ImageSets ("val"); empty = all.
        """
        super().__init__()
        self.root = root
        self.video = video
        self.sequences = sequences
        self.trajectory = trajectory
        self.queries = queries
        self.size = size
        self.camera = camera
        self.loader = loader

    def setup(self, stage: str) -> None:
        """Find the videos and check all that needs no frame.

        Raises:
            InputError: If a stage needs a true target view, or a file or option is bad.
        """
        if stage in ("fit", "validate"):
            want = "KubricDataModule: real videos have no true target"
            raise InputError(f"data: got DAVISDataModule for {stage}, want {want}")
        if self.clips is None:
            sources = _find_sources(self.root, self.video, self.sequences, self.size.frames.folder_fps)
            check_source(self.camera.source, len(sources))
            check_depth(self.camera.depth, len(sources))
            cameras = target_cameras(self.trajectory)
            settings = ViewSettings(self.size, self.queries, self.camera)
            requests = []
            for source in sources:
                for target in cameras:
                    requests.append(ViewRequest(source, target, settings, several=len(cameras) > 1))
            self.clips = GivenVideos(requests)

    def test_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the videos in order, each to one rank."""
        return self.view_loader()

    def predict_dataloader(self) -> DataLoader[RealClip | InputError]:
        """Return the videos in order, each to one rank."""
        return self.view_loader()


def _find_sources(
    root: Path | None, video: Path | None, sequences: Sequence[str] = (), folder_fps: float | None = None
) -> Sequence[FrameSource | Path]:
    """Find the sequences of a DAVIS root or the videos that ``video`` means; only a single one is opened here.

    Raises:
        InputError: If not exactly one of ``root`` and ``video`` is given, or what is given is not there.
    """
    if (root is None) == (video is None):
        raise InputError(f"data.root, data.video: got {root} and {video}, want one of them")
    if root is not None:
        listed = list_sequences(root, sequences)
        fps = folder_fps or DAVIS_FPS
        sources = []
        for sequence in listed:
            sources.append(FolderSource(sequence.name, sequence.frames, sequence.masks, fps))
        return sources
    assert video is not None, "one of them is given"
    if sequences:
        want = "them with data.root only"
        raise InputError(f"data.sequences: got {list(sequences)} with data.video, want {want}")
    found = find_videos(video)
    # Of many a broken one fails alone, when its turn comes; a single one is told of at once.
    return [open_video(found[0], folder_fps)] if len(found) == 1 else found
