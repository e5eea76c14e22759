"""The provenance of a result: the content of ``provenance.json``, and the inputs that a result's record compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor

from mvt4g import __version__
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.data.given_videos import digest_or_none
from mvt4g.data.real_clips import RealClip
from mvt4g.data.source_record import SourceRecord
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.formats.images import frame_paths
from mvt4g.formats.track_files import SourceTracks
from mvt4g.formats.trajectory_json import REFERENCE_VIEW, TARGET_VIEW
from mvt4g.types import Cameras

VERSION = 1


@dataclass(frozen=True)
class UnaskedRequest:
    """What is known of a clip whose datamodule does not tell its items beforehand.

    Attributes:
        real: The clip, with a batch axis of 1.
    """

    real: RealClip

    @property
    def clip(self) -> str:
        """Name of the video."""
        return str(self.real.clip.name[0])

    @property
    def camera(self) -> str:
        """Name of the target cameras."""
        return camera_name(self.real)

    def inputs(self) -> dict[str, Any]:
        """Return what the result depends on, as far as the clip tells."""
        reference, *targets = self.real.sources
        file = None if self.real.camera is None else self.real.camera.file
        inputs: dict[str, Any] = {
            "source": {"sha256": _digest(reference)},
            "rule": self.real.rule,
            "camera": {"file": None if file is None else str(file), "sha256": digest_or_none(file)},
        }
        for target in targets:
            inputs["target"] = {"sha256": _digest(target)}
        return inputs


def _digest(record: SourceRecord) -> str:
    return sha256_of_all(frame_paths(record.path) if record.path.is_dir() else [record.path])


def provenance(
    real: RealClip, inputs: Mapping[str, Any], facts: RunFacts, pl_module: LightningModule
) -> dict[str, Any]:
    """Return what ``provenance.json`` holds; of two given videos ``target`` too.

    Args:
        real: The video or videos, with a batch axis of 1.
        inputs: Of the record, whose digests are taken over.
        facts: Of the run.
        pl_module: Of the run.
    """
    record = real.sources[0]
    file = None if real.camera is None else real.camera.file
    content = {
        "version": VERSION,
        **_source(record, inputs["source"]["sha256"]),
        "camera": {
            "name": camera_name(real),
            "file": None if file is None else str(file),
            "sha256": inputs["camera"]["sha256"],
        },
        "rule": real.rule,
        "queries": source_queries(real).tolist(),
        "query_rows": real.query_rows[0].tolist(),
        "checkpoint": facts.checkpoint,
        "seed": facts.seed(pl_module),
        **facts.sampling(pl_module),
        "versions": {"mvt4g": __version__, "torch": torch.__version__},
    }
    if len(real.sources) > 1:
        content["target"] = _source(real.sources[1], inputs["target"]["sha256"])
        content["camera"]["file"] = inputs["camera"]["file"]
    return content


def camera_name(real: RealClip) -> str:
    """Return what the second view is called: the target cameras, or the target video."""
    if real.camera is not None:
        return real.camera.name
    path = real.sources[-1].path
    return path.resolve().name if path.is_dir() else path.stem


def source_queries(real: RealClip) -> Float[Tensor, "q 4"]:
    """Return the queries (q 4) of a clip in frames and pixels of the source of their view."""
    queries = real.queries[0].cpu().double().clone()
    for query in queries:
        record = _record(real, int(query[0]))
        query[1] = record.frames[int(query[1])]
        query[2:] = record.pixels(query[2:])
    return queries


def source_tracks(real: RealClip, tracks: Float[Tensor, "v t q 2"]) -> SourceTracks:
    """Return tracks (v t n 2) and queries told of the sources; a generated view is told as the reference's picture."""
    pixels = []
    frames = []
    times_s = []
    sizes = []
    for view, view_tracks in enumerate(tracks):
        record = _record(real, view)
        pixels.append(record.pixels(view_tracks))
        frames.append(record.frames)
        times_s.append(record.times_s)
        sizes.append(record.size)
    return SourceTracks(
        tracks=torch.stack(pixels),
        queries=source_queries(real).float(),
        frames=torch.tensor(frames),
        times_s=torch.tensor(times_s, dtype=torch.float64),
        size=torch.tensor(sizes),
    )


def source_cameras(real: RealClip, cameras: Cameras) -> dict[str, Any]:
    """Return what ``cameras.json`` says of the source: K of both views (v=2 t) in its pixels, its frames and times."""
    record = real.sources[0]
    views = {}
    for name, intrinsics in zip((REFERENCE_VIEW, TARGET_VIEW), cameras.intrinsics, strict=True):
        views[name] = {"intrinsics": record.intrinsics(intrinsics).tolist()}
    return {
        "image_size": list(record.size),
        "frames": list(record.frames),
        "times_s": list(record.times_s),
        "views": views,
    }


def _record(real: RealClip, view: int) -> SourceRecord:
    """Return the record of a view's source; a generated view is told as the reference's picture."""
    return real.sources[min(view, len(real.sources) - 1)]


def _source(record: SourceRecord, sha256: str) -> dict[str, Any]:
    return {
        "source": {
            "path": str(record.path),
            "sha256": sha256,
            "size": list(record.size),
            "fps": record.fps,
            "frames": list(record.frames),
            "times_s": list(record.times_s),
        },
        "crop_xyxy": list(record.crop_xyxy),
        "scale_xy": list(record.scale_xy),
    }
