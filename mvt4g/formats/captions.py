"""Captions of videos in a CSV, as ReCamMaster's ``metadata.csv`` has them: ``file_name,text``, a row a video."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mvt4g.types import InputError

COLUMNS = ("file_name", "text")


@dataclass(frozen=True)
class Captions:
    """Texts of videos and of the folders above them.

    Attributes:
        path: Of the CSV.
        by_name: Text by the video's path without its suffix; of a folder, that of the first row below it.
    """

    path: Path
    by_name: Mapping[str, str]

    @property
    def texts(self) -> list[str]:
        """Every different text once."""
        return list(dict.fromkeys(self.by_name.values()))

    def of(self, name: str) -> str | None:
        """Return the text of a video, with or without its suffix, or of a folder; None if there is none."""
        return self.by_name.get(name, self.by_name.get(PurePosixPath(name).with_suffix("").as_posix()))


def read_captions(path: Path) -> Captions:
    """Read a CSV.

    Raises:
        InputError: Naming the file, and the row that lacks a name or text or gives a video's text anew.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, want a CSV of {','.join(COLUMNS)}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}), want a header {','.join(COLUMNS)}") from error
    if not rows or not set(COLUMNS) <= rows[0].keys():
        got = list(rows[0]) if rows else "no rows"
        raise InputError(f"{path}: got header {got}, want {','.join(COLUMNS)} and a video a line")
    videos: dict[str, str] = {}
    folders: dict[str, str] = {}
    for number, row in enumerate(rows):
        name, text = (row[column] or "" for column in COLUMNS)
        if not name or not text:
            raise InputError(f"{path}: row {number}: got {dict(row)}, want a file name and a text")
        place = PurePosixPath(name)
        video = place.with_suffix("").as_posix()
        if videos.setdefault(video, text) != text:
            raise InputError(f"{path}: row {number}: got another text of {name}, want one a video")
        for folder in place.parents:
            folders.setdefault(folder.as_posix(), text)
    return Captions(path, folders | videos)
