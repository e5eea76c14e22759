"""The .npz cache of clips: exact round trips, and every kind of bad file named."""

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.clip_cache import read_clip, write_clip
from mvt4g.types import Cameras, InputError, MultiViewClip, RunStopped


def _clip(views: int = 2, frames: int = 3, size: tuple[int, int] = (6, 10), points: int = 7) -> MultiViewClip:
    draw = torch.Generator().manual_seed(0)
    grid = (views, frames, *size)
    return MultiViewClip(
        video=torch.randint(0, 256, (views, frames, 3, *size), generator=draw) / 255,
        cameras=Cameras(torch.randn(views, frames, 4, 4, generator=draw), torch.randn(views, frames, 3, 3)),
        name="scène 1",
        tracks=torch.randn(views, frames, points, 2, generator=draw) * 100,
        visible=torch.rand(views, frames, points, generator=draw) > 0.5,
        points_world=torch.randn(frames, points, 3, generator=draw),
        point_instance=torch.randint(0, 300, (points,), generator=draw),
        point_valid=torch.rand(points, generator=draw) > 0.1,
        depth=torch.rand(grid, generator=draw).where(torch.rand(grid, generator=draw) > 0.2, torch.inf),
        instances=torch.randint(0, 5, grid, generator=draw),
        dynamic=torch.rand(grid, generator=draw) > 0.5,
        covisible=torch.rand(grid, generator=draw) > 0.5,
        caption="two balls",
        fps=12.5,
    )


def _assert_same(a: MultiViewClip, b: MultiViewClip) -> None:
    for field in fields(MultiViewClip):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, torch.Tensor):
            torch.testing.assert_close(x, y, rtol=0, atol=0)
        elif not isinstance(x, Cameras):
            assert x == y, field.name
    torch.testing.assert_close(a.cameras.cam_from_world, b.cameras.cam_from_world, rtol=0, atol=0)
    torch.testing.assert_close(a.cameras.intrinsics, b.cameras.intrinsics, rtol=0, atol=0)


def _edit(path: Path, **changes: np.ndarray | None) -> None:
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_round_trip_is_exact_for_a_full_clip(tmp_path: Path) -> None:
    clip = _clip()
    write_clip(tmp_path / "new folder" / "clip.npz", clip)
    _assert_same(clip, read_clip(tmp_path / "new folder" / "clip.npz"))


def test_round_trip_is_exact_for_a_clip_of_video_and_cameras_only(tmp_path: Path) -> None:
    full = _clip()
    bare = MultiViewClip(video=full.video, cameras=full.cameras)
    write_clip(tmp_path / "clip.npz", bare)
    _assert_same(bare, read_clip(tmp_path / "clip.npz"))


def test_cameras_may_have_more_views_than_the_video(tmp_path: Path) -> None:
    full = _clip()
    one_view = MultiViewClip(video=full.video[:1], cameras=full.cameras)
    write_clip(tmp_path / "clip.npz", one_view)
    _assert_same(one_view, read_clip(tmp_path / "clip.npz"))


def test_video_off_the_8_bit_grid_is_rounded_to_the_nearest_and_clamped(tmp_path: Path) -> None:
    clip = _clip()
    between = replace(clip, video=(clip.video + 0.4 / 255))
    write_clip(tmp_path / "clip.npz", between)
    torch.testing.assert_close(read_clip(tmp_path / "clip.npz").video, clip.video, rtol=0, atol=0)


def test_stored_types_are_compact(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.npz", _clip())
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as archive:
        kinds = {name: archive[name].dtype.str for name in ("video", "instances", "point_instance", "depth", "tracks")}
    assert kinds == {
        "video": "|u1",
        "instances": "|u1",
        "point_instance": "<u2",
        "depth": "<f4",
        "tracks": "<f4",
    }


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.npz"
    write_clip(path, _clip())
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(RunStopped, match=r"clip.npz: cannot be written \(No space left"):
        write_clip(path, _clip(points=3))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["clip.npz"]


def test_a_batch_or_a_video_with_nan_is_not_written(tmp_path: Path) -> None:
    clip = _clip()
    with pytest.raises(InputError, match="6 axes to write, want one clip"):
        write_clip(tmp_path / "clip.npz", MultiViewClip.stack([clip, clip]))
    with pytest.raises(InputError, match="NaN"):
        write_clip(tmp_path / "clip.npz", replace(clip, video=clip.video * torch.nan))
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.npz: no such file"):
        read_clip(tmp_path / "none.npz")


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "clip.npz"
    write_clip(path, _clip())
    os.truncate(path, int(kept * path.stat().st_size) if kept < 1 else int(kept))
    with pytest.raises(InputError, match=r"clip\.npz: cannot be read .* want a whole \.npz"):
        read_clip(path)


def test_one_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "clip.npz"
    write_clip(path, _clip())
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.npz"):
        read_clip(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intrinsics": None}, "got fields .* want .*intrinsics"),
        ({"colour": np.zeros(3)}, "got fields .*colour"),
        ({"header": None}, "header: got version None, want 1"),
        ({"header": np.frombuffer(b"{", np.uint8)}, "header: cannot be read as JSON"),
        ({"video": np.zeros((2, 3, 3, 6, 10), np.float32)}, "video: got dtype float32, want unsigned integers"),
        ({"tracks": np.zeros((2, 3, 7, 2), np.float64)}, "tracks: got dtype float64, want float32"),
        ({"visible": np.zeros((2, 3, 8), bool)}, r"visible: got shape \(2, 3, 8\), want \(v t n\)"),
        ({"depth": np.zeros((2, 3, 6, 9), np.float32)}, r"depth: got shape \(2, 3, 6, 9\)"),
        ({"cam_from_world": np.zeros((2, 4, 4, 4), np.float32)}, r"cam_from_world: got shape"),
        ({"dynamic": np.zeros((6, 10), bool)}, "dynamic: got shape"),
        ({"video": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    path = tmp_path / "clip.npz"
    write_clip(path, _clip())
    _edit(path, **changes)
    with pytest.raises(InputError, match=rf"clip.npz: .*{message}"):
        read_clip(path)


def test_the_cache_needs_neither_pyav_nor_open3d() -> None:
    code = "import sys, mvt4g.formats.clip_cache; sys.exit(bool({'av', 'open3d', 'mujoco', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
