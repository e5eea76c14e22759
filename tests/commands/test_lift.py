"""The verb lift: what it takes, writes and refuses, each refusal in one line and nothing left behind."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.cli import main
from mvt4g.formats.scene4d import read_scene4d
from mvt4g.formats.track_files import TrackFile, write_tracks
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import Cameras

FRAMES, HEIGHT, WIDTH = 2, 28, 42
LENS = torch.tensor([[40.0, 0, WIDTH / 2], [0, 40, HEIGHT / 2], [0, 0, 1]])


def cameras(frames: int = FRAMES) -> Cameras:
    """Return those of a still reference and of a path beside it."""
    pose = torch.eye(4).repeat(2, frames, 1, 1)
    pose[1] = invert_pose(preset_trajectory("arc_left", frames + 1)[1:])
    return Cameras(pose, LENS.expand(2, frames, 3, 3).clone())


def write_pair(folder: Path, frames: int = FRAMES, points: int = 3) -> Path:
    """Write what ``predict`` leaves: videos, cameras, and tracks if there are points."""
    low = torch.rand(2, frames, 3, 2, 3, generator=torch.Generator().manual_seed(0))
    for name, video in zip(("reference", "generated"), low, strict=True):
        large = torch.nn.functional.interpolate(video, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
        write_video(folder / f"{name}.mp4", large, 8.0)
    write_trajectory(folder / "cameras.json", cameras(frames), (HEIGHT, WIDTH))
    if points:
        pixels = torch.full((2, frames, points, 2), 12.0)
        seen = torch.ones(2, frames, points, dtype=torch.bool)
        queries = torch.tensor([[0.0, 0, 12, 12]]).expand(points, 4)
        write_tracks(folder / "tracks.npz", TrackFile(pixels, seen, queries.clone(), (HEIGHT, WIDTH)))
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    return write_pair(tmp_path_factory.mktemp("runs") / "dog" / "arc_left-s0")


def write_depth(path: Path, frames: int, size: tuple[int, int], **others: np.ndarray) -> Path:
    np.savez(path, depth=np.full((frames, *size), 4.0, np.float32), **others)
    return path


def test_a_predicted_pair_by_a_plane(pair, tmp_path, capsys):
    out = tmp_path / "scene"
    assert main(["lift", str(pair), "--out", str(out), "--depth", "plane"]) == 0
    said = capsys.readouterr().out
    assert "a plane" in said
    assert f"wrote {out}: scene4d.npz" in said
    scene = read_scene4d(out / "scene4d.npz")
    assert scene.num_frames == FRAMES
    assert scene.tracks.world.shape == (2, FRAMES, 3, 3)
    torch.testing.assert_close(scene.times_s, torch.tensor([0.0, 0.125]))
    assert "<title>scene</title>" in (out / "scene.html").read_text()
    clouds = sorted(path.name for path in (out / "clouds").iterdir())
    assert clouds == [f"{view}_0000{frame}.ply" for view in ("generated", "reference") for frame in range(FRAMES)]
    header = (out / "clouds" / clouds[0]).read_bytes()[:300]
    assert b"format binary_little_endian" in header
    assert f"element vertex {HEIGHT * WIDTH}".encode() in header


def joint_results(path: Path, size: tuple[int, int]) -> Path:
    """Write what Depth Anything 3 leaves of both videos together, in twice the unit and in the world of its own."""
    ours = cameras()
    elsewhere = torch.eye(4)
    elsewhere[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    poses = torch.cat([*ours.cam_from_world])
    poses[:, :3, 3] *= 2
    lens = torch.cat([*ours.intrinsics]) * torch.tensor([[size[1] / WIDTH], [size[0] / HEIGHT], [1.0]])
    depth = np.full((2 * FRAMES, *size), 8.0, np.float32)
    conf = 1 + np.random.default_rng(0).random(depth.shape, np.float32)
    np.savez(path, depth=depth, conf=conf, extrinsics=(poses @ elsewhere)[:, :3].numpy(), intrinsics=lens.numpy())
    return path


def test_depth_anything_of_both_videos(pair, tmp_path):
    joint = joint_results(tmp_path / "results.npz", (14, 28))  # rounded to 14 pixels, another shape by a third
    args = ["lift", str(pair), "--out", str(tmp_path / "scene"), "--clouds", "null", "--depth_from.joint", str(joint)]
    assert main(args) == 2
    joint_results(joint, (56, 84))
    assert main(args) == 0
    scene = read_scene4d(tmp_path / "scene" / "scene4d.npz")
    assert not (tmp_path / "scene" / "clouds").exists()
    assert scene.generated.depth.shape == scene.generated.confidence.shape == (FRAMES, HEIGHT, WIDTH)
    torch.testing.assert_close(scene.generated.cameras.intrinsics[0], LENS, atol=1e-3, rtol=0)
    torch.testing.assert_close(scene.reference.cameras.cam_from_world[0], torch.eye(4), atol=1e-5, rtol=0)
    for view in scene.views:  # the cameras asked for, brought to the program's world and unit, are its own
        torch.testing.assert_close(view.true_cam_from_world, view.cameras.cam_from_world, atol=1e-4, rtol=0)


def test_plain_depth_of_each_view_is_aligned(pair, tmp_path, capsys):
    for name in ("a", "b"):
        write_depth(tmp_path / f"{name}.npz", FRAMES, (HEIGHT, WIDTH))
    files = ["--depth_from.reference", str(tmp_path / "a.npz"), "--depth_from.generated", str(tmp_path / "b.npz")]
    assert main(["lift", str(pair), "--out", str(tmp_path / "scene"), "--clouds", "null", *files]) == 0
    assert "align" in capsys.readouterr().out


@pytest.mark.parametrize("frames", [1, pytest.param(200, marks=pytest.mark.slow)])
def test_one_frame_and_many_and_no_tracks(tmp_path, frames):
    folder = write_pair(tmp_path / "clip", frames, points=0)
    args = ["lift", str(folder), "--out", str(tmp_path / "scene"), "--depth", "plane", "--clouds", "null"]
    assert main(args) == 0
    scene = read_scene4d(tmp_path / "scene" / "scene4d.npz")
    assert (scene.num_frames, scene.tracks) == (frames, None)


def test_views_of_two_sizes(pair, tmp_path):
    """Of videos that lie alone: K of each view is brought to its own size."""
    write_video(tmp_path / "large.mp4", torch.rand(FRAMES, 3, 2 * HEIGHT, 2 * WIDTH), 8.0)
    args = ["lift", str(tmp_path / "large.mp4"), "--out", str(tmp_path / "scene"), "--depth", "plane"]
    args += ["--clouds", "null", "--pair.reference", str(pair / "reference.mp4")]
    assert main([*args, "--pair.cameras", str(pair / "cameras.json")]) == 0
    scene = read_scene4d(tmp_path / "scene" / "scene4d.npz")
    assert scene.generated.depth.shape == (FRAMES, 2 * HEIGHT, 2 * WIDTH)
    assert scene.generated.cameras.intrinsics[0, 0, 0] == 2 * scene.reference.cameras.intrinsics[0, 0, 0]


def write_benchmark(folder: Path, pair: Path, **changes: object) -> Path:
    """Write a method's folder of one video: the source is twice as large, and its middle was taken."""
    folder.mkdir()
    source = torch.zeros(2 * FRAMES, 3, 2 * HEIGHT, 2 * WIDTH + 8)
    source[1::2, :, :, 4:-4] = 1.0  # of the frames that were taken, the part that was
    write_video(folder / "source.mp4", source, 8.0)
    shutil.copy(pair / "generated.mp4", folder / "dog_cam01.mp4")
    shutil.copy(pair / "cameras.json", folder / "cameras.json")
    entry = {
        "file": "dog_cam01.mp4", "status": "made", "frames": list(range(1, 2 * FRAMES, 2)), "size": [HEIGHT, WIDTH],
        "source": {"path": str(folder / "source.mp4"), "size": [2 * HEIGHT, 2 * WIDTH + 8]},
        "crop_xyxy": [4, 0, 2 * WIDTH + 4, 2 * HEIGHT], "scale_xy": [0.5, 0.5], "cameras": "cameras.json",
    } | changes  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"videos": [entry]}))
    return folder / "dog_cam01.mp4"


def test_a_video_of_the_benchmark(pair, tmp_path, capsys):
    """The manifest names its source, frames, part and cameras."""
    video = write_benchmark(tmp_path / "ours", pair)
    args = ["lift", str(video), "--out", str(tmp_path / "scene"), "--depth", "plane", "--clouds", "null"]
    assert main(args) == 0
    scene = read_scene4d(tmp_path / "scene" / "scene4d.npz")
    assert scene.reference.video.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert scene.reference.video[:, 2:-2, 2:-2].float().mean() > 245, "frames 1 and 3, without the border"
    assert scene.generated.cameras.intrinsics[0, 0, 0] == 40
    gone = {"path": "gone.mp4", "size": [8, 8]}
    for name, change, said in (
        ("cut", {"scale_xy": [0.5]}, "cannot be read"),
        ("gone", {"source": gone}, "gone.mp4: no such video"),
    ):
        video = write_benchmark(tmp_path / name, pair, **change)
        assert main(["lift", str(video), "--out", str(tmp_path / "x"), "--depth", "plane"]) == 2
        assert said in capsys.readouterr().err


def test_a_folder_of_pairs(pair, tmp_path, capsys):
    """A bad one among them does not stop the others."""
    runs = tmp_path / "runs"
    shutil.copytree(pair, runs / "dog" / "arc_left-s0")
    shutil.copytree(pair, runs / "dog" / "bad-s0")
    (runs / "dog" / "bad-s0" / "generated.mp4").unlink()
    args = ["lift", str(runs), "--out", str(tmp_path / "scenes"), "--depth", "plane", "--clouds", "null"]
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("failed dog/bad-s0: ")
    assert "1 lifted, 1 failed" in captured.out
    assert read_scene4d(tmp_path / "scenes" / "dog" / "arc_left-s0" / "scene4d.npz").num_frames == FRAMES
    assert "dog/arc_left-s0/scene.html" in (tmp_path / "scenes" / "gallery.html").read_text()


@pytest.mark.parametrize(
    ("change", "args", "said"),
    [
        (lambda folder: (folder / "generated.mp4").unlink(), [], "got reference and no generated.mp4"),
        (lambda folder: (folder / "reference.mp4").unlink(), [], "got no reference.mp4"),
        (lambda folder: (folder / "cameras.json").unlink(), ["--depth", "plane"], "want cameras.json"),
        (lambda folder: None, [], "got no depth of both views"),
        (lambda folder: None, ["--depth", "true"], "got no depth of both views"),
        (lambda folder: None, ["--depth_from.joint", "none.npz"], "none.npz: no such file"),
        (lambda folder: None, ["--depth_from.reference", "a.npz"], "--depth_from.generated: missing"),
        (
            lambda folder: write_depth(folder / "d.npz", 2 * FRAMES + 1, (HEIGHT, WIDTH)),
            ["--depth_from.joint", "d.npz"],
            "d.npz: depth: got float32 of shape (5, 28, 42)",
        ),
        (
            lambda folder: np.savez(folder / "d.npz", depth=np.full((2 * FRAMES, HEIGHT, WIDTH), np.nan)),
            ["--depth_from.joint", "d.npz"],
            "reference_depth: got no pixel with a depth",
        ),
        (
            lambda folder: write_depth(folder / "d.npz", 2 * FRAMES, (HEIGHT, HEIGHT)),
            ["--depth_from.joint", "d.npz"],
            "want the shape of the video, 42x28",
        ),
        (lambda folder: (folder / "scene").mkdir(), ["--depth", "plane"], "is there already"),
        (lambda folder: np.savez(folder / "d.npz", x=0), ["--depth_from.joint", "d.npz"], "got arrays ['x']"),
    ],
)
def test_what_cannot_be_lifted_is_refused_in_one_line(tmp_path, monkeypatch, capsys, change, args, said):
    folder = write_pair(tmp_path / "clip", points=0)
    monkeypatch.chdir(folder)
    change(folder)
    before = sorted(path.name for path in folder.iterdir())
    assert main(["lift", str(folder), "--out", "scene", *args]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_video_alone_and_no_place_are_refused(pair, capsys, tmp_path):
    assert main(["lift", str(pair / "generated.mp4"), "--out", str(tmp_path / "x")]) == 2
    assert "want --pair.reference" in capsys.readouterr().err
    assert main(["lift", str(pair)]) == 2
    assert "--out: missing" in capsys.readouterr().err
