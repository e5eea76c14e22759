"""The files that ``predict`` leaves for every video and camera, skipped where they are there and whole."""

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mvt4g.callbacks.checkpoints import say
from mvt4g.callbacks.outcome import Outcome
from mvt4g.callbacks.prediction_lifter import PredictionLifter
from mvt4g.callbacks.provenance import (
    UnaskedRequest,
    camera_name,
    provenance,
    source_cameras,
    source_tracks,
)
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.data.asked_views import GivesRequests, Request
from mvt4g.data.real_clips import RealClip
from mvt4g.evaluation.real_video import NovelView, RealVideoPass
from mvt4g.formats.result_records import ResultPlace
from mvt4g.formats.track_files import TrackFile, write_tracks
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video, write_video_pieces
from mvt4g.inference.video_tracks import VideoTracks
from mvt4g.inference.window_store import WindowFolder
from mvt4g.systems.tracking import PairTracks
from mvt4g.types import REFERENCE, InputError
from mvt4g.viz.canvas import magnification, magnify
from mvt4g.viz.tiles import tile_videos
from mvt4g.viz.tracks import PIECE, draw_track_pieces, draw_track_views

DEFAULT_FPS = 8.0
"""Of a source that states none."""
PROVENANCE = "provenance.json"


class PredictionWriter(Callback):
    """Writes ``<run>/predict/<clip>/<camera>-s<seed>/``, of every video from every camera.

    The files are ``generated.mp4``, ``reference.mp4``, ``overlay.mp4`` (both side by side with the tracks),
    ``tracks.npz`` and ``tracks.json`` (missing without a tracking head), ``cameras.json`` and ``provenance.json``. Of
    two given videos the folder is ``<reference>/<target>-s<seed>``, and there is ``target.mp4`` in place of
    ``generated.mp4``, and no ``cameras.json``.

    Where ``evaluation.lift`` asks for it there are ``scene4d.npz`` and ``scene.html`` too. Of a pair that cannot be
    lifted a line says so, and the other files are written.

    A folder appears whole or not at all. One whose record tells of the same inputs, settings and checkpoint, and whose
    files are all there as they were written, is skipped; damaged files are made anew; one of other inputs, settings or
    checkpoint is never written over: its item fails.

    Args:
        outcome: Takes what became of every item.
        facts: What results depend on beside the data, the run folder among it.
    """

    def __init__(self, outcome: Outcome, facts: RunFacts) -> None:
        super().__init__()
        self.outcome = outcome
        self.facts = facts
        self.requests: dict[tuple[str, str], Request] = {}
        self.lifter: PredictionLifter | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave out what is done, before a frame of it is read."""
        lift = getattr(getattr(pl_module, "evaluation", None), "lift", None)
        if stage == "predict" and lift is not None:
            self.lifter = PredictionLifter(lift, pl_module.device)
        datamodule = getattr(trainer, "datamodule", None)
        if stage != "predict" or not isinstance(datamodule, GivesRequests):
            return
        requests = datamodule.requests()
        self.requests = {(request.clip, request.camera): request for request in requests}
        self.outcome.several = len(requests) > 1
        wanted = []
        for number, request in enumerate(requests):
            place = self._place(request.clip, request.camera, pl_module)
            try:
                done = place.is_done(lambda request=request: self._inputs(request, pl_module))  # type: ignore[misc]
            except InputError as error:
                error.item = f"{request.clip}/{request.camera}"
                self.outcome.fail(error, tell=trainer.is_global_zero)
                continue
            if done:
                self.outcome.skipped += 1
                trainer.print(f"there and whole: {place.folder}")
                continue
            wanted.append(number)
            if trainer.is_global_zero:
                place.remove_leftovers()
        datamodule.keep(wanted)

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Say what was done to make the video fit, and where its windows are kept if it is generated in windows."""
        if not isinstance(batch, RealClip):
            return
        say(batch.rule)
        real_pass = getattr(pl_module, "real_pass", None)
        if isinstance(real_pass, RealVideoPass) and real_pass.in_windows(batch):
            name = str(batch.clip.name[0])
            camera = camera_name(batch)
            try:
                inputs = self._inputs(self.requests.get((name, camera), UnaskedRequest(batch)), pl_module)
            except InputError:
                # The end of the batch meets the same fault and reports it as this item's.
                real_pass.store = None
                return
            real_pass.store = WindowFolder(self._place(name, camera, pl_module).windows, inputs)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Write the files of one video."""
        if not isinstance(outputs, NovelView | PairTracks):
            return
        real = outputs.real
        name = str(real.clip.name[0])
        camera = camera_name(real)
        place = self._place(name, camera, pl_module)
        try:
            inputs = self._inputs(self.requests.get((name, camera), UnaskedRequest(real)), pl_module)
            if (name, camera) not in self.requests:
                # It was not looked at in ``setup``.
                place.is_done(lambda: inputs)
            content = {**provenance(real, inputs, self.facts, pl_module), **told_of(outputs)}
            place.write(inputs, lambda folder: write_result(folder, outputs, content, self.lifter))
        except InputError as error:
            error.item = error.item or f"{name}/{camera}"
            self.outcome.fail(error)
            return
        if place.windows.exists():
            shutil.rmtree(place.windows, ignore_errors=True)
        self.outcome.made += 1
        say(f"wrote {place.folder}")

    def _place(self, clip: str, camera: str, pl_module: LightningModule) -> ResultPlace:
        return ResultPlace(self.facts.run, "predict", f"{clip}/{camera}-s{self.facts.seed(pl_module)}")

    def _inputs(self, request: Request, pl_module: LightningModule) -> dict[str, Any]:
        return {**request.inputs(), **self.facts.inputs(pl_module)}


def write_result(
    folder: Path, made: NovelView | PairTracks, content: Mapping[str, Any], lifter: PredictionLifter | None = None
) -> None:
    """Write the files of one item.

    Args:
        folder: Empty.
        made: What was generated or tracked.
        content: Of ``provenance.json``.
        lifter: Lifts what was generated; None = it is not lifted.
    """
    if isinstance(made, NovelView):
        write_prediction(folder, made)
        if lifter is not None:
            lifter(folder, f"{made.real.clip.name[0]} {camera_name(made.real)}")
    else:
        write_pair(folder, made)
    text = json.dumps(content, indent=1, allow_nan=False)
    (folder / PROVENANCE).write_text(text + "\n", encoding="utf-8")


def told_of(made: NovelView | PairTracks) -> dict[str, Any]:
    """Return what ``provenance.json`` holds of a generated video beside its origin: its scores, and its candidates'."""
    if not isinstance(made, NovelView):
        return {}
    told: dict[str, Any] = {}
    if made.geometry is not None:
        # JSON has no word for NaN.
        told["geometry"] = {key: value if math.isfinite(value) else None for key, value in made.geometry.items()}
    if made.choice is not None:
        told["candidates"] = made.choice.told()
    return told


def write_prediction(folder: Path, made: NovelView) -> None:
    """Write the files of one generated video; each appears whole or not at all."""
    clip = made.real.clip
    fps = frame_rate(made.real)
    reference = clip.video[0, REFERENCE].cpu()
    generated = made.video.cpu()
    write_video(folder / "reference.mp4", reference, fps)
    write_video(folder / "generated.mp4", generated, fps)
    height, width = generated.shape[-2:]
    cameras = clip.cameras[0].to("cpu")
    source = source_cameras(made.real, cameras)
    write_trajectory(folder / "cameras.json", cameras, (height, width), source)
    captions = ["reference", "generated"]
    if made.tracks is not None:
        _write_tracks(folder, made.real, made.tracks)
        videos = [reference, generated.to(reference.dtype)]
        tracks = made.tracks.tracks.cpu()
        overlay = draw_track_pieces(videos, tracks, made.tracks.visible.cpu(), captions)
    else:
        overlay = _side_by_side(reference, generated, captions)
    write_video_pieces(folder / "overlay.mp4", overlay, fps)


def _side_by_side(
    reference: Float[Tensor, "t 3 h w"],
    generated: Float[Tensor, "t 3 h w"],
    captions: Sequence[str],
) -> Iterator[Float[Tensor, "piece 3 H W"]]:
    """Yield both videos beside each other, some frames at a time."""
    factor = magnification(reference.shape[-2], reference.shape[-1])
    for pair in zip(reference.split(PIECE), generated.split(PIECE), strict=True):
        yield tile_videos([[magnify(part, factor) for part in pair]], [captions])


def write_pair(folder: Path, found: PairTracks) -> None:
    """Write the files of two tracked videos; each appears whole or not at all."""
    videos = found.real.clip.video[0].cpu()
    fps = frame_rate(found.real)
    captions = ["reference", "target"]
    for video, name in zip(videos, captions, strict=True):
        write_video(folder / f"{name}.mp4", video, fps)
    _write_tracks(folder, found.real, found.tracks)
    overlay = draw_track_views(videos, found.tracks.tracks, found.tracks.visible, captions)
    write_video(folder / "overlay.mp4", overlay, fps)


def _write_tracks(folder: Path, real: RealClip, found: VideoTracks) -> None:
    height, width = real.clip.video.shape[-2:]
    content = TrackFile(
        tracks=found.tracks,
        visible=found.visible,
        queries=real.queries[0],
        image_size=(height, width),
        confidence=found.confidence,
        source=source_tracks(real, found.tracks.cpu()),
    )
    for name in ("tracks.npz", "tracks.json"):
        write_tracks(folder / name, content)


def frame_rate(real: RealClip) -> float:
    """Return frames a second of what is written of a clip, with a batch axis of 1."""
    (stated,) = real.clip.fps if isinstance(real.clip.fps, tuple) else (real.clip.fps,)
    return stated or DEFAULT_FPS
