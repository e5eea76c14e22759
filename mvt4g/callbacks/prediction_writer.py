"""The files that ``predict`` leaves for every video."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.formats.track_files import TrackFile, write_tracks
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.systems.real_video import NovelView
from mvt4g.systems.tracking import PairTracks
from mvt4g.types import REFERENCE
from mvt4g.viz.canvas import magnification, magnify
from mvt4g.viz.tiles import tile_videos
from mvt4g.viz.tracks import draw_track_views

DEFAULT_FPS = 8.0
"""Of a source that states none."""


class PredictionWriter(Callback):
    """Writes ``<run>/predict/<clip>/{generated.mp4, reference.mp4, tracks.npz, overlay.mp4, cameras.json}``.

    ``overlay.mp4`` shows both videos side by side with the tracks; ``tracks.npz``, and ``tracks.json`` beside it, are
    missing without a tracking head. Of two given videos there is ``target.mp4`` in place of ``generated.mp4``, and no
    ``cameras.json``.
    """

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Say what was done to make the video fit."""
        if isinstance(batch, RealClip):
            trainer.print(batch.rule)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Write the files of one video."""
        if isinstance(outputs, NovelView | PairTracks):
            folder = Path(trainer.default_root_dir) / "predict" / str(outputs.real.clip.name[0])
            if isinstance(outputs, NovelView):
                write_prediction(folder, outputs)
            else:
                write_pair(folder, outputs)
            trainer.print(f"wrote {folder}")


def write_prediction(folder: Path, made: NovelView) -> None:
    """Write the files of one generated video; each appears whole or not at all."""
    clip = made.real.clip
    fps = _fps(made.real)
    reference, generated = clip.video[0, REFERENCE].cpu(), made.video.cpu()
    write_video(folder / "reference.mp4", reference, fps)
    write_video(folder / "generated.mp4", generated, fps)
    height, width = generated.shape[-2:]
    write_trajectory(folder / "cameras.json", clip.cameras[0].to("cpu"), (height, width))
    videos, captions = torch.stack([reference, generated.to(reference.dtype)]), ["reference", "generated"]
    if made.tracks is not None and made.visible is not None:
        _write_tracks(folder, made.real, made.tracks, made.visible, made.confidence)
        write_video(folder / "overlay.mp4", draw_track_views(videos, made.tracks, made.visible, captions), fps)
    else:
        factor = magnification(height, width)
        shown = [magnify(reference, factor), magnify(generated, factor)]
        write_video(folder / "overlay.mp4", tile_videos([shown], [captions]), fps)


def write_pair(folder: Path, found: PairTracks) -> None:
    """Write the files of two tracked videos; each appears whole or not at all."""
    videos, fps, captions = found.real.clip.video[0].cpu(), _fps(found.real), ["reference", "target"]
    for video, name in zip(videos, captions, strict=True):
        write_video(folder / f"{name}.mp4", video, fps)
    _write_tracks(folder, found.real, found.tracks, found.visible, found.confidence)
    write_video(folder / "overlay.mp4", draw_track_views(videos, found.tracks, found.visible, captions), fps)


def _write_tracks(folder: Path, real: RealClip, tracks: Tensor, visible: Tensor, confidence: Tensor | None) -> None:
    height, width = real.clip.video.shape[-2:]
    content = TrackFile(tracks, visible, real.queries[0], (height, width), confidence)
    for name in ("tracks.npz", "tracks.json"):
        write_tracks(folder / name, content)


def _fps(real: RealClip) -> float:
    (stated,) = real.clip.fps if isinstance(real.clip.fps, tuple) else (real.clip.fps,)
    return stated or DEFAULT_FPS
