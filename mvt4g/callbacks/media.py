"""Pictures of an evaluation in TensorBoard and as files in the run folder."""

import io
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]  # generated, no stubs
from torch import Tensor

from mvt4g.evaluation.evaluator import EvaluationOutput
from mvt4g.formats.atomic import appearing
from mvt4g.matching.rows import gather_queries, rotated, row_log_softmax
from mvt4g.ranges import Natural
from mvt4g.types import REFERENCE, TARGET, InputError
from mvt4g.viz.canvas import magnification, magnify, to_image
from mvt4g.viz.matches import draw_matches
from mvt4g.viz.tiles import film_strip, tile_images, tile_videos
from mvt4g.viz.tracks import draw_tracks, with_track_legend

MAX_TRACKS = 16
"""Most tracks that are drawn over a video."""


class EvaluationMedia(Callback):
    """Shows the first batch of every validation and test: a video row and a picture of attention matches.

    The video row is reference | target | generated with tracks drawn; the picture shows, for a few query points, where
    the headline layer's attention looks for them in the other view. Both also lie under ``<run>/<split>/media/``.

    Args:
        clips: Clips drawn.
        points: Query points a clip in the picture of matches.
    """

    def __init__(self, clips: Natural = 4, points: Natural = 3) -> None:
        super().__init__()
        for name, value in (("clips", clips), ("points", points)):
            if value < 1:
                raise InputError(f"EvaluationMedia.{name}: got {value}, want at least 1")
        self.clips = clips
        self.points = points

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Show the first batch."""
        if batch_idx == 0 and not trainer.sanity_checking:
            self._show(trainer, outputs, "val")

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Show the first batch."""
        if batch_idx == 0:
            self._show(trainer, outputs, "test")

    def _show(self, trainer: Trainer, output: Any, split: str) -> None:
        if not isinstance(output, EvaluationOutput) or not trainer.is_global_zero:
            return
        step = trainer.global_step
        folder = Path(trainer.default_root_dir) / split / "media"
        rows, captions = video_rows(output, self.clips)
        sheet = tile_videos(rows, captions)
        strips = []
        for row, names in zip(rows, captions, strict=True):
            strips.append([film_strip(row, names)])
        strip = tile_images(strips)
        if output.truth is not None:
            sheet = with_track_legend(sheet)
            strip = with_track_legend(strip)
        pictures = {"videos": strip}
        reading = output.headline
        if reading is not None and reading.tap is not None and reading.matches is not None:
            pictures["matches"] = match_picture(output, self.clips, self.points)
        for name, picture in pictures.items():
            with appearing(folder / f"{name}-{step:08d}.png") as temporary:
                to_image(picture).save(temporary)
        animation = gif_bytes(sheet)
        with appearing(folder / f"videos-{step:08d}.gif") as temporary:
            temporary.write_bytes(animation)
        image = Summary.Image(encoded_image_string=animation, height=sheet.shape[2], width=sheet.shape[3])
        summary = Summary(value=[Summary.Value(tag=f"{split}/videos", image=image)])
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment._get_file_writer().add_summary(summary, step)
                for name, picture in pictures.items():
                    logger.experiment.add_image(f"{split}/{name}", picture, step)


def gif_bytes(video: Float[Tensor, "t 3 h w"], frame_ms: int = 250) -> bytes:
    """Return an endless animation, which TensorBoard shows as it is (its own ``add_video`` wants moviepy)."""
    first, *others = [to_image(frame) for frame in video]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=frame_ms, loop=0)
    return buffer.getvalue()


def video_rows(output: EvaluationOutput, clips: int) -> tuple[list[list[Float[Tensor, "t 3 h w"]]], list[list[str]]]:
    """Return one row a clip, reference | target | generated, enlarged and with tracks drawn, and the captions."""
    rows = []
    captions = []
    for i, video in enumerate(output.clip.video[:clips]):
        row = [_with_tracks(output, i, REFERENCE, video[REFERENCE])]
        row.append(_with_tracks(output, i, TARGET, video[TARGET]))
        names = ["reference", "target"]
        if output.generated is not None:
            row.append(_with_tracks(output, i, TARGET, output.generated[i], predicted=True))
            names.append("generated")
        rows.append(row)
        captions.append(names)
    return rows, captions


def match_picture(output: EvaluationOutput, clips: int, points: int) -> Float[Tensor, "3 H W"]:
    """Return, for a few query points of the reference, where attention looks for them in the target's same frame."""
    reading = output.headline
    assert output.truth is not None and reading is not None
    assert reading.tap is not None and reading.matches is not None
    truth = output.truth
    tap = reading.tap
    features = gather_queries(tap, truth.queries, rotate=True)
    _, key = rotated(tap)
    probability = row_log_softmax(features, key).exp().mean(dim=2)
    rows = []
    for i in range(min(clips, len(output.clip.video))):
        row = []
        frames = truth.queries[i, :, 1].long()
        # A point that is hidden in the target's same frame has no place there to compare with.
        visible = truth.visible[i, TARGET].gather(0, frames[None])[0]
        from_reference = truth.queries[i, :, 0] == REFERENCE
        drawn = (truth.valid[i] & visible & from_reference).nonzero()[:points, 0]
        for q in drawn.tolist():
            frame = int(frames[q])
            latent = int((truth.frame_times == frame).nonzero()[0, 0])
            heat = rearrange(probability[i, q, TARGET, latent], "(h w) -> h w", h=tap.query.shape[3])
            row.append(
                draw_matches(
                    output.clip.video[i, REFERENCE, frame].cpu(),
                    output.clip.video[i, TARGET, frame].cpu(),
                    truth.queries[i, q, 2:].cpu(),
                    reading.matches[i, TARGET, latent, q].cpu(),
                    truth.tracks[i, TARGET, frame, q].cpu(),
                    heat.cpu(),
                )
            )
        if row:
            rows.append(row)
    return tile_images(rows) if rows else torch.zeros(3, 8, 8)


def _with_tracks(
    output: EvaluationOutput, i: int, view: int, video: Float[Tensor, "t 3 h w"], predicted: bool = False
) -> Float[Tensor, "t 3 H W"]:
    """Draw the true tracks of a clip's view over a video, or those that were predicted if there are any."""
    truth = output.truth
    video = video.cpu()
    if truth is None:
        return magnify(video, magnification(*video.shape[-2:]))
    tracks = truth.tracks
    reading = output.headline
    if predicted and reading is not None and reading.tracks is not None:
        tracks = reading.tracks.tracks
    drawn = truth.valid[i].nonzero()[:MAX_TRACKS, 0]
    return draw_tracks(video, tracks[i, view][:, drawn].cpu(), truth.visible[i, view][:, drawn].cpu())
