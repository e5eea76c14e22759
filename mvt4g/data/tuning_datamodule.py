"""One real video to tune a model on by pairs that are made of it, and to be seen from new cameras afterwards."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import Dataset

from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.clip_sources import Split
from mvt4g.data.davis_datamodule import DAVISDataModule
from mvt4g.data.loading import LoaderSpec
from mvt4g.data.real_clips import RealClips
from mvt4g.data.step_datamodule import StepDataModule
from mvt4g.data.video_places import find_videos
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.ranges import Seed
from mvt4g.types import REFERENCE, InputError, MultiViewClip

WINDOW_STREAM = 1
"""Second part of the random seeds that choose a sample's frames."""
KEPT_WINDOWS = 8
"""Parts of a video that are held in memory."""


class VideoWindows(Dataset[MultiViewClip | InputError]):
    """Endless samples of one video, by number: so many of its frames in a row as a model takes, from a frame drawn.

    A sample is a clip whose two views are both the video at its own cameras: pairs are made of the first. Frames are
    chosen and framed as for ``predict``. With ``size.time: spread`` or a short video there is one choice of frames.

    Args:
        clips: The video alone.
        seed: Of the draws.

    Raises:
        InputError: If it is too short.
    """

    def __init__(self, clips: RealClips, seed: int) -> None:
        self.clips = clips
        self.seed = seed
        (source,) = clips.sources
        size = clips.size
        first = size.choose_frames(source.times_s, str(source.place))
        self.windows = [first]
        if size.time == "first":
            meant = size.frames.of(source.times_s, str(source.place))
            count = len(first)
            self.windows = [meant[start : start + count] for start in range(len(meant) - count + 1)]
        self._read = lru_cache(maxsize=KEPT_WINDOWS)(self._read_window)

    def __getitem__(self, sample: int) -> MultiViewClip | InputError:
        """Return a sample, or what is wrong with it."""
        rng = np.random.default_rng((self.seed, WINDOW_STREAM, sample))
        try:
            return self._read(int(rng.integers(len(self.windows))))
        except InputError as error:
            return error

    def _read_window(self, number: int) -> MultiViewClip:
        clip = self.clips.read(0, self.windows[number]).clip

        def twice(values: Shaped[Tensor, "v ..."] | None) -> Shaped[Tensor, "two ..."] | None:
            return None if values is None else torch.cat([values[:1], values[:1]])

        return replace(
            clip,
            video=torch.cat([clip.video, clip.video]),
            cameras=clip.cameras[[REFERENCE, REFERENCE]],
            depth=twice(clip.depth),
            instances=twice(clip.instances),
            dynamic=twice(clip.dynamic),
        )


class VideoTuningDataModule(DAVISDataModule, StepDataModule):
    """One video: to fit on by pairs that are made of it, and for predict and test as ``DAVISDataModule``.

    A model is tuned by ``training.lifted.pairs: [double_reprojection]``, or another kind that takes one video with
    depth. Samples follow the step alone, so that a resumed fit goes on with those that would have come.
    """

    def __init__(
        self,
        video: Path,
        trajectory: list[str] | str = "arc_left",
        queries: str = "grid:8",
        size: VideoSize = VideoSize(),
        camera: CameraAssumption = CameraAssumption(),
        loader: LoaderSpec = LoaderSpec(batch_size=1),
        seed: Seed = 0,
    ) -> None:
        """Take note of where the video is; it is looked at in ``setup``.

        Args:
            video: A video file or a folder of frames.
            trajectory: Of predict and test, as ``DAVISDataModule``.
            queries: Likewise.
            size: What the model takes.
            camera: What the video does not say of its camera, and its depth.
            loader: Pairs a step, in fit.
            seed: Of the frames that samples show.
        """
        super().__init__(None, video, trajectory, queries, size, camera, loader)
        self.seed = seed
        self.windows: VideoWindows | None = None

    def setup(self, stage: str) -> None:
        """Open the video and check all that needs no frame.

        Raises:
            InputError: If there is not one video, it is too short, or an option is bad; for validation always.
        """
        if stage == "validate":
            raise InputError("data: got VideoTuningDataModule for validate, want clips whose target view is known")
        if stage != "fit":
            super().setup(stage)
        elif self.windows is None:
            assert self.video is not None, "a constructor's argument"
            found = find_videos(self.video)
            if len(found) != 1:
                raise InputError(f"data.video: got {self.video}, which is {len(found)} videos, want one to tune on")
            source = open_video(found[0], self.size.frames.folder_fps)
            self.windows = VideoWindows(
                RealClips((source,), self.size, _trajectory(self.trajectory), "grid:1", self.camera), self.seed
            )

    def samples(self, split: Split) -> Dataset[Any]:
        """Return the samples of a fit.

        Raises:
            InputError: For other splits: a real video has no true target view.
        """
        if split != "train" or self.windows is None:
            raise InputError(f"data: got VideoTuningDataModule for {split}, want trainer.limit_val_batches 0")
        return self.windows


def _trajectory(given: Sequence[str] | str) -> str:
    """Return one of the trajectories, of which the reference's cameras are taken where it tells them."""
    return given if isinstance(given, str) else given[0]
