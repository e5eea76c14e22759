"""The record of each video that ``benchmark generate`` makes: what it depends on, what it is, or why it failed.

    <folder>/dog_cam01.mp4    cameras/dog_cam01.json    records/dog_cam01.json

A record holds either ``inputs`` (all that the video depends on) and ``video`` (its entry of the manifest), or
``failed`` (the entry, with its reason). It is written before the video gets its name: a video without a record is
nobody's.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

from mvt4g.benchmark.manifest import ASKED, FAILED, MADE_STATUS, MISSING, check_video
from mvt4g.formats.atomic import appearing, is_leftover
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.manifest import first_difference
from mvt4g.formats.parsing.json_files import read_json_object
from mvt4g.types import InputError

RECORDS, CAMERAS = "records", "cameras"
VERSION = 1


@dataclass(frozen=True)
class VideoPlace:
    """Where one video and what belongs to it lie.

    Attributes:
        folder: Of the method.
        stem: Of the files' names.
    """

    folder: Path
    stem: str

    @property
    def video(self) -> Path:
        """The video."""
        return self.folder / f"{self.stem}.mp4"

    @property
    def cameras(self) -> Path:
        """The poses asked for."""
        return self.folder / CAMERAS / f"{self.stem}.json"

    @property
    def record(self) -> Path:
        """What tells of it."""
        return self.folder / RECORDS / f"{self.stem}.json"

    def is_done(self, inputs: Callable[[], Mapping[str, Any]]) -> bool:
        """Say whether the video of these inputs is there and whole, with its cameras.

        Args:
            inputs: Tells all that the video depends on, as JSON holds it; asked only where there is a record of one.

        Raises:
            InputError: If the video of other inputs is there, or a video without a record: neither is written over.
        """
        want = "want another --out or --method, or that folder moved away"
        if not self.record.is_file():
            if self.video.exists():
                raise InputError(f"{self.video}: is there, but {self.record} is missing, which says of what; {want}")
            return False
        found = read_record(self.record)
        if "failed" in found:
            return False
        if difference := first_difference(_as_json(inputs()), found["inputs"]):
            raise InputError(f"{self.video}: is of other inputs: {difference}; {want}")
        files = {self.video: found["video"]["sha256"], self.cameras: found["cameras_sha256"]}
        return all(path.is_file() and sha256_of(path) == digest for path, digest in files.items())

    def write(
        self, inputs: Mapping[str, Any], entry: Mapping[str, Any], write_files: Callable[[Path, Path], None]
    ) -> None:
        """Write the video and what belongs to it; the video appears last, and whole.

        Args:
            inputs: All that the video depends on.
            entry: Of the manifest, without length and checksum.
            write_files: Writes the video to the first path, the cameras to the second.

        Raises:
            InputError: If a place cannot be written to, and what ``write_files`` raises.
        """
        # The names come back in reverse: record, video, cameras. Killed between them, the video is made once more.
        with appearing(self.cameras) as cameras, appearing(self.video) as video:
            write_files(video, cameras)
            made = {**entry, "status": MADE_STATUS, "reason": "", "bytes": video.stat().st_size}
            made["sha256"] = sha256_of(video)
            self._write_record({"inputs": _as_json(inputs), "video": made, "cameras_sha256": sha256_of(cameras)})

    def fail(self, entry: Mapping[str, Any], reason: str) -> None:
        """Note why there is no video.

        Args:
            entry: Of the manifest, as far as it is known.
            reason: One line.
        """
        self._write_record({"failed": {**entry, "status": FAILED, "reason": reason}})

    def remove_leftovers(self) -> None:
        """Remove what a killed process left of this video: whoever claims it has it alone."""
        for path in (self.video, self.cameras, self.record):
            remove_leftovers(path)

    def _write_record(self, content: Mapping[str, Any]) -> None:
        text = json.dumps({"version": VERSION, **content}, indent=1, sort_keys=True, allow_nan=False)
        with appearing(self.record) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a video.

    Raises:
        InputError: If it is none.
    """
    content = read_json_object(path, "the record of a video")
    entry = content.get("video", content.get("failed"))
    if content.get("version") != VERSION or not ("failed" in content or isinstance(content.get("inputs"), dict)):
        raise InputError(f"{path}: got no record of version {VERSION}, want the record of a video")
    check_video(str(path), entry)
    return content


def entries_of(folder: Path) -> list[dict[str, Any]]:
    """Return the manifest's entries of all records in a folder; a video that is gone since is missing.

    Raises:
        InputError: If a file there is no record.
    """
    entries = []
    for path in sorted((folder / RECORDS).glob("*.json")):
        if is_leftover(path):
            continue
        content = read_record(path)
        entry = content.get("failed") or content["video"]
        video = folder / str(entry["file"])
        is_whole = video.is_file() and video.stat().st_size == entry.get(
            "bytes"
        )  # its content is looked at on resuming
        if entry["status"] == MADE_STATUS and not is_whole:
            asked = {name: entry[name] for name in ASKED}
            entry = {**asked, "status": MISSING, "reason": "the file is gone"}
        entries.append(entry)
    return entries


def remove_leftovers(path: Path) -> None:
    """Remove temporary files that a killed process left of one file; their names begin with a dot, or two."""
    for dots in (".", ".."):
        for left in path.parent.glob(f"{dots}{escape(path.stem)}.*"):
            if is_leftover(left):
                left.unlink(missing_ok=True)


def _as_json(inputs: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(inputs, default=str))
    return content
