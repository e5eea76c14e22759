"""The training-free baseline from the command line: files of real videos, and the benchmark's score of its folder."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvt4g.formats.video import read_video
from tests.made_up_davis import make_davis

SIZE = "{height: 32, width: 48, num_frames: 3, temporal_stride: 1}"


def warp(mvt4g: Callable[..., int], root: Path, verb: tuple[str, ...], *more: str) -> int:
    """Run the baseline over a made-up DAVIS with a plane's depth for each sequence but the last."""
    data = ["--data.init_args.root", str(root / "DAVIS"), "--data.init_args.queries=grid:2"]
    depth = f"--data.init_args.camera.depth={root}/depth/{{name}}.npz"
    return mvt4g(*verb, "-c", "configs/warp.yaml", *data, depth, f"--data.init_args.size={SIZE}", *more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_davis(tmp_path / "DAVIS", {"bear": (4, 64, 96), "cows": (3, 64, 96)})
    (tmp_path / "depth").mkdir()
    np.savez(tmp_path / "depth" / "bear.npz", depth=np.full((4, 64, 96), 3.0, np.float32))
    return tmp_path


@pytest.mark.slow
def test_predict_leaves_the_files_of_a_model_and_the_benchmark_scores_them(mvt4g, root, capsys):
    run = root / "run"
    assert warp(mvt4g, root, ("predict",), "--run", str(run), "--data.init_args.trajectory=cam01") == 2
    assert "cows.npz: no such file" in capsys.readouterr().err, "a video without depth does not stop the others"
    folder = run / "predict" / "bear" / "cam01-s0"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["cameras.json", "generated.mp4", "overlay.mp4", "provenance.json", "reference.mp4"]
    told = json.loads((folder / "provenance.json").read_text())
    assert told["checkpoint"] == {"path": None, "fingerprint": None}
    assert (told["sampler"], told["steps"]) == (None, None)
    assert "depth of" in told["rule"]
    video, _ = read_video(folder / "generated.mp4")
    assert video.shape == (3, 3, 32, 48)
    # Nothing is made twice; another damage is another result.
    assert warp(mvt4g, root, ("predict",), "--run", str(run), "--data.init_args.trajectory=cam01") == 2
    assert "there and whole" in capsys.readouterr().out
    damage = "--model.init_args.depth.damage=[noise:5]"
    assert warp(mvt4g, root, ("predict",), "--run", str(run), "--data.init_args.trajectory=cam01", damage) == 2
    assert "settings.model.init_args.depth.damage" in capsys.readouterr().err

    out = root / "scores"
    assert mvt4g("benchmark", "score", str(run), "--out", str(out), "--sources", str(root / "DAVIS")) == 0
    with (out / "videos.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["method"], row["clip"], row["camera"]) for row in rows} == {("run", "bear", "cam01")}
    scored = {row["metric"]: float(row["value"]) for row in rows if row["value"]}
    assert 0.5 < scored["motion_smoothness_linear"] <= 1


@pytest.mark.slow
def test_benchmark_generate_makes_its_videos(mvt4g, root):
    assert warp(mvt4g, root, ("benchmark", "generate"), "--out", str(root / "bench"), "--cameras=cam01,cam05") == 2
    made = sorted(path.name for path in (root / "bench" / "warp").glob("*.mp4"))
    assert made == ["bear_cam01.mp4", "bear_cam05.mp4"]
    manifest = json.loads((root / "bench" / "warp" / "manifest.json").read_text())
    reasons = {entry["status"]: entry["reason"] for entry in manifest["videos"]}
    assert "cows.npz: no such file" in reasons["failed"]
