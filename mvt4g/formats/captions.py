"""Captions of videos in a CSV, as ReCamMaster's ``metadata.csv`` has them: ``file_name,text``, a row a video."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mvt4g.formats.parsing.rows import read_table
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
    """Read a CSV, as ``parsing.rows.read_table`` does.

    Raises:
        InputError: Naming the file, and the line that cannot be read, lacks a name or text, or gives a video's text
            anew.
    """
    videos: dict[str, str] = {}
    folders: dict[str, str] = {}
    for row in read_table(path, COLUMNS, what="video"):
        name = row.fields["file_name"].strip()
        text = row.fields["text"].strip()
        if not name or not text:
            raise InputError(f"{row.where}: got {row.fields}, want a file name and a text")
        place = PurePosixPath(name)
        video = place.with_suffix("").as_posix()
        if videos.setdefault(video, text) != text:
            raise InputError(f"{row.where}: got another text of {name}, want one a video")
        # A clip of several videos is a folder: it has the text of the first row below it.
        for folder in place.parents:
            folders.setdefault(folder.as_posix(), text)
    return Captions(path, folders | videos)
