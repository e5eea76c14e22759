"""A video of ``mvt4g benchmark generate``: its manifest tells the reference and the cameras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from mvt4g.formats.images import frame_paths, read_images
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.formats.video import read_video
from mvt4g.geometry.framing import Framing, Window
from mvt4g.types import InputError

MANIFEST = "manifest.json"
_WANT = "a manifest of mvt4g benchmark generate"


@dataclass(frozen=True)
class BenchmarkVideo:
    """What a manifest tells of a video.

    Attributes:
        source: The video that it was generated from; a file, or a folder of frames.
        frames: Frame numbers of the source, one a frame of the video.
        framing: What was done to each.
        cameras: The trajectory file of both views.
    """

    source: Path
    frames: tuple[int, ...]
    framing: Framing
    cameras: Path

    def read_reference(self) -> Float[Tensor, "t 3 h w"]:
        """Return the frames of the source as the network saw them.

        Raises:
            InputError: If the source is not where it was, or is another.
        """
        if not self.source.exists():
            raise InputError(f"{self.source}: no such video, want the source that the manifest names")
        if self.source.is_dir():
            paths = frame_paths(self.source)
            if max(self.frames) >= len(paths):
                raise InputError(f"{self.source}: got {len(paths)} frames, want frame {max(self.frames)}")
            video = read_images([paths[frame] for frame in self.frames])
        else:
            video, _ = read_video(self.source, frames=self.frames)
        if video.shape[-2:] != self.framing.source:
            got = f"frames of {list(video.shape[-2:])}"
            raise InputError(f"{self.source}: got {got}, want {list(self.framing.source)}, as the manifest says")
        return self.framing.video(video)


def find_benchmark_video(path: Path) -> BenchmarkVideo | None:
    """Return what the manifest beside a video tells of it; None where there is no manifest, or it does not name it.

    Raises:
        InputError: If the manifest is broken.
    """
    manifest = path.parent / MANIFEST
    if not manifest.exists():
        return None
    entries = read_json_object(manifest, _WANT).get("videos")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("file") == path.name and entry.get("status") == "made":
            return _video_of(manifest, entry)
    return None


def _video_of(manifest: Path, entry: dict[str, Any]) -> BenchmarkVideo:
    try:
        source_height, source_width = map(int, entry["source"]["size"])
        height, width = map(int, entry["size"])
        scale_x, scale_y = map(float, entry["scale_xy"])
        left, top, *_ = map(float, entry["crop_xyxy"])
        # The whole source resized; what was cut before or after it is the corner.
        resized = (round(source_height * scale_y), round(source_width * scale_x))
        framing = Framing(
            source=(source_height, source_width),
            size=(height, width),
            window=Window(0, 0, source_height, source_width),
            resized=resized,
            corner=(round(top * scale_y), round(left * scale_x)),
        )
        frames = tuple(int(frame) for frame in entry["frames"])
        return BenchmarkVideo(Path(entry["source"]["path"]), frames, framing, manifest.parent / entry["cameras"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{manifest}: {entry['file']!r:.60}: cannot be read ({error!r:.80}), want {_WANT}") from error
