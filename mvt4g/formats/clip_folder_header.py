"""``clip.json``: what a clip folder says of itself, and its reading from files that may be anything."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.formats.parsing.json_files import read_json
from mvt4g.types import InputError

HEADER = "clip.json"
FORMAT = "mvt4g clip folder"
VERSION = 1
SIZES = ("views", "cameras", "frames", "height", "width", "points")
CONVENTIONS = {
    "camera_axes": "OpenCV: x right, y down, z forward; right-handed; scene units",
    "cam_from_world": "4x4, takes world points to the camera frame",
    "intrinsics": "3x3 K, pixels of this video",
    "pixels": "(x, y), pixel centres at i + 0.5",
    "tracks": "true through occlusion",
    "visible": "true = seen; implies 0 <= x < width and 0 <= y < height",
    "depth": "z-depth of pixel centres, scene units; 0 or non-finite = none",
    "instances": "id of every pixel, 0 = background; point_instance alike",
    "covisible": "true = enough is known of the pixel from other views to score it",
    "normals": "world frame; int16 / 32767",
    "collisions": "frame, instance, other instance (0 = ground)",
}


@dataclass(frozen=True)
class ClipHeader:
    """A checked ``clip.json``.

    Attributes:
        name: Of the clip.
        caption: What the video shows.
        fps: Frames a second.
        sizes: Of every axis in SIZES; cameras may be more than views, points 0.
        fields: What is stored of the clip and its extras.
        depth_range: Nearest and farthest depth where depth is quantised.
        files: SHA-256 of every other file, by name.
        made_by: The recipe and versions it was made with, if any.
    """

    name: str
    caption: str | None
    fps: float | int | None
    sizes: Mapping[str, int]
    fields: tuple[str, ...]
    depth_range: tuple[float, float] | None
    files: Mapping[str, str]
    made_by: Mapping[str, Any] | None

    def to_json(self) -> str:
        """Return the text of ``clip.json``: the same for equal headers."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "conventions": CONVENTIONS,
            "name": self.name,
            "caption": self.caption,
            "fps": self.fps,
            "sizes": self.sizes,
            "files": self.files,
            "made_by": self.made_by,
            "fields": list(self.fields),
            "depth_range": None if self.depth_range is None else list(self.depth_range),
        }
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_header(folder: Path) -> ClipHeader:
    """Read and check the ``clip.json`` of a clip folder.

    Raises:
        InputError: If there is none, or a key is missing or of another kind; names of clips and files that would leave
            the folder are refused.
    """
    path = folder / HEADER
    content = read_json(path, "the header of a clip folder")
    got: Any = type(content).__name__
    if isinstance(content, dict):
        got = (content.get("format"), content.get("version"))
    if got != (FORMAT, VERSION):
        raise InputError(f"{path}: format, version: got {got}, want {(FORMAT, VERSION)}")
    _check_kinds(path, content)
    return ClipHeader(
        name=safe_name(f"{path}: name", content["name"]),
        caption=content["caption"],
        fps=content["fps"],
        sizes=content["sizes"],
        fields=tuple(content["fields"]),
        depth_range=None if content["depth_range"] is None else tuple(content["depth_range"]),
        files=content["files"],
        made_by=content["made_by"],
    )


def safe_name(where: str, name: Any) -> str:
    """Return the name of a clip or file if it stays in its folder.

    Raises:
        InputError: If it is no text, or has a separator or only dots.
    """
    # A name of dots alone, or with a separator, would lead out of the clip's folder.
    if not isinstance(name, str) or not set("/\\\0").isdisjoint(name) or (name and not name.strip(".")):
        want = "a name without / or \\ that leaves no folder"
        raise InputError(f"{where}: got {name!r}, want {want}")
    return name


def _check_kinds(path: Path, content: dict[str, Any]) -> None:
    sizes = content.get("sizes")
    fps = content.get("fps")
    near_far = content.get("depth_range")
    fields = content.get("fields")
    files = content.get("files")
    checks = {
        "name": ("name" in content, "a text"),
        "caption": (isinstance(content.get("caption", 0), str | None), "a text or null"),
        "fps": ("fps" in content and (fps is None or (_is_number(fps) and fps > 0)), "a rate over 0 or null"),
        "sizes": (
            isinstance(sizes, dict) and all(map(_is_whole, map(sizes.get, SIZES))),
            f"whole numbers {', '.join(SIZES)}",
        ),
        "fields": (isinstance(fields, list) and _are_texts(fields), "a list of names"),
        "depth_range": (
            "depth_range" in content and (near_far is None or _is_range(near_far)),
            "null or 0 < nearest <= farthest",
        ),
        "files": (isinstance(files, dict) and _are_texts(files.values()), "names and checksums"),
        "made_by": (isinstance(content.get("made_by", 0), dict | None), "an object or null"),
    }
    for key, (good, want) in checks.items():
        if not good:
            raise InputError(f"{path}: {key}: got {content.get(key, 'none')!r}, want {want}")
    for name in content["files"]:
        safe_name(f"{path}: files", name)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _increasing(value)


def _increasing(pair: list[Any]) -> bool:
    return all(map(_is_number, pair)) and 0 < pair[0] <= pair[1]
