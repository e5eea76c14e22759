"""``manifest.json`` of one method's videos: what each video is, and what failed with its reason.

    {"format": "mvt4g benchmark videos", "version": 1, "method": NAME,
     "counts": {"made": 30, "failed": 0, "missing": 0},
     "videos": [{"file": "dog_cam01.mp4", "status": "made", "clip": "dog", "camera": "cam01", "seed": 0, ...}, ...]}

Every video has the fields of ``ASKED``; one that was made also has those of ``MADE``. Files are named from the folder
of the manifest. A video stands on a line of its own. Equal content gives equal bytes: no time of writing is told.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.types import InputError

MANIFEST = "manifest.json"
FORMAT, VERSION = "mvt4g benchmark videos", 1
MADE_STATUS, FAILED, MISSING = "made", "failed", "missing"
STATUSES = (MADE_STATUS, FAILED, MISSING)

ASKED: Mapping[str, str] = {
    "file": "the video, made or to be made",
    "status": "made; failed, with the reason; missing: not made yet, maybe in the works of another job",
    "reason": "why it failed; empty for a video that was made",
    "clip": "name of the source video",
    "camera": "name of the target cameras",
    "seed": "of the noise",
}
MADE: Mapping[str, str] = {
    "frames": "the source's frame number of each frame of the video, from 0",
    "times_s": "when the source shows that frame, seconds from its first",
    "fps": "frames a second of the video file",
    "size": "[height, width] of the video",
    "source": "{path, sha256, size [h, w], fps} of the source video",
    "crop_xyxy": "left, top, right, bottom edge of the video's picture in pixels of the source",
    "scale_xy": "pixels of the video for one of the source, along x and y",
    "rule": "the same in words: frames, crop, cameras",
    "convention": "what the target poses are relative to, a key of CONVENTIONS",
    "cameras": "JSON of the poses asked for, (formats.trajectory_json): views reference and target, one pose a frame",
    "checkpoint": "{path, fingerprint} of the weights",
    "sampler": "its name",
    "steps": "of the sampler",
    "versions": "{mvt4g, torch} that made it",
    "bytes": "length of the video file",
    "sha256": "of the video file",
}
CONVENTIONS: Mapping[str, str] = {
    "source_start": "relative to the source's first camera: the source's motion is not kept",
    "source_frames": "relative to the source's camera of each frame: the source's motion is kept",
    "world": "absolute, in the world of the source's cameras",
}


@dataclass(frozen=True)
class Manifest:
    """The videos of one method.

    Attributes:
        method: Its name.
        videos: In order of their files' names; fields of ``ASKED``, and of ``MADE`` where the status is made.
    """

    method: str
    videos: Sequence[Mapping[str, Any]]

    @property
    def counts(self) -> dict[str, int]:
        """How many videos have each status."""
        counts = dict.fromkeys(STATUSES, 0)
        for video in self.videos:
            counts[video["status"]] += 1
        return counts


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder; it appears whole or not at all.

    Raises:
        InputError: If the place cannot be written to.
    """
    head = {"format": FORMAT, "version": VERSION, "method": manifest.method, "counts": manifest.counts}
    ordered = sorted(manifest.videos, key=lambda video: str(video["file"]))
    lines = ",\n".join(json.dumps(video, sort_keys=True, allow_nan=False) for video in ordered)
    text = f'{json.dumps(head)[:-1]}, "videos": [\n{lines}\n]}}\n'
    with appearing(folder / MANIFEST) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        InputError: If there is none, or it is of another kind; what is in it is believed but for files outside the
            folder.
    """
    path = folder / MANIFEST
    content = read_json_object(path, "a manifest of benchmark videos")
    if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise InputError(f"{path}: format, version: got others than {(FORMAT, VERSION)}, want a manifest of videos")
    method, videos = content.get("method"), content.get("videos")
    if not isinstance(method, str) or not isinstance(videos, list):
        raise InputError(
            f"{path}: method, videos: got {method!r:.60} and {type(videos).__name__}, want text and a list"
        )
    for number, video in enumerate(videos):
        check_video(f"{path}: videos[{number}]", video)
    return Manifest(method, videos)


def check_video(where: str, video: Any) -> None:
    """Check that an entry has its fields, and names only files inside its folder.

    Raises:
        InputError: Naming where.
    """
    if not isinstance(video, dict) or video.get("status") not in STATUSES:
        raise InputError(f"{where}: got {video!r:.60}, want an object whose status is one of {', '.join(STATUSES)}")
    wanted = [*ASKED, *(MADE if video["status"] == MADE_STATUS else ())]
    for name in wanted:
        if name not in video:
            raise InputError(f"{where}: {name}: missing, got {', '.join(video)}")
    # A manifest may be anybody's: what it names is opened.
    for name in ("file", "cameras"):
        parts = Path(str(video.get(name, ""))).parts
        if ".." in parts or parts[:1] == ("/",):
            raise InputError(f"{where}: {name}: got {video[name]!r:.60}, want a file inside the folder")
