"""Records of the inputs and files of a folder of results, by which it is known to be whole.

The record of ``<run>/predict/<clip>/<camera>-s<seed>`` is ``<run>/records/predict/<clip>/<camera>-s<seed>.json``, apart
from the results, whose files are a contract with other programs.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvt4g.formats.atomic import appearing, appearing_folder, is_leftover
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.manifest import first_difference, record_files
from mvt4g.formats.parsing.json_files import read_json
from mvt4g.types import InputError

VERSION = 1
FOLDER = "records"


@dataclass(frozen=True)
class ResultPlace:
    """Where one item's results lie.

    Attributes:
        run: The run folder.
        command: Whose results these are.
        name: Of the folder below ``<run>/<command>``.
    """

    run: Path
    command: str
    name: str

    @property
    def folder(self) -> Path:
        """The folder of results."""
        return self.run / self.command / self.name

    @property
    def record(self) -> Path:
        """The file that tells what made it."""
        place = self.run / FOLDER / self.command / self.name
        return place.with_name(f"{place.name}.json")

    @property
    def windows(self) -> Path:
        """The folder that keeps the windows of a long video until its results are there."""
        return self.record.with_name(f"{self.record.stem}.windows")

    def is_done(self, inputs: Callable[[], Mapping[str, Any]]) -> bool:
        """Say whether results of these inputs are there and whole; files that are damaged or missing make them not so.

        Args:
            inputs: Tells all that the results depend on, as JSON holds it; asked only where there is a folder.

        Raises:
            InputError: If the folder holds the results of other inputs, or nothing tells what made it: neither is ever
                written over.
        """
        if not self.folder.exists():
            return False
        want = "want another --run, or that folder moved away"
        if not self.record.is_file():
            raise InputError(f"{self.folder}: holds results, but {self.record} is missing, which says of what; {want}")
        found = _read(self.record)
        if difference := first_difference(_as_json(inputs()), found["inputs"]):
            raise InputError(f"{self.folder}: holds other results: {difference}; {want}")
        for file, entry in found["files"].items():
            path = self.folder / file
            if not path.is_file() or sha256_of(path) != entry.get("sha256"):
                return False
        return True

    def write(self, inputs: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
        """Make the folder, whole or not at all; of a damaged one of the same inputs the files are replaced.

        Args:
            inputs: All that the results depend on.
            fill: Writes the files into an empty folder.

        Raises:
            InputError: If the place cannot be written to, and what ``fill`` raises.
        """
        damaged = self.folder.exists()
        made = self.folder.with_name(f".{self.folder.name}.made") if damaged else self.folder
        with appearing_folder(made) as temporary:
            fill(temporary)
            content = {"version": VERSION, "inputs": _as_json(inputs), "files": record_files(temporary)}
            # Before the folder appears: a folder without a record would be nobody's.
            with appearing(self.record) as record:
                record.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            # What else lies there, as an export, stays.
            if damaged:
                for file in temporary.iterdir():
                    os.replace(file, self.folder / file.name)
        if damaged:
            made.rmdir()

    def remove_leftovers(self) -> None:
        """Remove what a killed process left of this folder."""
        for path in self.folder.parent.glob(f".{self.folder.name}.*"):
            if is_leftover(path):
                shutil.rmtree(path, ignore_errors=True)


def _as_json(inputs: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(inputs, default=str))
    return content


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path, "the record of results")
    if not isinstance(content, dict) or content.get("version") != VERSION:
        want = "the record of results"
        raise InputError(f"{path}: got no record of version {VERSION}, want {want}")
    if not (isinstance(content.get("inputs"), dict) and isinstance(content.get("files"), dict)):
        raise InputError(f"{path}: got no inputs and files, want the record of results")
    return content
