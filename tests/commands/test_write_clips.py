"""Clips on disk: the same bytes whoever writes them and however often they are stopped; nothing is ever mixed."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mvt4g.commands.write_clips import write_clips
from mvt4g.data.kubric import SyntheticClips
from mvt4g.formats.clip_folder import ClipStorage, read_clip_extras, read_clip_folder
from mvt4g.formats.readers.mvtracker import read as read_mvtracker
from mvt4g.synthetic.generate import generate_scene
from mvt4g.synthetic.spec import SceneSpec
from mvt4g.types import InputError
from tests.commands.conftest import SCENE, contents

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal
from pathlib import Path
import mvt4g.formats.clip_folder as clip_folder
from mvt4g.commands.write_clips import write_clips
from mvt4g.synthetic.spec import PointSpec, SceneSpec
calls, write = [], clip_folder.write_archive_video
def until_killed(*args, **kwargs):
    calls.append(1)
    if len(calls) == {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*args, **kwargs)
clip_folder.write_archive_video = until_killed
scene = SceneSpec(num_frames=2, image_size=(24, 32), num_views=2, points=PointSpec(count=24))
write_clips(Path({out!r}), scene, train=4, val=1, test=1, seed=5, workers={workers})
"""
"""Writes what ``again`` does, in a process of its own without workers killed at the given call of the video writer."""


def again(out: Path, **changes: object) -> int:
    settings: dict = {"scene": SCENE, "train": 4, "val": 1, "test": 1, "seed": 5, "workers": 0, **changes}
    return write_clips(out, **settings)


def test_the_folder_holds_the_clips_of_the_recipe(written: Path) -> None:
    splits = {"train": 4, "val": 1, "test": 1}
    for split, count in splits.items():
        source = SyntheticClips(SCENE, split, count, seed=5)
        for number in range(count):
            made, read = source.clip(number), read_clip_folder(written / split / f"{number:06d}")
            assert made.name == read.name
            assert torch.equal(made.video, read.video)
            assert torch.equal(made.tracks, read.tracks)
            assert torch.equal(made.depth, read.depth)
    scene, extras = generate_scene(SCENE, 5, 0), read_clip_extras(written / "train" / "000000")
    torch.testing.assert_close(extras.normals, scene.normals, rtol=0, atol=2e-5)
    torch.testing.assert_close(extras.world_from_object, scene.world_from_object.float(), rtol=0, atol=0)


def test_no_two_clips_are_alike(written: Path) -> None:
    tracks = [path.read_bytes() for path in written.glob("*/*/tracks.npz")]
    assert len(set(tracks)) == len(tracks) == 6


def test_the_manifest_says_all_that_made_the_clips(written: Path) -> None:
    manifest = json.loads((written / "manifest.json").read_text())
    made_by = manifest["made_by"]
    assert made_by["scene"]["points"]["count"] == 24
    assert made_by["scene"]["looks"]["class"] == "LookSpec"
    assert made_by["seed"] == 5
    assert {"mvt4g", "numpy", "mujoco", "open3d", "av"} <= made_by["versions"].keys()
    assert manifest["splits"] == {"train": 4, "val": 1, "test": 1}
    listed = {f"{clip}/{file}" for clip, files in manifest["clips"].items() for file in files}
    assert listed == contents(written).keys() - {"manifest.json"}
    header = json.loads((written / "val" / "000000" / "clip.json").read_text())
    assert (header["made_by"]["index"], header["made_by"]["scene"]) == (100_000_000, made_by["scene"])


def test_a_killed_run_goes_on_to_the_same_bytes(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "clips"
    program = PROGRAM.format(calls=6, out=str(out), workers=0)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [path for path in out.rglob("*.part") if path.is_dir()], "killed in the middle of a clip"
    assert len([*out.glob("train/0*")]) == 2
    assert again(out) == 0
    assert contents(out) == contents(written)
    assert not [*out.rglob("*.part*")]


def test_workers_die_with_who_started_them_and_change_no_byte(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "clips"
    program = PROGRAM.format(calls=-1, out=str(out), workers=2)
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE)
    while not [*out.glob("*/0*")]:
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    children = [int(child) for child in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
    running.kill()
    running.wait()
    for _ in range(1000):
        if not any(map(_runs, children)):
            break
        time.sleep(0.01)
    assert not any(map(_runs, children))
    assert again(out, workers=1) == 0
    assert contents(out) == contents(written)


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_finished_run_writes_nothing(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in clips.glob("*/*/*")}
    assert again(clips) == 0
    assert {path: path.stat().st_mtime_ns for path in clips.glob("*/*/*")} == before
    assert capsys.readouterr().out == f"{clips}: 6 clips, 0 of them written now\n"


def test_what_is_gone_or_cut_is_written_again(clips: Path, written: Path) -> None:
    shutil.rmtree(clips / "train" / "000001")
    (clips / "train" / "000002" / "tracks.npz").unlink()
    os.truncate(clips / "val" / "000000" / "view_00.mkv", 100)
    assert again(clips) == 0
    assert contents(clips) == contents(written)


def test_clips_that_the_manifest_missed_are_read_whole(clips: Path, written: Path) -> None:
    manifest = json.loads((clips / "manifest.json").read_text())
    for number in (1, 2):
        del manifest["clips"][f"train/00000{number}"]
    (clips / "manifest.json").write_text(json.dumps(manifest))
    damaged = clips / "train" / "000002" / "tracks.npz"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)  # of the same size
    kept = (clips / "train" / "000001" / "tracks.npz").stat().st_mtime_ns
    assert again(clips) == 0
    assert contents(clips) == contents(written)
    assert (clips / "train" / "000001" / "tracks.npz").stat().st_mtime_ns == kept


def test_more_clips_can_be_asked_for_but_no_fewer(clips: Path, tmp_path: Path) -> None:
    assert again(clips, train=5) == 0
    assert again(tmp_path / "at once", train=5) == 0
    assert contents(clips) == contents(tmp_path / "at once")
    with pytest.raises(InputError, match="train: got 4, want 5 or more"):
        again(clips)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed: got 6, want 5 of the clips in"),
        ({"scene": replace(SCENE, num_frames=3)}, "scene.num_frames: got 3, want 2"),
        ({"scene": SceneSpec(num_frames=2, image_size=(24, 32), num_views=2)}, "scene.points.count: got 128, want 24"),
        ({"storage": ClipStorage(depth="uint16")}, "storage.depth: got 'uint16', want 'float32'"),
        ({"format": "mvtracker"}, "output: got 'mvtracker', want 'clip_folder'"),
    ],
)
def test_clips_of_another_kind_are_not_mixed_in(clips: Path, changes: dict, message: str) -> None:
    before = contents(clips)
    with pytest.raises(InputError, match=message):
        again(clips, **changes)
    assert contents(clips) == before


def test_clips_of_another_version_are_not_mixed_in(clips: Path) -> None:
    manifest = json.loads((clips / "manifest.json").read_text())
    manifest["made_by"]["versions"]["mujoco"] = "0.1"
    (clips / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"versions\.mujoco: got '[\d.]+', want '0\.1' of the clips in"):
        again(clips)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds thesis\.tex but no manifest\.json, want an empty folder"):
        again(tmp_path)
    assert contents(tmp_path) == {"thesis.tex": b"precious"}


def test_two_writers_do_not_meet(clips: Path) -> None:
    place = os.open(clips, os.O_RDONLY)
    fcntl.flock(place, fcntl.LOCK_EX)
    try:
        with pytest.raises(InputError, match="which another write-clips writes to now"):
            again(clips)
    finally:
        os.close(place)
    assert again(clips) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 0, "val": 0, "test": 0}, "train, val, test: got 0, 0, 0"),
        ({"train": -1}, "train, val, test: got -1"),
        ({"train": 100_000_001}, "want 0 to 100000000 clips"),
        ({"seed": -1}, "seed, workers: got -1, 0"),
        ({"workers": -1}, "seed, workers: got 5, -1"),
    ],
)
def test_a_number_out_of_range_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        again(tmp_path / "clips", **changes)
    assert not list(tmp_path.iterdir())


def test_an_error_of_a_clip_keeps_the_clips_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scene: SceneSpec, seed: int, index: int) -> object:
        if index == 2:
            raise InputError("scene.cameras: got no place, want one")
        return generate_scene(scene, seed, index)

    monkeypatch.setattr("mvt4g.synthetic.generate.generate_scene", fail)
    with pytest.raises(InputError, match=r"scene\.cameras: got no place"):
        again(tmp_path / "clips")
    assert [*json.loads((tmp_path / "clips" / "manifest.json").read_text())["clips"]] == [
        "train/000000",
        "train/000001",
    ]


def test_mvtracker_folders_are_read_back(tmp_path: Path) -> None:
    assert write_clips(tmp_path / "clips", SCENE, train=1, val=1, workers=0, format="mvtracker") == 0
    names = {path.parent.relative_to(tmp_path / "clips").as_posix() for path in tmp_path.rglob("tracks_3d.npz")}
    assert names == {"train/0", "validation/0"}
    made = SyntheticClips(SCENE, "val", 1, seed=0).clip(0)
    read = read_mvtracker(tmp_path / "clips" / "validation" / "0")
    assert torch.equal(made.visible[:, :, made.point_valid], read.visible)
    before = contents(tmp_path / "clips")
    (tmp_path / "clips/train/0/view_0/rgba_00001.png").unlink()
    assert write_clips(tmp_path / "clips", SCENE, train=1, val=1, workers=0, format="mvtracker") == 0
    assert contents(tmp_path / "clips") == before
