"""The lifted scenes of a sweep's arms, linked from its report: a scene is a file of megabytes and stays where it is.

Each entry of the table's ``scenes`` gets a page of its own beside the report. Scenes of several arms can be open on it
at once, and their cameras and frames move together.
"""

import html
import os
from pathlib import Path
from urllib.parse import quote

from mvt4g.sweeps.results import Results
from mvt4g.viz.scene_page import write_gallery


def link_scenes(results: Results, report: Path) -> list[str]:
    """Write the pages of scenes and return the HTML that links them.

    Args:
        results: Of the sweep.
        report: The file that links them; the pages are called as it is, with a number.

    Raises:
        InputError: If a file that matches is no scene page, or a page cannot be written.
    """
    parts = []
    for number, (caption, pattern) in enumerate(results.sweep.table.get("scenes", {}).items(), start=1):
        by_run = _scene_of_arms(results, pattern)
        if not by_run:
            parts += [f"<h2>{html.escape(caption)}</h2>", f"<p>No run has {html.escape(pattern)} yet.</p>"]
            continue
        together = report.with_name(f"{report.stem}-scenes-{number}.html")
        write_gallery([*by_run.values()], together, caption)
        links = [_link(together, report, "all, moving together")]
        links += [_link(path, report, name) for name, path in by_run.items()]
        parts += [f"<h2>{html.escape(caption)}</h2>", f"<p>{' · '.join(links)}</p>"]
    return parts


def _scene_of_arms(results: Results, pattern: str) -> dict[str, Path]:
    """Return by the name of its run the last page that matches in the first seed of each arm that has one."""
    found: dict[str, Path] = {}
    for arm in results.arms:
        of_arm = [run for run in results.runs if run.arm == arm]
        for run in of_arm:
            files = [path for path in sorted(run.folder.glob(pattern)) if path.is_file()]
            if files:
                found[run.name] = files[-1]
                break
    return found


def _link(path: Path, report: Path, text: str) -> str:
    """Return a link relative to the report, so that the folder can be moved as a whole."""
    place = Path(os.path.relpath(path.resolve(), report.resolve().parent)).as_posix()
    return f'<a href="{quote(place)}">{html.escape(text)}</a>'
