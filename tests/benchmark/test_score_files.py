"""The files of ``benchmark score``: what is written comes back, and what others wrote is refused by name."""

from pathlib import Path

import pytest

from mvt4g.benchmark.score_files import (
    METHOD_FACTS,
    METHODS,
    SCORE_COLUMNS,
    SCORES,
    VIDEO_COLUMNS,
    VIDEOS,
    ScoreRow,
    VideoRow,
    read_methods,
    read_score_rows,
    read_video_rows,
    write_methods,
    write_rows,
)
from mvt4g.types import InputError

ROWS = [
    VideoRow("ours", "dog", "cam03", "", None, "scored", seed="0", file="ours/dog_cam03_s0.mp4"),
    VideoRow("ours", "dog", "cam03", "met3r", 0.25, "scored", seed="0", file="ours/dog_cam03_s0.mp4"),
    VideoRow("ours", "cat", "cam03", "", None, "damaged", "a, b"),
]
SCORE_ROWS = [
    ScoreRow("ours", "met3r", 0.25, 0.25, 0.25, 1, 1, "lower", ""),
    ScoreRow("theirs", "", None, None, None, 0, 2),
]


def test_rows_come_back(tmp_path: Path) -> None:
    write_rows(tmp_path / VIDEOS, VIDEO_COLUMNS, ROWS)
    write_rows(tmp_path / SCORES, SCORE_COLUMNS, SCORE_ROWS)
    assert read_video_rows(tmp_path) == ROWS
    assert read_score_rows(tmp_path) == SCORE_ROWS


def test_the_contract_of_columns() -> None:
    """Programs outside rely on these, in this order (DESIGN section 8); what is ours comes after them."""
    assert VIDEO_COLUMNS[:7] == ("method", "clip", "camera", "metric", "value", "status", "reason")


def test_a_reason_of_two_lines_is_one_line(tmp_path: Path) -> None:
    write_rows(tmp_path / VIDEOS, VIDEO_COLUMNS, [VideoRow("a", "b", "", "", None, "failed", "one\ntwo")])
    assert read_video_rows(tmp_path)[0].reason == "one two"


def test_unknown_status_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / VIDEOS, VIDEO_COLUMNS, [VideoRow("a", "b", "", "", None, "lost")])
    with pytest.raises(InputError, match=r"videos.csv: line 2: status: got 'lost', want one of"):
        read_video_rows(tmp_path)


def test_methods_come_back(tmp_path: Path) -> None:
    facts = dict.fromkeys(METHOD_FACTS, "")
    write_methods(tmp_path / METHODS, "mvtrack4gen", {"frames": 49}, {"ours": facts})
    assert read_methods(tmp_path)["methods"] == {"ours": facts}
    (tmp_path / METHODS).write_text("{}")
    with pytest.raises(InputError, match=r"methods.json: got no facts of version 1"):
        read_methods(tmp_path)
