"""The files that ``predict`` leaves for every video."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mvt4g.data.real_clips import RealClip
from mvt4g.formats.track_files import TrackFile, write_tracks
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.systems.real_video import NovelView
from mvt4g.types import REFERENCE
from mvt4g.viz.canvas import magnification, magnify
from mvt4g.viz.tiles import tile_videos
from mvt4g.viz.tracks import draw_track_views

DEFAULT_FPS = 8.0
"""Of a source that states none."""


class PredictionWriter(Callback):
    """Writes ``<run>/predict/<clip>/{generated.mp4, reference.mp4, tracks.npz, overlay.mp4, cameras.json}``.

    ``overlay.mp4`` shows both videos side by side with the tracks; ``tracks.npz`` is missing without a tracking head.
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
        if isinstance(outputs, NovelView):
            folder = Path(trainer.default_root_dir) / "predict" / str(outputs.real.clip.name[0])
            write_prediction(folder, outputs)
            trainer.print(f"wrote {folder}")


def write_prediction(folder: Path, made: NovelView) -> None:
    """Write the files of one generated video; each appears whole or not at all."""
    clip = made.real.clip
    (stated,) = clip.fps if isinstance(clip.fps, tuple) else (clip.fps,)
    fps = stated or DEFAULT_FPS
    reference, generated = clip.video[0, REFERENCE].cpu(), made.video.cpu()
    height, width = generated.shape[-2:]
    write_video(folder / "reference.mp4", reference, fps)
    write_video(folder / "generated.mp4", generated, fps)
    write_trajectory(folder / "cameras.json", clip.cameras[0].to("cpu"), (height, width))
    if made.tracks is not None and made.visible is not None:
        tracks = TrackFile(made.tracks.cpu(), made.visible.cpu(), made.real.queries[0].cpu(), (height, width))
        write_tracks(folder / "tracks.npz", tracks)
    write_video(folder / "overlay.mp4", overlay(made, reference, generated), fps)


def overlay(made: NovelView, reference: Tensor, generated: Tensor) -> Tensor:
    """Return both videos side by side, enlarged, with the tracks on them where there are any (t 3 H W)."""
    captions = ["reference", "generated"]
    if made.tracks is None or made.visible is None:
        factor = magnification(*reference.shape[-2:])
        return tile_videos([[magnify(reference, factor), magnify(generated, factor)]], [captions])
    videos = generated.new_empty(2, *generated.shape)
    videos[0], videos[1] = reference, generated
    return draw_track_views(videos, made.tracks.cpu(), made.visible.cpu(), captions)
