"""Rows that are hardly there, through score, table and page: an empty folder, one video, foreign names, no poses."""

import csv
import json
import re
from pathlib import Path

import pytest
import torch

from mvt4g.benchmark import page, score, table
from mvt4g.benchmark.published import CAM_MC, ROTATION
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.types import Cameras

FRAMES, SIZE = 3, 32
CASES = [(clip, camera) for clip in ("bear", "dog") for camera in ("cam05", "cam09")]


def written(path: Path, seed: int) -> None:
    video = torch.rand(FRAMES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    write_video(path, video, fps=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Scores of four folders; of those that are there, only cam05 has poses, which are the true ones."""
    folder = tmp_path_factory.mktemp("degenerate")
    for seed, (clip, camera) in enumerate(CASES):
        written(folder / "videos" / "full" / f"{clip}_{camera}.mp4", seed)
        written(folder / "sources" / f"{clip}.mp4", 10 + seed)
    written(folder / "videos" / "lone" / "dog_cam05.mp4", 4)
    written(folder / "videos" / "foreign" / "output.mp4", 5)
    (folder / "videos" / "empty").mkdir()
    intrinsics = torch.tensor([[32.0, 0, 16], [0, 32.0, 16], [0, 0, 1]]).expand(FRAMES, 3, 3)
    cameras = Cameras(invert_pose(benchmark_trajectory("cam05", FRAMES)), intrinsics)
    for name in ("full/bear_cam05", "full/dog_cam05", "lone/dog_cam05"):
        write_trajectory(folder / "poses" / f"{name}.json", cameras, (SIZE, SIZE))
    poses = f"json:{folder}/poses/{{method}}/{{name}}.json"
    options = [
        "--out",
        str(folder / "out"),
        "--sources",
        str(folder / "sources"),
        "--poses",
        poses,
        "--layout",
        "plain",
    ]
    assert score.main([str(folder / "videos"), *options]) == 2
    return folder


def rows_of(root: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (root / "out" / "table.csv").open(newline="", encoding="utf-8") as file:
        return {(row["method"], row["metric"]): row for row in csv.DictReader(file) if row["source"] == "measured"}


@pytest.mark.slow
def test_every_method_has_a_row_that_says_what_it_lacks(root):
    assert table.main([str(root / "out"), "--backbone", "lone=full", "--backbone", "empty=full"]) == 0
    rows = rows_of(root)
    assert {method for method, _ in rows} == {"full", "lone", "foreign", "empty"}
    full, lone = rows["full", ROTATION], rows["lone", ROTATION]
    assert (full["videos"], full["missing"], float(full["value"])) == ("2", "2", pytest.approx(0, abs=1e-4))
    assert "cam09" in full["note"] or "2 videos" in full["note"]
    assert (lone["videos"], lone["missing"], lone["change_videos"]) == ("1", "3", "1")
    assert rows["lone", CAM_MC]["low_95"] == ""  # nobody knows the spread of one
    for method in ("foreign", "empty"):
        assert rows[method, ROTATION]["value"] == ""
        assert rows[method, ROTATION]["note"]
    assert "missing" in rows["empty", ROTATION]["note"]
    assert "unnamed" in rows["foreign", ROTATION]["note"]
    assert "musiq_spaq" in rows["full", "imaging_quality"]["note"]


@pytest.mark.slow
def test_the_page_says_why_a_place_is_empty(root):
    assert page.main([str(root / "out")]) == 0
    text = (root / "out" / "page.html").read_text()
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    bear = next(clip for clip in json.loads(block)["clips"] if clip["name"] == "bear")
    assert bear["cameras"][0]["videos"].keys() == {"full"}
    assert bear["cameras"][0]["why"]["empty"].startswith("missing")
    assert bear["reference"]["frames"] == FRAMES
