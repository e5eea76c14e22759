"""Tables of scores: every video and every score is there, what is missing is empty, what did not run says why."""

import csv

import torch

from mvt4g.callbacks.score_tables import write_scores, write_videos
from mvt4g.metrics.novel_view import ScoreTable

TABLE = ScoreTable(
    ("dog", "car, red"),
    {"psnr": torch.tensor([20.0, 22.0]).double(), "met3r/num_pairs": torch.tensor([3.0, torch.nan]).double()},
)


def read(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_videos(tmp_path):
    write_videos(tmp_path / "videos.csv", TABLE)
    assert read(tmp_path / "videos.csv") == [
        ["video", "psnr", "met3r/num_pairs"],
        ["dog", "20", "3"],
        ["car, red", "22", ""],
    ]


def test_scores(tmp_path):
    write_scores(tmp_path / "scores.csv", TABLE, {"lpips": "needs alexnet"})
    header, psnr, lpips = read(tmp_path / "scores.csv")
    assert header == ["score", "mean", "low_95", "high_95", "videos", "missing", "note"]
    assert psnr == ["psnr", "21", "20", "22", "2", "0", ""]
    assert lpips == ["lpips", "", "", "", "0", "2", "not run: needs alexnet"]
