"""Copies of scored videos that any browser plays, all of one clip with one frame for one moment.

A browser plays neither every codec that video programs write, nor two videos of other rates and lengths in step. Each
video is decoded, cut to the frames that were scored, made small, and written as H.264. A copy that is newer than its
source is kept, so that a page that was stopped goes on.
"""

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.formats.video import write_video
from mvt4g.types import InputError

FOLDER = "page"
"""Beside the page."""
HEIGHT = 240
"""Pixels that a copy is high at most; smaller videos keep their size."""
FPS = 12.0
"""Frames a second of every copy: the rates of the sources say nothing of moments."""
_QUALITY = 21
_ODD = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Preview:
    """A copy.

    Attributes:
        path: Where it lies.
        num_frames: That it has.
    """

    path: Path
    num_frames: int


def preview_path(out: Path, folder: str, name: str, made_by: object = None) -> Path:
    """Return where the copy of a video lies: a folder a method, a file a clip and camera.

    Args:
        out: Folder of the page.
        folder: Name of the method.
        name: Of the video. Both come from folders of others: what could lead out of the page's folder or clash is
            replaced, and a few digits of the name's hash keep two such names apart.
        made_by: What else the copy depends on, such as which frames it shows; another one has another name.
    """
    rule = "" if made_by is None else f"-{_digest(repr(made_by))}"
    return out / FOLDER / _plain(folder) / f"{_plain(name)}{rule}.mp4"


def _plain(name: str) -> str:
    plain = _ODD.sub("-", name).strip(".-")
    return plain if plain == name else f"{plain}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_fresh(copy: Path, source: Path) -> bool:
    """Say whether a copy is newer than the file or folder it was made of."""
    try:
        return copy.stat().st_mtime >= source.stat().st_mtime
    except OSError:
        return False


def write_preview(path: Path, video: Float[Tensor, "t 3 h w"]) -> None:
    """Write the copy of a video from frames that ``shrunk`` gave."""
    write_video(path, video, FPS, crf=_QUALITY)


def shrunk(frame: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 H W"]:
    """Return a frame at most ``HEIGHT`` high."""
    height, width = frame.shape[-2:]
    if height <= HEIGHT:
        return frame.clone()  # a source may paint the next frame into the same tensor
    size = (HEIGHT, max(2, round(width * HEIGHT / height)))
    return F.interpolate(frame, size=size, mode="bilinear", antialias=True).clamp(0, 1)


def embedded_or_linked(paths: list[Path], page: Path, limit_mb: float) -> dict[Path, str]:
    """Return what ``src`` says of each file: all content within the page, or all by relative path.

    The page holds its videos if they come to ``limit_mb`` or less; one that holds some and links others would be
    neither a file to send nor a small one.

    Raises:
        InputError: If a file cannot be read.
    """
    try:
        total = sum(path.stat().st_size for path in paths)
        if total > limit_mb * 1e6:
            return {path: quote(Path(os.path.relpath(path, page.parent)).as_posix()) for path in paths}
        return {path: _data(path.read_bytes()) for path in paths}
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}), want a video of the page") from error


def _data(content: bytes) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
