"""The table as Markdown, CSV, LaTeX and HTML; each form escapes names and reasons in its own way."""

import csv
import html
import io
import math
import re
from collections.abc import Callable, Sequence

from mvt4g.benchmark import table_words as words
from mvt4g.benchmark.comparison import Cell, Comparison, Gain, Section, TableRow
from mvt4g.benchmark.published import Column

_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "–": "--", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$\dagger$",
    "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$",
})  # fmt: skip
CSV_COLUMNS = (
    "section", "source", "method", "backbone", "metric", "title", "better", "value", "low_95", "high_95", "videos",
    "missing", "change", "change_low_95", "change_high_95", "change_videos", "gain", "best", "fault", "note",
)  # fmt: skip
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #282828; margin: 2rem auto; max-width: 84rem; padding: 0 1.5rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem } .wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
td { vertical-align: top }
th:first-child, td:first-child { text-align: left } .group td { background: #f1f2f6; font-weight: 600 }
.better { color: #1f9d55; font-weight: 700 } .worse { color: #d23b3b; font-weight: 700 }
.best { font-weight: 800 } small { display: block; color: #666 } .told td { white-space: normal; text-align: left }
li { max-width: 70rem }
"""


def to_markdown(comparison: Comparison) -> str:
    """Return the table as Markdown (GitHub's tables)."""
    lines = [f"# {words.TITLE}", ""]
    lines += _markdown_table(comparison.sections, comparison.columns)
    if comparison.further:
        lines += ["", f"## {words.FURTHER}", ""]
        lines += _markdown_table(comparison.measured_sections, comparison.further)
    for heading, told in words.remarks(comparison):
        lines += ["", f"## {heading}", ""] if heading else [""]
        for line in told:
            lines.append(f"- {escape_markdown(line)}")
    lines += ["", f"## {words.FACTS}", ""]
    for method, facts in comparison.facts.items():
        lines.append(f"- {escape_markdown(method)}")
        for fact, text in facts.items():
            lines.append(f"  - {escape_markdown(f'{fact}: {text}')}")
    return "\n".join(lines) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Return the table as CSV: a row for each method and column, empty where a number is not known."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in comparison.notes:
        reasons.setdefault((entry.method, entry.metric), []).append(words.reason(entry))
    for section in comparison.sections:
        columns = (*comparison.columns, *comparison.further) if section.is_measured else comparison.columns
        for row in section.rows:
            for column in columns:
                # What is true of the method's videos is true of each of its numbers.
                why = [*reasons.get((row.method, ""), ()), *reasons.get((row.method, column.metric), ())]
                writer.writerow(_csv_row(section, row, column, "; ".join(why) if section.is_measured else ""))
    return text.getvalue()


def to_latex(comparison: Comparison) -> str:
    r"""Return the table as LaTeX, to be read by ``\input``; it needs booktabs, xcolor and amssymb."""
    lines = [
        r"% \usepackage{booktabs,xcolor,amssymb}; \input this file inside a table or adjustbox.",
        r"\providecommand{\better}[1]{\textcolor[HTML]{1F9D55}{\scriptsize #1}}",
        r"\providecommand{\worse}[1]{\textcolor[HTML]{D23B3B}{\scriptsize #1}}",
        *_latex_table(comparison.sections, comparison.columns),
    ]
    if comparison.further:
        lines += ["", rf"\par\medskip {words.FURTHER}:\par"]
        lines += _latex_table(comparison.measured_sections, comparison.further)
    lines += ["", r"\par\medskip\begin{minipage}{\linewidth}\footnotesize"]
    for heading, told in words.remarks(comparison):
        if heading:
            lines.append(rf"\emph{{{escape_latex(heading)}}}\par")
        for line in told:
            lines.append(rf"{escape_latex(line)}\par")
    lines.append(r"\end{minipage}")
    return "\n".join(lines) + "\n"


def to_html(comparison: Comparison) -> str:
    """Return the table as an HTML page that asks for nothing from a network."""
    parts = [f"<h1>{_text(words.TITLE)}</h1>", html_body(comparison)]
    head = f'<meta charset="utf-8"><title>{_text(words.TITLE)}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def html_body(comparison: Comparison) -> str:
    """Return tables, legend and notes as HTML, without a heading."""
    parts = [_html_table(comparison.sections, comparison.columns)]
    if comparison.further:
        parts.append(f"<h2>{words.FURTHER}</h2>")
        parts.append(_html_table(comparison.measured_sections, comparison.further))
    for heading, told in words.remarks(comparison):
        if heading:
            parts.append(f"<h2>{_text(heading)}</h2>")
        parts.append(_html_list(told))
    parts.append(f"<h2>{words.FACTS}</h2>")
    parts.append(_html_facts(comparison))
    return "\n".join(parts)


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is, also in a cell of a table."""
    plain = _MARKDOWN.sub(r"\\\1", text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_latex(text: str) -> str:
    """Return text that LaTeX shows as it is."""
    return text.translate(_LATEX)


def _cells(row: TableRow, columns: Sequence[Column], write: Callable[[Cell | None], str]) -> list[str]:
    """Return what is written in each column of a row."""
    return [write(row.cells.get(column.metric)) for column in columns]


def _mark(gain: Gain) -> str:
    return {True: "▲", False: "▼", None: ""}[gain.is_better]


def _tone(gain: Gain) -> str:
    return {True: "better", False: "worse", None: "same"}[gain.is_better]


def _markdown_table(sections: Sequence[Section], columns: Sequence[Column]) -> list[str]:
    titles = [escape_markdown(words.title(column)) for column in columns]
    lines = [f"| Method | {' | '.join(titles)} |", f"|---|{'---:|' * len(columns)}"]
    for section in sections:
        lines.append(f"| **{escape_markdown(section.title)}** |{' |' * len(columns)}")
        for row in section.rows:
            cells = _cells(row, columns, _markdown_cell)
            mark = words.FAULT_MARK if row.fault else ""
            lines.append(f"| {escape_markdown(row.method)}{mark} | {' | '.join(cells)} |")
    return lines


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return words.ABSENT
    value = words.number(cell.value)
    parts = [f"**{value}**" if cell.is_best else value]
    if cell.gain is not None:
        parts.append(f"{_mark(cell.gain)}{escape_markdown(words.change(cell.gain))}")
    if behind := words.spread(cell):
        parts.append(escape_markdown(behind))
    return " ".join(parts)


def _csv_row(section: Section, row: TableRow, column: Column, note: str) -> list[str | int]:
    cell = row.cells.get(column.metric)
    source = "measured" if section.is_measured else "published"
    better = "higher" if column.higher_is_better else "lower"
    numbers: list[str | int] = [""] * 10
    if cell is not None:
        videos = "" if cell.num_videos is None else cell.num_videos
        missing = "" if cell.num_videos is None else cell.num_missing
        numbers[:5] = [_plain(cell.value), _plain(cell.low), _plain(cell.high), videos, missing]
        if cell.gain is not None:
            gain = cell.gain
            shared = gain.num_videos if section.is_measured else ""
            numbers[5:] = [_plain(gain.change), _plain(gain.low), _plain(gain.high), shared, _tone(gain)]
    best = "yes" if cell is not None and cell.is_best else ""
    names = [section.title, source, row.method, row.backbone or "", column.metric, column.title, better]
    return [*names, *numbers, best, row.fault, note]


def _plain(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"


def _latex_table(sections: Sequence[Section], columns: Sequence[Column]) -> list[str]:
    titles = [escape_latex(words.title(column)) for column in columns]
    lines = [rf"\begin{{tabular}}{{l{'c' * len(columns)}}}", r"\toprule", rf"Method & {' & '.join(titles)} \\"]
    for section in sections:
        heading = escape_latex(section.title)
        lines += [r"\midrule", rf"\multicolumn{{{len(columns) + 1}}}{{l}}{{\emph{{{heading}}}}} \\"]
        for row in section.rows:
            cells = _cells(row, columns, _latex_cell)
            mark = words.FAULT_MARK if row.fault else ""
            lines.append(rf"{escape_latex(row.method + mark)} & {' & '.join(cells)} \\")
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _latex_cell(cell: Cell | None) -> str:
    if cell is None:
        return escape_latex(words.ABSENT)
    value = words.number(cell.value)
    parts = [rf"\textbf{{{value}}}" if cell.is_best else value]
    if cell.gain is not None:
        told = escape_latex(words.change(cell.gain))
        tone = _tone(cell.gain)
        parts.append(rf"{{\scriptsize {told}}}" if tone == "same" else rf"\{tone}{{{told}}}")
    if behind := words.spread(cell):
        parts.append(rf"{{\tiny {escape_latex(behind)}}}")
    return " ".join(parts)


def _html_table(sections: Sequence[Section], columns: Sequence[Column]) -> str:
    titles = "".join(f"<th>{_text(words.title(column))}</th>" for column in columns)
    lines = [f'<div class="wide"><table class="scores"><tr><th>Method</th>{titles}</tr>']
    for section in sections:
        lines.append(f'<tr class="group"><td colspan="{len(columns) + 1}">{_text(section.title)}</td></tr>')
        for row in section.rows:
            cells = "".join(_cells(row, columns, _html_cell))
            mark = f'<sup title="{_text(row.fault)}">{words.FAULT_MARK}</sup>' if row.fault else ""
            lines.append(f"<tr><td>{_text(row.method)}{mark}</td>{cells}</tr>")
    lines.append("</table></div>")
    return "\n".join(lines)


def _html_cell(cell: Cell | None) -> str:
    if cell is None:
        return f"<td>{words.ABSENT}</td>"
    inner = words.number(cell.value)
    if cell.is_best:
        inner = f'<span class="best">{inner}</span>'
    if cell.gain is not None:
        inner += f' <span class="{_tone(cell.gain)}">{_mark(cell.gain)}{words.change(cell.gain)}</span>'
    if behind := words.spread(cell):
        inner += f"<small>{behind}</small>"
    return f"<td>{inner}</td>"


def _html_list(lines: list[str]) -> str:
    items = []
    for line in lines:
        items.append(f"<li>{_text(line)}</li>")
    return "<ul>\n" + "\n".join(items) + "\n</ul>"


def _html_facts(comparison: Comparison) -> str:
    lines = ['<div class="wide"><table class="told">']
    for method, facts in comparison.facts.items():
        lines.append(f'<tr class="group"><td colspan="2">{_text(method)}</td></tr>')
        for fact, told in facts.items():
            lines.append(f"<tr><td>{_text(fact)}</td><td>{_text(told)}</td></tr>")
    lines.append("</table></div>")
    return "\n".join(lines)


def _text(text: str) -> str:
    return html.escape(text)
