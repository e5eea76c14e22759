"""``mvt4g validate-clips``: tells the format of clips on disk, checks every one, draws some of them."""

import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mvt4g.commands.contact_sheet import draw_row, write_sheet
from mvt4g.formats import clip_folder
from mvt4g.formats.clip_checks import CHECKS, Fault, applies, check_clip, check_extras
from mvt4g.formats.exports import mvtracker
from mvt4g.formats.manifest import MANIFEST, Manifest, file_faults, read_manifest
from mvt4g.formats.readers.registry import ClipFiles, open_source
from mvt4g.types import InputError, MultiViewClip

EXIT_FAULTS = 2
MAX_ROWS = 40
"""Most clips in the table, those with faults first."""
MAX_DRAWN = 8
"""Most clips on the contact sheet."""
BESIDE: Literal["beside"] = "beside"
_FILE_OF = {"clip_folder": clip_folder.file_of, "mvtracker": mvtracker.file_of}
_SPLITS = ("train", "val", "validation", "test")
_CELLS = {"ok": "[green]ok[/]", "fault": "[red]FAULT[/]"}
_TABLE_WIDTH = 120
"""Where the output is no terminal and tells no width."""


@dataclass
class ClipReport:
    """What was found of one clip.

    Attributes:
        name: Of the clip.
        results: "ok", "fault" or "-" (nothing to check) by the name of the check.
        lines: What is wrong, one line each, with file and field.
        row: Its pictures for the contact sheet.
    """

    name: str
    results: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    row: list[Float[Tensor, "3 _ _"]] = field(default_factory=list)

    def note(self, check: str, lines: list[str]) -> None:
        """Add what a check found."""
        self.results[check] = "fault" if lines else "ok"
        self.lines += lines


def validate_clips(
    path: Path, format: str | None = None, limit: int | None = None, sheet: Literal["beside"] | Path | None = BESIDE
) -> int:
    """Check clips on disk, print a table of clips and checks, and draw some clips with their tracks.

    Args:
        path: A clip, or a folder of clips in any format that can be read.
        format: Its name; null = told by the layout.
        limit: Only so many clips.
        sheet: PNG that takes the pictures; ``beside`` = ``<path>_contact_sheet.png``, null draws none.

    Returns:
        The exit code: 0, or 2 if anything is wrong; then stderr has one line for each fault, with file and field.

    Raises:
        InputError: If there is no clip to check, or an argument is out of range.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: got {limit}, want 1 clip or more")
    manifest, lines = _read_manifest(path)
    if manifest is None:
        lines += _empty_splits(path)
    try:
        source = open_source(path, format)
    except InputError as error:
        _complain([*lines, str(error)])
        return EXIT_FAULTS
    if manifest is not None:
        lines += _missing(path, manifest, source.names)
    count = len(source) if limit is None else min(limit, len(source))
    # Spread over all clips: the first ones of a folder are often alike.
    evenly_spread = torch.linspace(0, count - 1, min(count, MAX_DRAWN)).round().long().tolist()
    reports = []
    rows = {}
    for index in range(count):
        report = check_one(source, index, manifest, draw=sheet is not None and index in evenly_spread)
        reports.append(report)
        lines += report.lines
        if report.row:
            rows[report.name] = report.row
    _print_table(source, reports)
    if sheet is not None and rows:
        place = sheet_beside(path) if sheet == BESIDE else Path(sheet)
        write_sheet(place, list(rows.values()), list(rows))
        sys.stdout.write(f"{place}: {len(rows)} clips with their tracks\n")
    _complain(lines)
    return EXIT_FAULTS if lines else 0


def sheet_beside(path: Path) -> Path:
    """Return where the sheet of some clips goes: beside them, so that their folder holds clips alone."""
    clips = path.absolute() if path.name in ("", "..") else path
    return clips.with_name(f"{clips.name.removesuffix('.npz')}_contact_sheet.png")


def check_one(source: ClipFiles, index: int, manifest: Manifest | None = None, draw: bool = False) -> ClipReport:
    """Read one clip and report what is wrong with it.

    Args:
        source: Where it comes from.
        index: Its number there.
        manifest: Of the source's root, if it has one.
        draw: Whether to draw it.
    """
    report = ClipReport(source.names[index])
    place = source.clips[index] if isinstance(source.clips[index], Path) else source.root / source.names[index]
    if manifest is not None:
        records = manifest.clips.get(report.name)
        absent = [f"{place}: clip: got one that {MANIFEST} does not list, want none"]
        report.note("checksum", absent if records is None else file_faults(place, records))
    try:
        clip = source[index]
        faults = check_clip(clip)
        if source.format == "clip_folder":
            faults += check_extras(clip, clip_folder.read_clip_extras(place))
    except InputError as error:
        report.note("read", [str(error)])
        if len(report.lines) > 1:
            report.lines.pop()  # what the checksums say is what it fell over
        return report
    report.note("read", [])
    _note_faults(report, clip, faults, source.format, place)
    # Tracks of other shapes, or that are not finite, cannot be drawn.
    if draw and {"counts", "finite"}.isdisjoint(fault.check for fault in faults):
        report.row = draw_row(clip)
    return report


def _note_faults(report: ClipReport, clip: MultiViewClip, faults: list[Fault], format: str, place: Path) -> None:
    by_check: dict[str, list[str]] = {check: [] for check in CHECKS}
    if format == "clip_folder":
        by_check["extras"] = []
    for fault in faults:
        by_check[fault.check].append(f"{_file(format, place, fault)}: {fault}")
    for check, lines in by_check.items():
        report.note(check, lines)
        if check in CHECKS and not applies(check, clip):
            report.results[check] = "-"


def _file(format: str, place: Path, fault: Fault) -> Path:
    """Return the file that a fault lies in, the clip's own path where a format has no table of files."""
    file_of = _FILE_OF.get(format)
    return place if file_of is None else place / file_of(fault.field.partition(".")[0], fault.view)


def _read_manifest(path: Path) -> tuple[Manifest | None, list[str]]:
    if not (path / MANIFEST).is_file():
        return None, []
    try:
        return read_manifest(path), []
    except InputError as error:
        return None, [str(error)]


def _missing(path: Path, manifest: Manifest, names: Collection[str]) -> list[str]:
    """Return a line for every clip that a manifest lists, or is short of, and that is not found."""
    lines = []
    for name in sorted(manifest.clips.keys() - set(names)):
        if (path / name).is_dir():
            lines += file_faults(path / name, manifest.clips[name])
        else:
            lines.append(f"{path / name}: no such folder, want the clip that {MANIFEST} lists")
    folders = Counter(name.partition("/")[0] for name in manifest.clips)
    for split, count in manifest.splits.items():
        listed = folders[split]
        if split == "val":  # as MVTracker's layout calls it
            listed += folders["validation"]
        if listed < count:
            lines.append(f"{path / MANIFEST}: clips: got {listed} of {split}, want {count}: writing is not finished")
    return lines


def _empty_splits(path: Path) -> list[str]:
    lines = []
    for split in _SPLITS:
        folder = path / split
        if folder.is_dir() and not any(folder.iterdir()):
            lines.append(f"{folder}: clips: got none, want one at least")
    return lines


def _print_table(source: ClipFiles, reports: list[ClipReport]) -> None:
    console = Console(width=None if sys.stdout.isatty() else _TABLE_WIDTH)
    sys.stdout.write(f"{source.root}: {len(source)} clips, format {source.format}\n")
    table = Table()
    table.add_column("clip", overflow="fold")
    # A clip that cannot be read has no results of the checks that come after.
    totals: dict[str, Counter[str]] = {}
    for report in reports:
        for check, result in report.results.items():
            totals.setdefault(check, Counter())[result] += 1
    for check in totals:
        table.add_column(check, justify="center")
    faulty_first = sorted(reports, key=lambda report: not report.lines)
    for report in faulty_first[:MAX_ROWS]:
        table.add_row(report.name, *(_CELLS.get(report.results.get(check, "-"), "-") for check in totals))
    if len(reports) > 1:
        table.add_section()
        table.add_row(f"all {len(reports)}", *map(_total, totals.values()))
    console.print(table)


def _total(counts: Counter[str]) -> Any:
    if counts["fault"]:
        return f"[red]{counts['fault']} bad[/]"
    return f"[green]{counts['ok']}[/]" if counts["ok"] else "-"


def _complain(lines: list[str]) -> None:
    for line in lines:
        sys.stderr.write(f"mvt4g: {' '.join(line.split())}\n")
