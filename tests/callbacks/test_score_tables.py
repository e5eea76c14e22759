"""Tables of scores: every video and every score is there, what is missing is empty, what did not run says why."""

import csv
import math

import torch

from mvt4g.callbacks.score_tables import write_scores, write_videos
from mvt4g.metrics.collection import ScoreTable

TABLE = ScoreTable(
    ("dog", "car, red"),
    {
        "psnr": torch.tensor([20.0, 22.0]).double(),
        "met3r/coverage": torch.tensor([0.5, torch.nan]).double(),
        "met3r/num_pairs": torch.tensor([3.0, torch.nan]).double(),
    },
    ("", "frame 3: not found"),
    {"fvd_i3d": 120.5, "fvd": math.nan},
)


def read(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_videos(tmp_path):
    write_videos(tmp_path / "videos.csv", TABLE)
    assert read(tmp_path / "videos.csv") == [
        ["video", "psnr", "met3r/coverage", "met3r/num_pairs", "note"],
        ["dog", "20", "0.5", "3", ""],
        ["car, red", "22", "", "", "frame 3: not found"],
    ]


def test_scores(tmp_path):
    remarks = {"met": "of another", "met3r": "needs target_depth", "lpips": "not run: needs alexnet"}
    write_scores(tmp_path / "scores.csv", TABLE, remarks)
    header, psnr, coverage, distance, none, *others = read(tmp_path / "scores.csv")
    assert header == ["score", "mean", "low_95", "high_95", "videos", "missing", "note"]
    assert psnr == ["psnr", "21", "20", "22", "2", "0", ""]
    assert coverage == ["met3r/coverage", "0.5", "", "", "1", "1", "needs target_depth"]
    assert distance == ["fvd_i3d", "120.5", "", "", "2", "0", "of all videos together"]
    assert none == ["fvd", "", "", "", "0", "2", "of all videos together"]
    absent = [[name, "", "", "", "0", "2", remarks[name]] for name in ("met", "lpips")]
    assert others == absent, "a remark on no score has a row of its own"
