"""What the path of a generated video says: clip, camera, seed. Patterns are text with placeholders.

    [results/]cam_type{k}/video{row}

stands for ``cam_type3/video12.mp4`` and ``results/cam_type3/video12.mp4``. Square brackets hold what may be missing,
``*`` is anything within a name, ``**/`` any folders or none. A pattern has no suffix: any of ``SUFFIXES`` will do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mvt4g.types import InputError

SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi")
PLACEHOLDERS: Mapping[str, tuple[str, str]] = {
    "clip": (r"[^/]+", "the clip's name"),
    "camera": (r"cam\d{1,4}", "the camera, as cam03 or cam3"),
    "k": (r"\d{1,4}", "the camera's number, as 3"),
    "path": (r"[^/]+", "the camera's name, whatever it is"),
    "seed": (r"\d{1,18}", "the seed"),
    "time": (r"\d{8}_\d{4}", "when the program was started; told as the seed"),
    "speed": (r"\d+(?:\.\d+)?", "factor on the camera's motion"),
    "row": (r"\d{1,9}", "row of the layout's table of clips, from 0"),
    "name": (r"[^/]+", "name in the layout's table of clips"),
    "epoch": (r"(?:meanflow_|onpolicy_)?epoch\d+_\d+NFE", "the checkpoint; told as a variant of the method"),
    "resolution": (r"vista4d_[^/]+", "the model's size; told as a variant of the method"),
}
"""What a placeholder stands for, as a regular expression and in words."""
_TOKEN = re.compile(r"\{(\w*)\}|\*\*/|[*\[\]]|[^{}*\[\]]+|[{}]")


@dataclass(frozen=True)
class VideoName:
    """What a path says of a video; empty = it does not say it.

    Attributes:
        clip: What was seen.
        camera: From where it was to be seen.
        seed: Of the generation.
        variant: Of the method, such as its checkpoint.
        row: Of the layout's table of clips.
        entry: Name in that table.
        strength: Factor on the camera's motion.
    """

    clip: str = ""
    camera: str = ""
    seed: str = ""
    variant: str = ""
    row: str = ""
    entry: str = ""
    strength: float = 1.0


def read_name(patterns: Sequence[str], path: str) -> VideoName | None:
    """Return what a path says by the first pattern that it has; None if it has none.

    Args:
        patterns: Checked by ``check_pattern``.
        path: Relative, with slashes and a suffix.
    """
    if not path.lower().endswith(SUFFIXES):
        return None
    stem = path.rpartition(".")[0]
    for pattern in patterns:
        if match := _compiled(pattern).fullmatch(stem):
            return _named({name: text for name, text in match.groupdict().items() if text is not None})
    return None


def check_pattern(pattern: str) -> None:
    """Check that a pattern can be read.

    Raises:
        InputError: Naming the pattern, if a placeholder is unknown or stands twice, or a bracket is left open.
    """
    try:
        _compiled(pattern)
    except (KeyError, re.error) as error:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise InputError(f"pattern: got {pattern!r} ({error}), want text with [, ], *, **/ and {known}") from error


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = []
    for token in _TOKEN.finditer(pattern):
        text, placeholder = token.group(), token.group(1)
        if text in "{}":
            raise KeyError(text)
        if placeholder is not None:
            parts.append(f"(?P<{placeholder}>{PLACEHOLDERS[placeholder][0]})")
        else:
            special = {"**/": "(?:.*/)?", "*": "[^/]*", "[": "(?:", "]": ")?"}
            parts.append(special.get(text, re.escape(text)))
    return re.compile("".join(parts))


def _named(texts: Mapping[str, str]) -> VideoName:
    number = texts.get("k") or texts.get("camera", "").removeprefix("cam")
    return VideoName(
        clip=texts.get("clip", ""),
        camera=f"cam{int(number):02d}" if number else texts.get("path", ""),
        seed=texts.get("seed") or texts.get("time", ""),
        variant=texts.get("epoch") or texts.get("resolution", ""),
        row=texts.get("row", ""),
        entry=texts.get("name", ""),
        strength=float(texts.get("speed", 1.0)),
    )
