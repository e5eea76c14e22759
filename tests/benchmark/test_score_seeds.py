"""Seeds of one clip and camera are one video, in ``scores.csv`` and in the table alike."""

import pytest

from mvt4g.benchmark.comparison import compare
from mvt4g.benchmark.results import read_results
from mvt4g.benchmark.score import main
from mvt4g.benchmark.score_files import read_score_rows, read_video_rows
from mvt4g.formats.video import write_video
from tests.benchmark.test_score import pictures

METRIC = "motion_smoothness_linear"


def test_scores_and_table_count_clips_and_cameras(tmp_path, capsys):
    """Seeds 0, 1 and 2 of cam01, the last one damaged; seed 0 of cam02; none of cam03; a file without a name."""
    root, out = tmp_path / "videos", tmp_path / "out"
    contrast = {"ours/dog_cam01_s0": 1.0, "ours/dog_cam01_s1": 0.5, "ours/dog_cam02_s0": 0.2, "ours/notes": 1.0}
    for name, factor in {**contrast, "theirs/dog_cam03": 1.0}.items():
        write_video(root / f"{name}.mp4", pictures() * factor, 24, crf=10)
    (root / "ours" / "dog_cam01_s2.mp4").write_bytes(b"no video")
    assert main([str(root), "--out", str(out)]) == 2

    found: dict[str, list[float]] = {}
    for row in read_video_rows(out):
        if (row.method, row.metric) == ("ours", METRIC) and row.value is not None:
            found.setdefault(row.camera, []).append(row.value)
    first, second = found["cam01"]
    (other,) = found["cam02"]
    assert len({first, second, other}) == 3, "values that tell the rules apart"
    mean = ((first + second) / 2 + other) / 2
    assert mean != pytest.approx((first + second + other) / 3, abs=1e-5), "nor does counting files give it"

    (score,) = [row for row in read_score_rows(out) if (row.method, row.metric) == ("ours", METRIC)]
    assert (score.videos, score.missing) == (2, 1)
    assert score.mean == pytest.approx(mean, abs=1e-7)
    (table_row,) = [row for row in compare(read_results(out)).measured if row.method == "ours"]
    cell = table_row.cells[METRIC]
    assert (cell.num_videos, cell.num_missing) == (score.videos, score.missing)
    assert (cell.value, cell.low, cell.high) == pytest.approx((score.mean, score.low_95, score.high_95), abs=1e-7)
