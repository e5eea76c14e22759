"""Lists of videos through predict: every result says what it is, is made once, and outlives bad ones and kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.scene4d import read_scene4d
from mvt4g.formats.trajectory_json import read_views
from mvt4g.formats.video import write_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory

ROOT = Path(__file__).parents[2]
SIZE = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
KEYS = ("version", "source", "crop_xyxy", "scale_xy", "camera", "rule", "queries", "query_rows", "checkpoint", "seed",
        "sampler", "steps", "versions", "geometry")  # fmt: skip


def videos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        video = torch.rand(6, 3, 48, 40, generator=torch.Generator().manual_seed(number))
        write_video(folder / f"clip{number}.mp4", video, fps=8)
    return folder


def words(fitted: Path, run: Path, place: Path, *flags: str) -> list[str]:
    config = ["-c", str(fitted / "config.yaml"), "-c", "configs/data/davis.yaml", "--ckpt_path", str(fitted)]
    data = [SIZE, "--data.init_args.video", str(place), "--data.init_args.queries", "grid:2"]
    return ["predict", *config, "--run", str(run), *data, *flags]


def results(run: Path) -> dict[str, str]:
    files = [path for path in (run / "predict").rglob("*") if path.is_file() and path.name != "config.yaml"]
    return {path.relative_to(run).as_posix(): sha256_of(path) for path in files}


@pytest.fixture
def predict(mvt4g: Callable[..., int], trained_run: Path, tmp_path: Path) -> Callable[..., int]:
    """Return a call of predict for a place in ``tmp_path/run``, by the debug fit."""
    return lambda place, *flags: mvt4g(*words(trained_run, tmp_path / "run", place, *flags))


def test_a_result_says_what_it_is(predict, tmp_path, trained_run):
    place = videos(tmp_path / "videos", 1) / "clip0.mp4"
    assert predict(place, "--data.init_args.size.time=spread", "--data.init_args.trajectory=[pan_left, arc_left]") == 0
    folder = tmp_path / "run" / "predict" / "clip0" / "pan_left-s0"
    assert (folder.parent / "arc_left-s0" / "provenance.json").is_file()
    told = json.loads((folder / "provenance.json").read_text())
    assert tuple(told) == KEYS
    assert told["source"] == {
        "path": str(place), "sha256": sha256_of(place), "size": [48, 40], "fps": 8.0, "frames": [0, 2, 5],
        "times_s": pytest.approx([0, 0.25, 0.625]),
    }  # fmt: skip
    assert told["camera"] == {"name": "pan_left", "file": None, "sha256": None}
    checkpoint = last_checkpoint(trained_run)
    assert told["checkpoint"] == {"path": str(checkpoint), "fingerprint": sha256_of(checkpoint)}
    assert (told["seed"], told["query_rows"], told["versions"]["torch"]) == (0, [0, 1, 2, 3], torch.__version__)
    assert told["steps"] >= 1
    assert 0 <= told["geometry"]["epipolar_colour"] <= 1
    assert told["geometry"]["geometry/num_pairs"] >= 0


def test_tracks_and_cameras_go_back_to_source_pixels_and_frames_by_the_files_alone(predict, tmp_path):
    place = videos(tmp_path / "videos", 1) / "clip0.mp4"
    candidates = "--model.init_args.evaluation.candidates=2"
    assert predict(place, "--data.init_args.size.time=spread", candidates) == 0
    folder = tmp_path / "run" / "predict" / "clip0" / "arc_left-s0"
    told = json.loads((folder / "provenance.json").read_text())
    scores = told["candidates"]["scores"]
    assert [score["seed"] for score in scores] == [0, 1]
    best = min(scores, key=lambda score: score["epipolar_colour"])
    assert told["candidates"]["kept_seed"] == best["seed"]
    found = np.load(folder / "tracks.npz")
    assert told["crop_xyxy"] == pytest.approx([0, 3 / (38 / 48), 40, 35 / (38 / 48)])
    assert told["scale_xy"] == pytest.approx([32 / 40, 38 / 48])
    back = found["tracks"] / np.array(told["scale_xy"]) + np.array(told["crop_xyxy"][:2])
    np.testing.assert_allclose(found["source_tracks"], back, atol=1e-4)
    np.testing.assert_array_equal(found["source_frames"], [[0, 2, 5]] * 2)
    np.testing.assert_array_equal(found["source_size"], [[48, 40]] * 2)
    np.testing.assert_allclose(told["queries"], found["source_queries"], atol=1e-4)
    first = found["queries"][0]
    assert told["queries"][0] == pytest.approx([0, 0, first[2] / 0.8, first[3] / (38 / 48) + told["crop_xyxy"][1]])
    cameras = json.loads((folder / "cameras.json").read_text())
    framed = read_views(folder / "cameras.json")["target"].intrinsics[0].numpy()
    source = np.array(cameras["source"]["views"]["target"]["intrinsics"][0])
    move = np.array([[0.8, 0, -0.8 * told["crop_xyxy"][0]], [0, 38 / 48, -38 / 48 * told["crop_xyxy"][1]], [0, 0, 1]])
    np.testing.assert_allclose(move @ source, framed, atol=1e-4)
    assert (cameras["source"]["image_size"], cameras["source"]["frames"]) == ([48, 40], [0, 2, 5])


def test_a_list_goes_on_after_a_bad_item_and_makes_nothing_twice(predict, tmp_path, capfd):
    place = videos(tmp_path / "videos", 3)
    broken = place / "clip1.mp4"
    broken.write_bytes(broken.read_bytes()[:600])
    cameras = "--data.init_args.trajectory=[pan_left, arc_left]"
    assert predict(place, cameras) == 2
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("mvt4g: 2 of 6 items failed, the others are done: clip1/arc_left (")
    assert "videos/clip1.mp4: cannot be read as a video" in line  # a long path is cut at its beginning
    assert "predict: 4 made, 2 failed" in out
    made = results(tmp_path / "run")
    assert {name.rpartition("/")[0] for name in made} == {
        f"predict/clip{number}/{camera}-s0" for number in (0, 2) for camera in ("pan_left", "arc_left")
    }
    assert predict(place, cameras) == 2
    assert "predict: 0 made, 4 there and whole before, 2 failed" in capfd.readouterr().out
    broken.unlink()
    assert predict(place, cameras) == 0
    assert "predict: 0 made, 4 there and whole before" in capfd.readouterr().out
    assert results(tmp_path / "run") == made


def test_another_result_is_never_written_over_and_a_damaged_one_is_mended(predict, tmp_path, capfd):
    place = videos(tmp_path / "videos", 1) / "clip0.mp4"
    assert predict(place) == 0
    made, folder = results(tmp_path / "run"), tmp_path / "run" / "predict" / "clip0" / "arc_left-s0"
    capfd.readouterr()
    assert predict(place, "--model.init_args.evaluation.sample_steps=3") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(
        f"mvt4g: {folder}: holds other results: settings.model.init_args.evaluation.sample_steps: got"
    )
    assert predict(place, "--ckpt_path", "null") == 2
    assert "holds other results: checkpoint: got None" in capfd.readouterr().err
    assert predict(place, "--data.init_args.camera.strength=0.25") == 2
    assert "holds other results: assumed.strength: got 0.25, want 0.5" in capfd.readouterr().err
    assert results(tmp_path / "run") == made
    (folder / "generated.mp4").write_bytes(b"cut short")
    (folder / "mine.txt").write_text("an export beside it")
    assert predict(place) == 0
    assert results(tmp_path / "run") == {**made, "predict/clip0/arc_left-s0/mine.txt": sha256_of(folder / "mine.txt")}


def start(fitted: Path, run: Path, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mvt4g", *words(fitted, run, place)], cwd=ROOT, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_killed_at_four_of_eight_it_goes_on_as_if_it_never_was(trained_run, tmp_path):
    place, run, whole = videos(tmp_path / "videos", 8), tmp_path / "killed", tmp_path / "whole"
    process = start(trained_run, run, place)
    while len(list(run.glob("predict/*/arc_left-s0"))) < 4:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = len(list(run.glob("predict/*/arc_left-s0")))
    assert there == 4
    again, other = (start(trained_run, folder, place) for folder in (run, whole))
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert "predict: 4 made, 4 there and whole before" in out
    _, err = other.communicate()
    assert other.returncode == 0, err
    assert results(run) == results(whole)
    assert not [path for path in run.rglob("*") if ".part" in path.name], "nothing half-written is left"


@pytest.mark.slow
def test_one_broken_among_eight(trained_run, tmp_path):
    place, run = videos(tmp_path / "videos", 8), tmp_path / "run"
    (place / "clip5.mp4").write_bytes(b"no video")
    process = start(trained_run, run, place)
    out, err = process.communicate()
    assert process.returncode == 2
    assert "predict: 7 made, 1 failed" in out
    assert err.splitlines()[-1].startswith(
        f"mvt4g: 1 of 8 items failed, the others are done: clip5 ({place}/clip5.mp4: "
    )
    assert len(list(run.glob("predict/*/arc_left-s0/provenance.json"))) == 7


@pytest.mark.slow
def test_a_motion_on_top_of_each_videos_own_cameras(predict, tmp_path):
    """The folder's name, the cameras and the record are of the motion file; other cameras of the source are refused."""
    place = videos(tmp_path / "two", 2)
    for number in range(2):
        content = {"world_from_cam": preset_trajectory("arc_left", 6, 1.0 + number).tolist()}
        (tmp_path / f"clip{number}.json").write_text(json.dumps(content))
    move = {"relative_to": "source_frames", "moves": [{"kind": "crane", "distance": 1}, {"kind": "zoom", "factor": 2}]}
    (tmp_path / "up.json").write_text(json.dumps(move))
    told = ("--data.init_args.trajectory", str(tmp_path / "up.json"))
    source = ("--data.init_args.camera.source", str(tmp_path / "{name}.json"))
    assert predict(place, *told, *source) == 0
    for number in range(2):
        folder = tmp_path / "run" / "predict" / f"clip{number}" / "up-s0"
        views = read_views(folder / "cameras.json")
        own = preset_trajectory("arc_left", 6, 1.0 + number)[:3]
        torch.testing.assert_close(views["reference"].world_from_cam, own, atol=1e-5, rtol=0)
        up = invert_pose(own) @ views["target"].world_from_cam
        # configs/data/davis.yaml says 2 scene units a metre.
        torch.testing.assert_close(up[:, 1, 3], torch.tensor([0.0, -1.0, -2.0]), atol=1e-5, rtol=0)
        ratio = views["target"].intrinsics[:, 0, 0] / views["reference"].intrinsics[:, 0, 0]
        torch.testing.assert_close(ratio, torch.tensor([1, 2**0.5, 2.0]))
        rule = json.loads((folder / "provenance.json").read_text())["rule"]
        assert "relative to the source's camera of each frame" in rule
    before = results(tmp_path / "run")
    assert predict(place, *told, *source) == 0
    (tmp_path / "clip1.json").write_text(json.dumps({"world_from_cam": preset_trajectory("arc_right", 6).tolist()}))
    assert predict(place, *told, *source) == 2
    assert results(tmp_path / "run") == before


@pytest.mark.slow
def test_scenes_are_lifted_when_asked_for(predict, tmp_path, capsys):
    place = videos(tmp_path / "videos", 1)
    nowhere = ("--model.init_args.evaluation.lift", "{depth: model, model: nowhere}")
    assert predict(place, *nowhere) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert predict(place, "--model.init_args.evaluation.lift", "{depth: plane}") == 0
    folder = tmp_path / "run" / "predict" / "clip0" / "arc_left-s0"
    scene = read_scene4d(folder / "scene4d.npz")
    assert scene.num_frames == 3
    assert scene.tracks.world.shape == (2, 3, 4, 3)
    assert "<title>clip0 arc_left</title>" in (folder / "scene.html").read_text()
    before = results(tmp_path / "run")
    assert predict(place, "--model.init_args.evaluation.lift", "{depth: plane}") == 0
    assert results(tmp_path / "run") == before
    assert "there and whole" in capsys.readouterr().out
