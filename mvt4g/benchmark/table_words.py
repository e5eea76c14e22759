"""What every form of the table says in words: numbers, changes, counts, the legend and the notes."""

import math
from collections.abc import Iterator

from mvt4g.benchmark.comparison import Cell, Comparison, Gain, Note, TruthOrder
from mvt4g.benchmark.published import DIGITS, SOURCE, Column

TITLE = "Novel views of DAVIS: the paper's table, and what was measured here"
FURTHER = "Also measured"
NOT_COMPUTED = "Not computed"
FAULTS = "Camera errors that contradict each other"
ORDER = "Do the metrics put the truth first?"
FACTS = "What each method's videos were taken to be"
ABSENT = "–"
FAULT_MARK = "†"
MOST_REASONS = 3
"""That are said of the same columns of a method."""


def number(value: float) -> str:
    """Return a number as the paper prints it."""
    return f"{value:.{DIGITS}f}"


def change(gain: Gain) -> str:
    """Return a change as the paper prints it, without a 0 before the point; "*" where its interval leaves out 0."""
    size = number(abs(gain.change))
    sign = "−" if gain.change < 0 else "+"
    return f"{sign}{size.removeprefix('0')}{'*' if gain.is_certain else ''}"


def spread(cell: Cell) -> str:
    """Return the interval of a measured mean and the videos behind it; nothing of a published one."""
    if cell.num_videos is None:
        return ""
    counted = f"n {cell.num_videos}"
    if cell.num_missing:
        counted = f"{counted} of {cell.num_videos + cell.num_missing}"
    if math.isnan(cell.low):
        return counted
    return f"[{number(cell.low)}, {number(cell.high)}] {counted}"


def title(column: Column) -> str:
    """Return a column's title with the arrow of its direction."""
    return f"{column.title} {'↑' if column.higher_is_better else '↓'}"


def remarks(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Return what stands below the tables: headings, the first one empty, and the lines under each."""
    found = [("", legend(comparison))]
    if comparison.faults:
        found.append((FAULTS, [f"{method}: {fault}" for method, fault in comparison.faults]))
    if comparison.order is not None:
        found.append((ORDER, truth_order(comparison.order)))
    lacking = []
    for method, told in notes_by_method(comparison):
        for line in told:
            lacking.append(f"{method}: {line}")
    if lacking:
        found.append((NOT_COMPUTED, lacking))
    return found


def legend(comparison: Comparison) -> list[str]:
    """Return what a reader must know to read the table, a sentence or two each."""
    return [
        f"Published: {SOURCE}. How its authors ran and scored each method is not public in full, so that published and "
        "measured numbers are of two protocols; docs/benchmark.md says what is known.",
        f"Measured: preset {comparison.preset}. A number is the mean over videos. Behind it stand its 95 % bootstrap "
        "interval over videos, and n, the number of videos that have it, of those that the method should have.",
        "Green (▲) and red (▼) are a gain and a loss over the row's own backbone. In measured rows the change is the "
        "mean over the videos that both have; * marks one whose 95 % bootstrap interval leaves out 0.",
        "Bold is the best of the published rows, and of the measured rows with the most videos in the column.",
        "MEt3R-dyn of the paper has a region that is not public; measured is MEt3R on hits in the dynamic region of "
        "every view whose region is known.",
        "On each row mCamMC must lie between hypot(c, mTransErr) and c + mTransErr, c = 2 sqrt(2) sin(mRotErr / 2). "
        + ("Rows that do not are marked †." if comparison.faults else "All rows do."),
    ]


def truth_order(order: TruthOrder) -> list[str]:
    """Return which metrics put another method before the truth, and by how much, then those that put none."""
    lines = []
    for column, method, gain in order.broken:
        spread = "" if math.isnan(gain.low) else f" [{number(gain.low)}, {number(gain.high)}]"
        lines.append(
            f"No: {column.title} puts {method} before {order.truth}, by {change(gain)}{spread}, n {gain.num_videos}"
        )
    if order.kept:
        lines.append(f"Yes: {', '.join(column.title for column in order.kept)}")
    return lines


def reason(entry: Note) -> str:
    """Return why something was not computed, and of how many videos that is true."""
    return _counted(entry.num_videos, entry.reason)


def notes_by_method(comparison: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Yield each method that lacks anything, and what.

    A reason that many columns share is said once. Of many reasons for the same columns, as each video may have its own,
    the most frequent ones are said, and how many videos have others.
    """
    columns = (*comparison.columns, *comparison.further)
    titles = {column.metric: column.title for column in columns}
    for method in dict.fromkeys(entry.method for entry in comparison.notes):
        sharing: dict[tuple[int, str], list[str]] = {}
        for entry in comparison.notes:
            if entry.method == method:
                title = titles.get(entry.metric, entry.metric)
                sharing.setdefault((entry.num_videos, entry.reason), []).append(title)
        reasons: dict[str, list[tuple[int, str]]] = {}
        for reason, named in sharing.items():
            # Reasons of videos as a whole have no column's title.
            reasons.setdefault(", ".join(filter(None, named)), []).append(reason)
        told = []
        for titles_told, found in reasons.items():
            for line in _most_frequent(found):
                told.append(f"{titles_told}: {line}" if titles_told else line)
        yield method, told


def _most_frequent(reasons: list[tuple[int, str]]) -> list[str]:
    """Return reasons in words, the most frequent first."""
    ordered = sorted(reasons, key=lambda reason: -reason[0])
    kept = ordered if len(ordered) <= MOST_REASONS else ordered[: MOST_REASONS - 1]
    lines = [_counted(count, reason) for count, reason in kept]
    if rest := ordered[len(kept) :]:
        lines.append(_counted(sum(count for count, _ in rest), f"{len(rest)} other reasons, see videos.csv"))
    return lines


def _counted(count: int, reason: str) -> str:
    return reason if count == 0 else f"{count} video{'s' if count > 1 else ''}, {reason}"
