"""What counts as one video of the benchmark, in ``scores.csv`` and in the table alike: a clip from a camera.

Seeds of one clip and camera are averaged first, over those that have a value. Counted apart they would narrow the
interval, and a clip drawn more often than others would weigh more. A file whose name says nothing is not expected.
"""

from collections.abc import Iterable

from mvt4g.benchmark.score_files import VideoRow

Case = tuple[str, str]
"""A clip and a camera, of whatever seed."""
UNNAMED = "unnamed"
"""Status of a file that stands for no video."""


def case_of(row: VideoRow) -> Case:
    """Return which clip and camera a row is about."""
    return row.clip, row.camera


def expected_cases(rows: Iterable[VideoRow]) -> dict[Case, None]:
    """Return the clips and cameras that a method should have a video of, in the order of its rows."""
    return {case_of(row): None for row in rows if not row.metric and row.status != UNNAMED}


def means_over_seeds(rows: Iterable[VideoRow]) -> dict[Case, float]:
    """Return the value of each clip and camera that has one, from the rows of one score of a method."""
    drawn: dict[Case, list[float]] = {}
    for row in rows:
        if row.value is not None:
            drawn.setdefault(case_of(row), []).append(row.value)
    return {case: sum(values) / len(values) for case, values in drawn.items()}
