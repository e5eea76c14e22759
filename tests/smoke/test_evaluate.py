"""Scoring generated videos on disk through the command line."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.types import MultiViewClip
from tests.systems.wall import wall_clip

CONFIG = "configs/evaluate.yaml"


def write_folder(root: Path, clip: MultiViewClip, generated: torch.Tensor) -> None:
    """Write what is known of a clip beside a video that stands for a generated one."""
    folder = root / clip.name
    for name, video in (("reference", clip.video[0]), ("target", clip.video[1]), ("generated", generated)):
        write_video(folder / f"{name}.mp4", video, fps=8, crf=0)
    write_trajectory(folder / "cameras.json", clip.cameras, (32, 32))
    np.savez(folder / "depth.npz", reference=clip.depth[0].numpy(), target=clip.depth[1].numpy())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders: twice the true view, a little paler, and once the reference in its place."""
    root = tmp_path_factory.mktemp("generated")
    for number, source in enumerate((1, 1, 0)):
        clip = wall_clip(number)
        write_folder(root, clip, 0.98 * clip.video[source] + 0.02)
    return root


def scores(run: Path) -> tuple[dict[str, float | None], dict[str, dict[str, str]]]:
    with (run / "test" / "videos.csv").open(newline="") as file:
        rows = {row["video"]: row for row in csv.DictReader(file)}
    return json.loads((run / "test" / "metrics.json").read_text()), rows


def test_every_video_has_its_scores(mvt4g, root, tmp_path):
    preset = "--model.init_args.metrics.preset=synthetic"
    assert mvt4g("test", "-c", CONFIG, "--run", tmp_path, "--data.init_args.root", root, preset) == 0
    metrics, rows = scores(tmp_path)
    assert list(rows) == ["wall 0", "wall 1", "wall 2"]
    assert float(rows["wall 0"]["psnr"]) > 30
    assert float(rows["wall 2"]["psnr"]) < 15
    assert float(rows["wall 0"]["warp_rgb5"]) < 0.5 * float(rows["wall 2"]["warp_rgb5"])
    mean = sum(float(row["psnr"]) for row in rows.values()) / 3
    assert metrics["test/psnr"] == pytest.approx(mean, rel=1e-5)
    assert metrics["test/camera/mvtrack4gen/rotation_error_deg"] is None, "no estimator was asked for"
    notes = {row["score"]: row["note"] for row in csv.DictReader((tmp_path / "test" / "scores.csv").open())}
    assert notes["lpips"] == "not run: needs alexnet"


def test_poses_are_taken_from_files(mvt4g, root, tmp_path):
    poses = tmp_path / "poses"
    for number in range(3):
        clip = wall_clip(number)
        write_trajectory(poses / f"{clip.name}.json", clip.cameras[1], (32, 32))
    estimator = {
        "class_path": "mvt4g.metrics.pose_estimators.poses_from_files.PosesFromFiles",
        "init_args": {"path": f"{poses}/{{name}}.json", "layout": "json"},
    }
    flags = ["--model.init_args.metrics.preset=camI2V", f"--model.init_args.metrics.poses={json.dumps(estimator)}"]
    assert mvt4g("test", "-c", CONFIG, "--run", tmp_path / "run", "--data.init_args.root", root, *flags) == 0
    metrics, _ = scores(tmp_path / "run")
    assert metrics["test/camera/camI2V/rotation_error_rad_sum"] == pytest.approx(0, abs=1e-6)
    assert metrics["test/camera/camI2V/num_static"] == 3


def test_a_root_without_videos_is_one_line(mvt4g, tmp_path, capfd):
    assert mvt4g("test", "-c", CONFIG, "--run", tmp_path / "run", "--data.init_args.root", tmp_path) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "got no folder with a generated.mp4" in line


def test_a_missing_file_of_weights_is_one_line(mvt4g, root, tmp_path, capfd):
    flag = "--model.init_args.metrics.weights.dino_vits16=nowhere.pth"
    assert mvt4g("test", "-c", CONFIG, "--run", tmp_path / "run", "--data.init_args.root", root, flag) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "nowhere.pth" in line
