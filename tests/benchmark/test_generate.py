"""``mvt4g benchmark generate``: every video from every camera once, whatever ends the command, and what each one is."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mvt4g.benchmark import generate
from mvt4g.benchmark.generate import method_name, parser, plan_of
from mvt4g.benchmark.manifest import read_manifest
from mvt4g.errors import InputError
from mvt4g.formats.trajectory_json import read_views
from mvt4g.formats.video import read_video, write_video
from mvt4g.geometry.trajectories import benchmark_trajectory
from tests.benchmark.conftest import ROOT

SIZE = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"
CAMERAS = ("cam01", "cam05")
FRAMES = 3


def videos(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        video = torch.rand(5, 3, 40, 48, generator=torch.Generator().manual_seed(number))
        write_video(folder / f"clip{number}.mp4", video, fps=8)
    return folder


def words(place: Path, out: Path, *more: str) -> list[str]:
    """Return a command line of the debug model as it is built."""
    config = ["-c", "configs/debug.yaml", "-c", "configs/data/davis.yaml", SIZE, "--data.init_args.queries=grid:1"]
    asked = ["--data.init_args.video", str(place), "--out", str(out), "--cameras", ",".join(CAMERAS), *more]
    return ["benchmark", "generate", *config, *asked]


def content(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(mvt4g: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """Return videos of which one is broken, what was made of them from two cameras and seeds, and the exit code."""
    root = tmp_path_factory.mktemp("benchmark")
    place = videos(root / "videos", 2)
    (place / "clip1.mp4").write_bytes((place / "clip1.mp4").read_bytes()[:600])
    return place, root / "out", mvt4g(*words(place, root / "out", "--seeds", "2"))


def test_every_video_has_its_file_and_its_entry(made):
    _, out, code = made
    assert code == 2, "one is broken"
    folder = out / "debug"
    stems = [f"clip0_{camera}{suffix}" for camera in CAMERAS for suffix in ("", "_s1")]
    assert sorted(path.name for path in folder.glob("*.mp4")) == [f"{stem}.mp4" for stem in stems]
    manifest = read_manifest(folder)
    assert (manifest.method, manifest.counts) == ("debug", {"made": 4, "failed": 4, "missing": 0})
    for entry in manifest.videos:
        if entry["status"] == "failed":
            assert entry["clip"] == "clip1"
            assert "clip1.mp4: cannot be read as a video" in entry["reason"]
            continue
        video, fps = read_video(folder / entry["file"])
        assert (list(video.shape), fps) == ([FRAMES, 3, *entry["size"]], entry["fps"])
        assert entry["sha256"] == hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest()
        assert (entry["frames"], entry["convention"]) == ([0, 1, 2], "source_start")
        assert entry["scale_xy"] == pytest.approx([0.8, 0.8], rel=0.05)
        assert entry["sampler"] == "AdamsSampler"


def test_noise_follows_the_seed(made):
    folder = made[1] / "debug"
    first, second = (read_video(folder / f"clip0_cam01{suffix}.mp4")[0] for suffix in ("", "_s1"))
    assert float((first - second).abs().mean()) > 0.01


def test_the_poses_asked_for_lie_beside_the_videos(made):
    """Those of cam01, which turns and moves, at the strength and scale of configs/data/davis.yaml."""
    views = read_views(made[1] / "debug" / "cameras" / "clip0_cam01.json")
    wanted = benchmark_trajectory("cam01", FRAMES, strength=0.5, scale=2.0)
    torch.testing.assert_close(views["target"].world_from_cam, wanted.float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(views["reference"].world_from_cam, torch.eye(4).expand(FRAMES, 4, 4))


def test_what_it_wrote_is_told_by_its_folder_not_by_the_run_of_the_model(made, mvt4g, capfd, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    trained = run / "config.yaml"
    trained.write_text(f"run: {run}\n")
    out = tmp_path / "out"
    assert mvt4g(*words(made[0] / "clip0.mp4", out, "-c", str(trained), "--method", "debug")) == 0
    assert f"wrote {out / 'debug' / 'manifest.json'}" in "".join(capfd.readouterr())
    assert list(run.iterdir()) == [trained]


def test_only_what_is_not_there_and_whole_is_made_again(made, mvt4g, capfd):
    place, out, _ = made
    before = content(out)
    (out / "debug" / "clip0_cam01.mp4").write_bytes(b"no video")
    (out / "debug" / "cameras" / "clip0_cam05.json").unlink()
    assert mvt4g(*words(place, out, "--seeds", "2")) == 2
    assert "benchmark generate: 2 made, 2 there and whole before, 4 failed" in capfd.readouterr().out
    assert content(out) == before


def test_videos_of_other_settings_are_not_written_over(made, mvt4g, capfd):
    place, out, _ = made
    before = content(out)
    assert mvt4g(*words(place, out, "--model.init_args.evaluation.sample_steps=5")) == 2
    err = capfd.readouterr().err
    assert "clip0_cam01.mp4: is of other inputs: settings.model.init_args.evaluation.sample_steps: got 5" in err
    assert content(out) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--out: got none"),
        (["--out", "o"], "-c: got none"),
        (["--out", "o", "-c", "a.yaml", "--run", "r"], "--run: got it for benchmark generate, want --out"),
        (["--out", "o", "-c", "a.yaml", "--data.init_args.trajectory=x"], "want --cameras"),
        (["--out", "o", "--method", "../up"], "--method: got '../up'"),
        (["--out", "o", "--method", ".hidden"], "--method: got '.hidden'"),
        (["--out", "o", "--seeds", "0"], "--seeds: got 0, want a whole number from 1 to 1000"),
        (["--out", "o", "--seeds", "1001"], "--seeds: got 1001"),
        (["--out", "o", "--cameras", "cam01,,cam02"], "--cameras: got 'cam01,,cam02'"),
        (["--out", "o", "-c", "a.yaml", "--cameras", "cam01,cam01"], "two of one name 'cam01'"),
    ],
)
def test_bad_options(words, told):
    with pytest.raises(InputError, match=re.escape(told)):
        plan_of(*parser().parse_known_args(words))


def test_the_method_is_called_by_the_first_configuration():
    assert method_name(["-c", "configs/experiment/demo.yaml", "-c", "configs/data/davis.yaml"]) == "demo"
    assert method_name(["--config=runs/mine/config.yaml"]) == "mine"


@pytest.mark.slow
def test_data_that_are_no_list_of_views_are_refused(mvt4g, tmp_path, capfd):
    config = ["-c", "configs/debug.yaml", "--out", str(tmp_path / "out")]
    assert mvt4g("benchmark", "generate", *config) == 2
    assert "want DAVISDataModule or IPhoneDataModule" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def start(arguments: list[str]) -> "subprocess.Popen[str]":
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mvt4g", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_killed_twice_on_the_way_it_gives_the_same_folder(tmp_path, signum):
    place, out = videos(tmp_path / "videos", 5), tmp_path / "out"
    finish(start(words(place, out)))
    through = content(out)
    shutil.rmtree(out)
    for videos_before in (2, 6):
        process = start(words(place, out))
        while len(list((out / "debug").glob("*.mp4"))) < videos_before:
            assert process.poll() is None, "it is to be killed while it runs"
            time.sleep(0.01)
        process.send_signal(signum)
        process.communicate(timeout=60)
        assert process.returncode == (-9 if signum == signal.SIGKILL else 143)
        assert 0 < len(list((out / "debug").glob("*.mp4"))) < len(CAMERAS) * 5
    last = finish(start(words(place, out)))
    assert "there and whole before" in last
    assert content(out) == through


@pytest.mark.slow
def test_jobs_at_one_folder_make_each_video_once(tmp_path):
    place, out = videos(tmp_path / "videos", 4), tmp_path / "out"
    finish(start(words(place, out)))
    through = content(out)
    shutil.rmtree(out)
    told = [finish(job) for job in [start(words(place, out)) for _ in range(3)]]
    wrote = [line for text in told for line in text.splitlines() if line.startswith("wrote ")]
    assert len(wrote) == len(set(wrote)) == len(CAMERAS) * 4
    assert content(out) == through


@pytest.mark.slow
def test_ranks_of_one_job_share_the_videos(tmp_path):
    place, out = videos(tmp_path / "videos", 3), tmp_path / "out"
    finish(start(words(place, out)))
    through = content(out)
    shutil.rmtree(out)
    ranks = ["--trainer.devices=2", "--trainer.strategy=ddp"]
    told = finish(start(words(place, out, *ranks)))
    assert "benchmark generate: 6 made" in told
    found = content(out)
    differing = {name for name in through.keys() | found.keys() if through.get(name) != found.get(name)}
    assert differing == {"debug/config.yaml"}, "which says how many ranks"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("--run: got x", "--out: got x"), ("trajectory: got x", "--cameras: got x"), ("--runs: got x", "--runs: got x")],
)
def test_messages_name_the_options_of_this_command(theirs, ours, monkeypatch):
    def refuse(*_: object) -> None:
        raise InputError(theirs)

    monkeypatch.setattr(generate, "start", refuse)
    with pytest.raises(InputError, match=f"^{ours}$"):
        generate.main(["--out", "o", "-c", "a.yaml"])
