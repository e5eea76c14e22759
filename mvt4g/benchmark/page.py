"""``mvt4g benchmark page OUT``: one HTML page with all methods' videos of a scene in step, camera paths and the table.

The page asks for nothing from a network and opens from disk. Its behaviour and looks are in ``page_parts``.
"""

import argparse
import base64
import html
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mvt4g.benchmark.attention_looks import Look, probe_looks
from mvt4g.benchmark.camera_plan import draw_paths
from mvt4g.benchmark.comparison import Comparison, compare
from mvt4g.benchmark.found_videos import find_methods
from mvt4g.benchmark.known_clips import Sources
from mvt4g.benchmark.layout_choice import AUTO, LayoutChoice
from mvt4g.benchmark.previews import FPS, Preview, embedded_or_linked
from mvt4g.benchmark.results import Results, read_results
from mvt4g.benchmark.scenes import Material, Scene, scenes_of
from mvt4g.benchmark.table import add_comparison_options, named_backbones
from mvt4g.benchmark.table_forms import html_body
from mvt4g.benchmark.table_words import number
from mvt4g.cli.exits import EXIT_BAD_INPUT, exit_code
from mvt4g.commands.verb_options import VerbParser
from mvt4g.errors import one_line
from mvt4g.formats.atomic import appearing
from mvt4g.types import InputError

EMBED_MB = 20.0
"""Videos of a page that come to this or less lie within it."""
NO_REFERENCE = "the source is not given (--sources)"
_SLOT = re.compile(r"\{\{(\w+)\}\}")
_MOST_TOLD = 8
"""Scores that stand beside a video."""
_PARTS = Path(__file__).with_name("page_parts")


def main(args: Sequence[str]) -> int:
    """Write the page of scored videos and return the exit code.

    Args:
        args: What follows ``mvt4g benchmark page`` on the command line.
    """
    return exit_code(lambda: _page(parser().parse_args(args)))


def parser() -> VerbParser:
    """Return the parser of the subcommand."""
    options = VerbParser("benchmark page")
    options.add_argument("out", type=Path)
    options.add_argument("--videos", type=Path)
    options.add_argument("--sources", type=Path)
    options.add_argument("--clips", type=_names, default=())
    options.add_argument("--probes", action="append", default=[], metavar="LABEL=RUN")
    options.add_argument("--embed", type=_megabytes, default=EMBED_MB, metavar="MB")
    add_comparison_options(options)
    return options


def page_text(
    results: Results,
    comparison: Comparison,
    scenes: Sequence[Scene],
    looks: Sequence[Look],
    sources: Mapping[Path, str],
) -> str:
    """Return the page.

    Args:
        results: Of the benchmark.
        comparison: The same, as the table shows it.
        scenes: To be shown.
        looks: Query points and where attention looks for them.
        sources: What ``src`` says of each copy of a video.
    """
    data = {
        "fps": FPS,
        "methods": list(results.methods),
        "clips": [_clip_data(scene, results, comparison, sources) for scene in scenes],
        "points": [_point_data(look) for look in looks],
        "no_reference": NO_REFERENCE,
    }
    # "</script>" or "<!--" in a name would end the block early.
    block = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    plans = []
    for index, scene in enumerate(scenes):
        if scene.paths:
            plans.append(f'<template id="plan-{index}">{draw_paths(scene.paths)}</template>')
    filled = {
        "title": html.escape(f"Benchmark: {len(results.methods)} methods, {len(scenes)} scenes"),
        "style": _part("page.css"),
        "attention": _part("attention.html") if looks else "",
        "table": html_body(comparison),
        "plans": "\n".join(plans),
        "data": block,
        "script": _part("page.js"),
    }
    # One pass, so that what is filled in is not looked at again, whatever a name holds.
    return _SLOT.sub(lambda slot: filled[slot[1]], _part("page.html"))


def _page(options: argparse.Namespace) -> int:
    """Write the page; the exit code says whether every video could be read.

    Raises:
        InputError: If the folder holds no scores, an option is bad, or the page cannot be written.
    """
    out = options.out
    results = read_results(out)
    comparison = compare(results, named_backbones(options.backbone), options.truth)
    looks = probe_looks(_labelled(options.probes))
    faults: list[str] = []

    def told(line: str) -> None:
        faults.append(line)
        sys.stderr.write(f"{one_line(line)}\n")

    scenes = list(scenes_of(results, _material(options, results), options.clips, told))
    copies = [copy.path for scene in scenes for copy in _copies(scene)]
    page = out / "page.html"
    sources = embedded_or_linked(copies, page, options.embed)
    with appearing(page) as temporary:
        temporary.write_text(page_text(results, comparison, scenes, looks, sources), encoding="utf-8")
    within = any(source.startswith("data:") for source in sources.values())
    where = "within it" if within else f"beside it in {out / 'page'}"
    print(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB): {len(scenes)} scenes, {len(copies)} videos {where}")
    return EXIT_BAD_INPUT if faults else 0


def _copies(scene: Scene) -> list[Preview]:
    reference = [] if scene.reference is None else [scene.reference]
    return [*reference, *scene.videos.values()]


def _material(options: argparse.Namespace, results: Results) -> Material:
    """Find the videos as they were found when they were scored, and their sources.

    Raises:
        InputError: If a folder is not there.
    """
    choice = LayoutChoice.parse(str(results.settings.get("layout", AUTO)))
    found = find_methods(_videos_folder(options.videos, results), choice)
    sources = Sources.find(options.sources or _path_in(results, "sources"))
    most = results.settings.get("frames")
    methods = {method.name: method for method in found}
    return Material(options.out, methods, sources, most if isinstance(most, int) else None)


def _videos_folder(given: Path | None, results: Results) -> Path:
    """Return the folder that was scored.

    Raises:
        InputError: If nobody says it, or it is not there.
    """
    folder = given or _path_in(results, "dir")
    if folder is None or not folder.is_dir():
        raise InputError(f"--videos: got {folder}, want the folder that was scored")
    return folder


def _path_in(results: Results, setting: str) -> Path | None:
    """Return a path that the scores were made with; None where they say none."""
    text = results.settings.get(setting)
    return Path(text) if isinstance(text, str) and text else None


def _clip_data(scene: Scene, results: Results, comparison: Comparison, sources: Mapping[Path, str]) -> dict[str, Any]:
    cameras = []
    for camera in scene.cameras:
        videos = {}
        why = {}
        for method in results.methods:
            copy = scene.videos.get((method, camera))
            if copy is None:
                why[method] = scene.why.get((method, camera), "")
                continue
            note = _scores_of(results, comparison, method, (scene.clip, camera))
            videos[method] = _video_data(copy, sources, note)
        cameras.append({"name": camera, "videos": videos, "why": why})
    reference = None if scene.reference is None else _video_data(scene.reference, sources, "")
    return {"name": scene.clip, "reference": reference, "cameras": cameras}


def _video_data(copy: Preview, sources: Mapping[Path, str], note: str) -> dict[str, Any]:
    return {"src": sources[copy.path], "frames": copy.num_frames, "fps": FPS, "note": note}


def _scores_of(results: Results, comparison: Comparison, method: str, case: tuple[str, str]) -> str:
    """Return the scores of one video, those of the paper's columns if it has any."""
    for columns in (comparison.columns, comparison.further):
        told: list[str] = []
        for column in columns:
            value = results.of(method, column.metric).values.get(case)
            if value is not None and len(told) < _MOST_TOLD:
                told.append(f"{column.title} {number(value)}")
        if told:
            return ", ".join(told)
    return ""


def _point_data(look: Look) -> dict[str, Any]:
    pictures = []
    for name, content in look.pictures.items():
        pictures.append({"name": name, "src": f"data:image/png;base64,{base64.b64encode(content).decode()}"})
    return {"name": look.name, "pictures": pictures}


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _megabytes(text: str) -> float:
    """Return a size.

    Raises:
        argparse.ArgumentTypeError: If it is no finite number of at least 0.
    """
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 <= size < math.inf:
        raise argparse.ArgumentTypeError(f"got {text:.40}, want megabytes, at least 0")
    return size


def _labelled(texts: Sequence[str]) -> dict[str, Path]:
    """Return run folders by label.

    Raises:
        InputError: If a text is not LABEL=RUN, or two have one label.
    """
    runs: dict[str, Path] = {}
    for text in texts:
        label, sign, run = text.partition("=")
        if not (label and sign and run) or label in runs:
            raise InputError(f"--probes: got {text!r}, want LABEL=RUN, each label once")
        runs[label] = Path(run)
    return runs
