"""Clips on disk are checked: good ones pass, every kind of bad one is named by file and field, exit code 2."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.cli import main
from mvt4g.commands.validate_clips import sheet_beside
from mvt4g.commands.write_clips import write_clips
from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.clip_cache import write_clip
from mvt4g.formats.clip_folder import read_clip_folder, write_clip_folder
from mvt4g.formats.npz import read_arrays, write_arrays
from mvt4g.types import InputError, MultiViewClip
from tests.commands.conftest import SCENE, contents

Validate = Callable[..., tuple[int, str, list[str]]]
ONE = "train/000001"


@pytest.fixture
def validate(capsys: pytest.CaptureFixture[str]) -> Validate:
    """Return a call that validates a path and gives exit code, table and complaints."""

    def call(path: Path, *args: str, sheet: Path | str = "null") -> tuple[int, str, list[str]]:
        capsys.readouterr()
        code = main(["validate-clips", str(path), "--sheet", str(sheet), *args])
        out, err = capsys.readouterr()
        assert all(line.startswith("mvt4g: ") for line in err.splitlines())
        return code, out, err.splitlines()

    return call


def change(clip: Path, file: str, **changes: np.ndarray | None) -> None:
    """Change arrays of a clip folder, its checksums with them and its manifest gone: what a faulty writer leaves."""
    arrays = {**read_arrays(clip / file), **changes}
    write_arrays(clip / file, {name: array for name, array in arrays.items() if array is not None})
    header = json.loads((clip / "clip.json").read_text())
    header["files"][file] = sha256_of(clip / file)
    (clip / "clip.json").write_text(json.dumps(header))
    (clip.parents[1] / "manifest.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("clips", "sheet"),
    [
        ("a/clips", "a/clips_contact_sheet.png"),
        ("a/b/../clips", "a/b/../clips_contact_sheet.png"),
        ("x.npz", "x_contact_sheet.png"),
    ],
)
def test_a_sheet_lies_beside_its_clips(clips: str, sheet: str) -> None:
    assert sheet_beside(Path(clips)) == Path(sheet)


def test_the_sheet_of_the_working_folder_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sheet_beside(Path()) == tmp_path.with_name(f"{tmp_path.name}_contact_sheet.png")


def test_without_an_option_the_sheet_is_beside_the_clips(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    assert main(["validate-clips", str(folder), "--limit", "1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "copy_contact_sheet.png"}


def test_good_clips_pass_and_are_drawn(written: Path, validate: Validate, tmp_path: Path) -> None:
    before = contents(written)
    code, out, complaints = validate(written, sheet=tmp_path / "sheet.png")
    assert (code, complaints) == (0, [])
    assert "6 clips, format clip_folder" in out
    assert "FAULT" not in out
    sheet = np.array(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[0] > 6 * 200
    assert sheet.std() > 20
    assert contents(written) == before


def test_only_so_many_are_checked(clips: Path, validate: Validate) -> None:
    (clips / "val/000000/tracks.npz").unlink()
    assert validate(clips)[0] == 2
    code, out, _ = validate(clips, "--limit", "2")
    assert code == 0
    assert "all 2" in out


def test_one_clip_alone(clips: Path, validate: Validate) -> None:
    assert validate(clips / ONE)[0] == 0
    (clips / ONE / "cameras.npz").unlink()
    code, _, (line,) = validate(clips / ONE)
    assert code == 2
    assert f"{clips / ONE}/cameras.npz: no such file" in line


@pytest.mark.parametrize("file", ["clip.json", "tracks.npz", "view_00.mkv"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone", "another's"])
def test_a_damaged_file_is_named_by_its_checksum(clips: Path, validate: Validate, file: str, damage: str) -> None:
    path = clips / ONE / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    elif damage == "another's":
        shutil.copy(clips / "train/000000" / file, path)
    else:
        path.write_bytes(content[: {"flipped": len(content), "cut": len(content) // 2, "empty": 0}[damage]])
    code, _, complaints = validate(clips)
    assert code == 2
    assert len(complaints) == 1
    says = "no such file" if damage == "gone" else "sha256: got"
    assert f"{path}: {says}" in complaints[0] or (
        f"{clips / ONE}: no such folder" in complaints[0] and file == "clip.json"
    )


def spoil_cameras(clip: Path) -> None:
    poses = read_arrays(clip / "cameras.npz")["cam_from_world"].copy()
    poses[1] = np.nan
    change(clip, "cameras.npz", cam_from_world=poses)


def spoil_depth(clip: Path) -> None:
    depth = read_arrays(clip / "view_01.npz")["depth"].copy()
    depth[0, 3, 4] = -2
    change(clip, "view_01.npz", depth=depth)


def spoil_tracks(clip: Path) -> None:
    change(clip, "tracks.npz", tracks=read_arrays(clip / "tracks.npz")["tracks"] - 0.5)


def take_visibility_for_occlusion(clip: Path) -> None:
    change(clip, "tracks.npz", visible=~read_arrays(clip / "tracks.npz")["visible"])


def spoil_shape(clip: Path) -> None:
    change(clip, "tracks.npz", visible=read_arrays(clip / "tracks.npz")["visible"][:, :1])


def lose_a_view(clip: Path) -> None:
    for file in ("view_01.mkv", "view_01.npz"):
        (clip / file).unlink()
    (clip.parents[1] / "manifest.json").unlink()


def swap_tracks(clip: Path) -> None:
    change(clip, "tracks.npz", **read_arrays(clip.parent / "000002" / "tracks.npz"))


def spoil_normals(clip: Path) -> None:
    change(clip, "view_00.npz", normals=read_arrays(clip / "view_00.npz")["normals"] // 2)


def leave_the_folder(clip: Path) -> None:
    header = json.loads((clip / "clip.json").read_text())
    (clip / "clip.json").write_text(json.dumps(header | {"name": "../../outside"}))
    (clip.parents[1] / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "file", "says"),
    [
        (spoil_cameras, "cameras.npz", "cameras.cam_from_world: got NaN or infinity at 1, 0, want finite numbers"),
        (spoil_depth, "view_01.npz", "depth: got -2.0 at (1, 0, 3, 4), want 0 (none) or more"),
        (spoil_tracks, "tracks.npz", "tracks: got 0.707 px off the point's projection"),
        (take_visibility_for_occlusion, "tracks.npz", "visible: got "),
        (spoil_shape, "tracks.npz", "visible: got shape (2, 1, 24), want (views frames points) = (2, 2, 24)"),
        (lose_a_view, "view_01.npz", "no such file"),
        (swap_tracks, "tracks.npz", "px off the point's projection"),
        (spoil_normals, "view_00.npz", "normals: got length 0."),
        (leave_the_folder, "clip.json", "name: got '../../outside', want a name without /"),
    ],
)
def test_what_a_faulty_writer_leaves_is_named(clips: Path, validate: Validate, spoil, file: str, says: str) -> None:
    spoil(clips / ONE)
    code, out, complaints = validate(clips)
    assert code == 2
    assert "FAULT" in out
    assert any(f"{clips / ONE}/{file}: " in line and says in line for line in complaints)
    assert all(ONE in line for line in complaints)


def test_an_empty_split_is_named(clips: Path, validate: Validate) -> None:
    shutil.rmtree(clips / "val" / "000000")
    code, _, (line,) = validate(clips)
    assert code == 2
    assert f"{clips}/val/000000: no such folder, want the clip that manifest.json lists" in line
    (clips / "manifest.json").unlink()
    code, _, (line,) = validate(clips)
    assert code == 2
    assert f"{clips}/val: clips: got none, want one at least" in line


def test_a_run_that_is_not_done_is_told(clips: Path, validate: Validate) -> None:
    manifest = json.loads((clips / "manifest.json").read_text())
    (clips / "manifest.json").write_text(json.dumps(manifest | {"splits": {"train": 9, "val": 1, "test": 1}}))
    code, _, (line,) = validate(clips)
    assert code == 2
    assert "manifest.json: clips: got 4 of train, want 9" in line


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clips": {"../outside": {}}}, "clips: got '../outside', want a path inside the folder"),
        ({"clips": {ONE: {"/etc/passwd": {"bytes": 1, "sha256": ""}}}}, f"clips.{ONE}: got '/etc/passwd'"),
        ({"clips": {ONE: {"clip.json": "?"}}}, f"clips.{ONE}: got "),
        ({"clips": []}, "clips: got list"),
        ({"splits": 3}, "splits: got 3"),
        ({"made_by": None}, "made_by: got None"),
        ({"version": 0}, "format, version: got others than"),
    ],
)
def test_a_bad_manifest_is_named(clips: Path, validate: Validate, changes: dict, says: str) -> None:
    manifest = json.loads((clips / "manifest.json").read_text())
    (clips / "manifest.json").write_text(json.dumps(manifest | changes))
    code, _, complaints = validate(clips)
    assert code == 2
    assert f"{clips}/manifest.json: {says}" in complaints[0]


@pytest.mark.parametrize("text", ["", "[1", "\xff\xfe", "[" * 100_000])
def test_a_manifest_that_is_none_is_named(clips: Path, validate: Validate, text: str) -> None:
    (clips / "manifest.json").write_text(text, encoding="latin-1")
    code, _, (line,) = validate(clips)
    assert code == 2
    assert f"{clips}/manifest.json: " in line


def test_a_file_that_nobody_wrote_is_named(clips: Path, validate: Validate) -> None:
    (clips / ONE / "notes.txt").write_text("mine")
    _, _, (line,) = validate(clips)
    assert "notes.txt: got a file that manifest.json does not list" in line


def test_mvtracker_scenes_are_told_and_their_files_named(tmp_path: Path, validate: Validate) -> None:
    out = tmp_path / "scenes"
    write_clips(out, SCENE, train=2, workers=0, format="mvtracker")
    code, table, complaints = validate(out)
    assert (code, complaints) == (0, [])
    assert "format mvtracker" in table
    (out / "manifest.json").unlink()
    for path in (out / "train/1/view_1").glob("depth_*.tiff"):
        Image.fromarray(np.array(Image.open(path)) * np.float32(1.1)).save(path)
    code, _, (line,) = validate(out)
    assert code == 2
    assert f"{out}/train/1/view_1/depth_*.tiff: depth: got" in line


def test_caches_and_clips_of_video_alone_are_checked(tmp_path: Path, written: Path, validate: Validate) -> None:
    clip = read_clip_folder(written / ONE)
    write_clip(tmp_path / "caches" / "a.npz", clip)
    code, table, _ = validate(tmp_path / "caches", "--format", "clip_cache")
    assert code == 0
    assert "format clip_cache" in table
    write_clip(tmp_path / "caches" / "b.npz", replace(clip, depth=-clip.depth))
    code, _, (line,) = validate(tmp_path / "caches")
    assert code == 2
    assert f"{tmp_path}/caches/b.npz: depth: got -" in line
    write_clip_folder(tmp_path / "bare" / "c", MultiViewClip(video=clip.video, cameras=clip.cameras))
    assert validate(tmp_path / "bare")[0] == 0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["{}/none"], "/none: no such file or folder, want clips"),
        (["{}"], "got no clip of a known format there"),
        (["{}", "--format", "tape"], "format: got 'tape', want one of clip_folder"),
        (["{}", "--limit", "0"], "limit: got 0, want 1 clip or more"),
        (["{}", "--limit", "all"], "limit: got all"),
        ([], "path"),
        (["{}", "--nope", "1"], "got option '--nope"),
    ],
)
def test_an_argument_that_is_wrong_is_named(tmp_path: Path, capsys, args: list[str], says: str) -> None:
    assert main(["validate-clips", *(arg.format(tmp_path) for arg in args)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--scene", "movi_z"], "--scene: got movi_z, want a YAML file or one of tiny, nano, movi_e"),
        (["--scene", "{}/broken.yaml"], "broken.yaml: line 2: cannot be read as YAML"),
        (["--scene", "{}/other.yaml"], "other.yaml: got no data.init_args.scene in it"),
        (["--scene.num_vies", "3"], "got option '--scene.num_vies"),
        (["--scene.num_frames", "many"], "scene.num_frames: got many"),
        (["--scene.num_frames", "0"], "scene.num_frames: got 0, want at least 1"),
        (["--format", "tape"], "format: got tape"),
        (["--storage.depth", "int3"], "storage.depth: got int3"),
        ([], "train, val, test: got 0, 0, 0"),
    ],
)
def test_write_clips_names_a_wrong_option(tmp_path: Path, capsys, args: list[str], says: str) -> None:
    (tmp_path / "broken.yaml").write_text("num_frames: [")
    (tmp_path / "other.yaml").write_text("data: {class_path: x}")
    assert main(["write-clips", "--out", str(tmp_path / "out"), *(arg.format(tmp_path) for arg in args)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("nested", [False, True])
def test_a_scene_comes_from_a_yaml_file_or_that_of_a_datamodule(tmp_path: Path, nested: bool) -> None:
    scene = "{num_frames: 1, image_size: [16, 20], points: {count: 8}}"
    text = f"data: {{init_args: {{scene: {scene}}}}}" if nested else scene
    (tmp_path / "scene.yaml").write_text(text)
    flags = ["--scene", str(tmp_path / "scene.yaml"), "--scene.num_views", "2", "--val", "1", "--workers", "0"]
    assert main(["write-clips", "--out", str(tmp_path / "out"), *flags]) == 0
    assert read_clip_folder(tmp_path / "out/val/000000").video.shape == (2, 1, 3, 16, 20)


def test_a_recipe_is_taken_by_its_name_and_changed_by_options(tmp_path: Path) -> None:
    flags = ["--scene=nano", "--scene.points.count=8", "--scene.num_frames=1", "--test=1", "--workers=0"]
    assert main(["write-clips", "--out", str(tmp_path / "out"), *flags]) == 0
    clip = read_clip_folder(tmp_path / "out/test/000000")
    assert (clip.video.shape, clip.tracks.shape[2]) == ((3, 1, 3, 48, 48), 8)


def test_help_tells_the_other_commands(capsys) -> None:
    for args in (["--help"], ["write-clips", "--help"], ["validate-clips", "--help"]):
        assert main(args) == 0
        text = capsys.readouterr().out
        assert {"--help": "write-clips", "write-clips": "--scene.num_frames", "validate-clips": "--sheet"}[
            args[0]
        ] in text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"out: got .*file.* want a folder that can be written to"):
        write_clips(tmp_path / "file", SCENE, train=1, workers=0)
    assert os.listdir(tmp_path) == ["file"]
    assert torch.get_num_threads() >= 1


@pytest.mark.parametrize("name", [f"{ONE}/tracks.npz", f"{ONE}/clip.json", f"{ONE}/view_00.mkv"])
def test_a_pipe_in_a_files_place_is_named_and_not_waited_for(clips: Path, validate: Validate, name: str) -> None:
    (clips / name).unlink()
    os.mkfifo(clips / name)
    code, _, lines = validate(clips)
    assert code == 2
    assert any("got a named pipe" in line or "no such file" in line for line in lines)
