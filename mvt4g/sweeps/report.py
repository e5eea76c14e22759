"""``mvt4g report FILE.yaml``: one page a sweep, to send to a colleague.

Tables, dots of every seed, curves, videos and pictures of the arms side by side, all inside one HTML file that asks for
nothing from a network. Beside ``scores`` (see ``mvt4g.sweeps.collect``) the sweep file's ``table`` may hold:

    title, about: two lines of text
    curves: [train/loss_diff]                            # tags of the fit's events
    pictures: {"generated videos": "test/media/videos-*.gif"}        # the last file that matches, in every run's folder
    scenes: {"dog, in 4D": "predict/dog/arc_left-s0/scene.html"}     # linked: see ``report_scenes``
"""

import argparse
import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mvt4g.cli.exits import exit_code
from mvt4g.formats.atomic import appearing
from mvt4g.sweeps.collect import cpu_minutes, dot_panels, tables
from mvt4g.sweeps.options import VerbParser
from mvt4g.sweeps.report_scenes import link_scenes
from mvt4g.sweeps.results import Results, read_curves
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.viz.charts import Curve, CurvePanel, Figure, chart_bytes, draw_curves, draw_dots

TYPES = {".gif": "image/gif", ".jpg": "image/jpeg", ".png": "image/png", ".mp4": "video/mp4"}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #282828; margin: 2rem auto; max-width: 76rem; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem }
.about { font-size: 1.05rem; margin: 0 0 .3rem } .made, figcaption { color: #666; font-size: .85rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { white-space: normal; vertical-align: bottom } th:first-child, td:first-child { text-align: left }
tr:hover td { background: #f4f6f8 } b { color: #00629b }
.side { display: flex; flex-wrap: wrap; gap: 1rem } figure { margin: 0; max-width: 100% }
.pictures figure { flex: 0 0 calc(33% - 1rem); min-width: 20rem }
.pictures img, .pictures video { width: 100%; image-rendering: pixelated }
img, video { max-width: 100% }
code, pre { background: #f4f4f4; font-size: .85rem } pre { padding: .6rem; overflow-x: auto }
"""


def page(results: Results, more: Sequence[str] = ()) -> str:
    """Return the report of a sweep as one HTML document.

    Args:
        results: Of the sweep.
        more: HTML that follows the pictures.
    """
    table = results.sweep.table
    title = html.escape(table.get("title", results.sweep.path.stem))
    about = html.escape(table.get("about", ""))
    count = f"{len(results.finished)} of {len(results.runs)} runs finished"
    made = f"{count}, {len(results.seeds)} seeds, {cpu_minutes(results):.0f} CPU-minutes, control: {results.control}"
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="about">{about}</p>',
        f'<p class="made">{html.escape(made)}</p>',
        "<h2>Scores</h2>",
        markdown(tables(results)),
        "<h2>Every seed</h2>",
        _chart(draw_dots(dot_panels(results)), "A dot a seed, a bar at their mean; (higher) or (lower) is better."),
    ]
    if table.get("curves"):
        parts += ["<h2>Training</h2>", '<div class="side">']
        parts += _curves(results, table["curves"])
        parts.append("</div>")
    for caption, pattern in table.get("pictures", {}).items():
        parts += [f"<h2>{html.escape(caption)}</h2>", '<div class="side pictures">']
        parts += _pictures(results, pattern)
        parts.append("</div>")
    parts += more
    parts += ["<h2>What was run</h2>", f"<pre>{html.escape(results.sweep.text)}</pre>"]
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def markdown(text: str) -> str:
    """Return paragraphs and tables of Markdown, as ``collect.tables`` writes them, as HTML."""
    parts = []
    for block in re.split(r"\n\n+", text.strip()):
        lines = block.splitlines()
        if not lines[0].startswith("|"):
            parts.append(f"<p>{_inline(block)}</p>")
            continue
        # The second line of a table holds dashes.
        heading, _, *rows = lines
        body = ""
        for row in rows:
            body += "\n" + _table_row(row, "td")
        parts.append(f'<div class="wide"><table>{_table_row(heading, "th")}{body}</table></div>')
    return "\n".join(parts)


def _table_row(line: str, tag: str) -> str:
    """Return a row of a Markdown table as one of HTML."""
    cells = ""
    for cell in line.strip("|").split("|"):
        cells += f"<{tag}>{_inline(cell.strip())}</{tag}>"
    return f"<tr>{cells}</tr>"


def main(args: Sequence[str]) -> int:
    """Write a sweep's report and return the exit code.

    Args:
        args: What follows ``mvt4g report`` on the command line.
    """
    return exit_code(lambda: _report(parser().parse_args(args)))


def parser() -> VerbParser:
    """Return the parser of the verb."""
    options = VerbParser("report")
    options.add_argument("--out", type=Path)
    return options


def _report(options: argparse.Namespace) -> None:
    """Write a sweep's report.

    Raises:
        InputError: If the sweep file or what a run left cannot be read, or the page cannot be written.
    """
    results = Results(SweepFile(Path(options.file)))
    out = options.out or results.sweep.folder / f"{results.sweep.name}.html"
    scenes = link_scenes(results, out)
    with appearing(out) as temporary:
        temporary.write_text(page(results, scenes), encoding="utf-8")
    print(f"{out} ({out.stat().st_size / 1e6:.1f} MB)")


def _curves(results: Results, tags: Sequence[str]) -> Iterator[str]:
    """Yield a chart of each tag that any run has."""
    runs = [(run.arm, read_curves(run.folder)) for run in results.runs]
    for tag in tags:
        # Every arm is there, without curves too: its colour is that of its place.
        by_arm: dict[str, list[Curve]] = {arm: [] for arm in results.arms}
        for arm, curves in runs:
            if tag in curves:
                by_arm[arm].append(curves[tag])
        if any(by_arm.values()):
            note = "The mean of the seeds; the band reaches from the least to the greatest."
            yield _chart(draw_curves([[CurvePanel(("training step", tag), by_arm)]]), note)


def _chart(chart: Figure, caption: str) -> str:
    """Return a chart as a figure that carries its picture within."""
    source = _data("image/svg+xml", chart_bytes(chart, "svg"))
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="{source}"><figcaption>{text}</figcaption></figure>'


def _pictures(results: Results, pattern: str) -> Iterator[str]:
    """Yield each arm's picture from the first seed that has one."""
    for arm in results.arms:
        for run in results.runs:
            if run.arm != arm:
                continue
            # The names of pictures end with the step: the last one is of the end of the run.
            files = sorted(filter(Path.is_file, run.folder.glob(pattern)))
            if files and files[-1].suffix in TYPES:
                yield _figure(files[-1], run.name)
                break


def _figure(path: Path, caption: str) -> str:
    kind = TYPES[path.suffix]
    source = _data(kind, path.read_bytes())
    text = html.escape(caption)
    element = f'<img alt="{text}" src="{source}">'
    if kind.startswith("video"):
        element = f'<video autoplay loop muted playsinline controls src="{source}"></video>'
    return f"<figure>{element}<figcaption>{text}</figcaption></figure>"


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _inline(text: str) -> str:
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text))
