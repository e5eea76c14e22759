"""The clip folder: round trips exact as stated, parts of a clip, equal bytes, and every kind of bad folder named."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.checksums import sha256_of
from mvt4g.formats.clip_folder import (
    CLIP_FIELDS,
    ClipExtras,
    ClipStorage,
    file_of,
    read_clip_extras,
    read_clip_folder,
    write_clip_folder,
)
from mvt4g.formats.npz import read_arrays, write_arrays
from mvt4g.types import Cameras, InputError, MultiViewClip, RunStopped

VIEWS, FRAMES, HEIGHT, WIDTH, POINTS = 3, 4, 6, 11, 7


@pytest.fixture
def clip() -> MultiViewClip:
    draw = torch.Generator().manual_seed(0)
    grid = (VIEWS, FRAMES, HEIGHT, WIDTH)
    return MultiViewClip(
        video=torch.randint(0, 256, (VIEWS, FRAMES, 3, HEIGHT, WIDTH), generator=draw) / 255,
        cameras=Cameras(torch.randn(VIEWS, FRAMES, 4, 4, generator=draw), torch.randn(VIEWS, FRAMES, 3, 3)),
        name="scène 1",
        tracks=torch.randn(VIEWS, FRAMES, POINTS, 2, generator=draw) * 100,
        visible=torch.rand(VIEWS, FRAMES, POINTS, generator=draw) > 0.5,
        points_world=torch.randn(FRAMES, POINTS, 3, generator=draw),
        point_instance=torch.randint(0, 300, (POINTS,), generator=draw),
        point_valid=torch.rand(POINTS, generator=draw) > 0.1,
        depth=(0.3 + 90 * torch.rand(grid, generator=draw)).where(torch.rand(grid, generator=draw) > 0.2, torch.inf),
        instances=torch.randint(0, 5, grid, generator=draw),
        dynamic=torch.rand(grid, generator=draw) > 0.5,
        covisible=torch.rand(grid, generator=draw) > 0.5,
        caption="two balls",
        fps=12.5,
    )


@pytest.fixture
def extras() -> ClipExtras:
    draw = torch.Generator().manual_seed(1)
    normals = torch.nn.functional.normalize(torch.randn(VIEWS, FRAMES, 3, HEIGHT, WIDTH, generator=draw), dim=2)
    return ClipExtras(normals, torch.randn(FRAMES, 2, 4, 4, generator=draw), torch.tensor([[1, 2, 0], [3, 1, 2]]))


@pytest.fixture
def folder(tmp_path: Path, clip: MultiViewClip, extras: ClipExtras) -> Path:
    write_clip_folder(tmp_path / "clip", clip, extras)
    return tmp_path / "clip"


def assert_same(a: MultiViewClip, b: MultiViewClip) -> None:
    for field in fields(MultiViewClip):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, torch.Tensor):
            torch.testing.assert_close(x, y, rtol=0, atol=0)
        elif not isinstance(x, Cameras):
            assert x == y, field.name
    torch.testing.assert_close(a.cameras.cam_from_world, b.cameras.cam_from_world, rtol=0, atol=0)
    torch.testing.assert_close(a.cameras.intrinsics, b.cameras.intrinsics, rtol=0, atol=0)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change(folder: Path, file: str, **changes: np.ndarray | None) -> None:
    """Change arrays of a file and its checksum with them, as a faulty writer would."""
    arrays = {**read_arrays(folder / file), **changes}
    write_arrays(folder / file, {name: array for name, array in arrays.items() if array is not None})
    retitle(folder, files={file: sha256_of(folder / file)})


def retitle(folder: Path, files: dict[str, str] | None = None, **changes: object) -> None:
    header = json.loads((folder / "clip.json").read_text())
    header["files"] |= files or {}
    (folder / "clip.json").write_text(json.dumps(header | changes))


def test_round_trip_is_exact(folder: Path, clip: MultiViewClip, extras: ClipExtras) -> None:
    assert_same(clip, read_clip_folder(folder))
    back = read_clip_extras(folder)
    torch.testing.assert_close(back.normals, extras.normals, rtol=0, atol=1 / 65534 + 1e-7)
    assert (back.normals - extras.normals).abs().max() > 1e-6  # they are rounded: the bound says something
    torch.testing.assert_close(back.world_from_object, extras.world_from_object, rtol=0, atol=0)
    assert torch.equal(back.collisions, extras.collisions)


def test_what_a_clip_has_not_comes_back_as_none(tmp_path: Path, clip: MultiViewClip) -> None:
    bare = MultiViewClip(video=clip.video[:1], cameras=clip.cameras)  # more cameras than views
    write_clip_folder(tmp_path / "clip", bare)
    assert_same(bare, read_clip_folder(tmp_path / "clip"))
    assert read_clip_extras(tmp_path / "clip") == ClipExtras()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 33)])
def test_videos_of_any_size_are_exact(tmp_path: Path, clip: MultiViewClip, size: tuple[int, int]) -> None:
    video = torch.randint(0, 256, (1, 1, 3, *size), generator=torch.Generator().manual_seed(0)) / 255
    write_clip_folder(tmp_path / "clip", MultiViewClip(video=video, cameras=clip.cameras[:1, :1]))
    assert torch.equal(read_clip_folder(tmp_path / "clip").video, video)


def test_the_small_storage_stays_within_what_it_states(tmp_path: Path, clip: MultiViewClip) -> None:
    ramp = torch.linspace(0, 1, 64)[:, None] * torch.linspace(0, 1, 64)
    smooth = torch.stack([ramp, ramp.flip(0), 1 - ramp]).expand(VIEWS, FRAMES, 3, 64, 64)
    depth = torch.nn.functional.interpolate(clip.depth, (64, 64)).clamp(0.3)
    big = MultiViewClip(video=smooth, cameras=clip.cameras, depth=depth, fps=8.0)
    write_clip_folder(tmp_path / "small", big, storage=ClipStorage("visually_lossless", "uint16"))
    write_clip_folder(tmp_path / "full", big)
    small, full = read_clip_folder(tmp_path / "small"), read_clip_folder(tmp_path / "full")
    there = depth.isfinite()
    error = ((small.depth - depth) / depth)[there].abs().max()
    assert 1e-6 < error < 5e-5
    assert (small.depth[~there] == 0).all()
    assert 0 < (small.video - full.video).abs().mean() < 2 / 255
    weights = {name: sum(map(len, contents(tmp_path / name).values())) for name in ("small", "full")}
    assert weights["small"] < 0.8 * weights["full"]


def test_normals_are_left_out_when_asked(tmp_path: Path, clip: MultiViewClip, extras: ClipExtras) -> None:
    write_clip_folder(tmp_path / "clip", clip, extras, ClipStorage(normals=False))
    back = read_clip_extras(tmp_path / "clip")
    assert back.normals is None
    assert back.collisions is not None


def test_depth_that_16_bits_cannot_hold_is_refused(tmp_path: Path, clip: MultiViewClip) -> None:
    for value, message in ((1e-9, "want a narrower range"), (-1.0, "got -1 to quantise, want 0")):
        depth = clip.depth.clone()
        depth[0, 0, 0, 0] = value
        with pytest.raises(InputError, match=f"depth: .*{message}"):
            write_clip_folder(tmp_path / "clip", replace(clip, depth=depth), storage=ClipStorage(depth="uint16"))
    assert not list(tmp_path.iterdir())


def test_views_frames_and_fields_are_those_of_the_whole(folder: Path, clip: MultiViewClip) -> None:
    part = read_clip_folder(folder, views=[2, 0], frames=[3, 1, 1], fields=["depth", "points_world", "visible"])
    whole = clip.select_views([2, 0])
    torch.testing.assert_close(part.video, whole.video[:, [3, 1, 1]], rtol=0, atol=0)
    assert torch.equal(part.depth, whole.depth[:, [3, 1, 1]])
    assert torch.equal(part.visible, whole.visible[:, [3, 1, 1]])
    assert torch.equal(part.points_world, whole.points_world[[3, 1, 1]])
    assert torch.equal(part.cameras.intrinsics, whole.cameras.intrinsics[:, [3, 1, 1]])
    assert part.tracks is None
    assert part.instances is None
    extras = read_clip_extras(folder, views=[1], frames=[2])
    assert extras.normals.shape == (1, 1, 3, HEIGHT, WIDTH)
    assert extras.world_from_object.shape == (1, 2, 4, 4)


def test_a_view_is_read_without_the_files_of_others(folder: Path) -> None:
    for name in ("view_00.mkv", "view_02.npz"):
        (folder / name).unlink()
    read_clip_folder(folder, views=[1])
    with pytest.raises(InputError, match=r"view_00\.mkv: no such file"):
        read_clip_folder(folder, views=[0, 1], fields=[])


def test_equal_clips_give_equal_bytes(tmp_path: Path, folder: Path, clip: MultiViewClip, extras: ClipExtras) -> None:
    write_clip_folder(tmp_path / "again", clip, extras)
    assert contents(tmp_path / "again") == contents(folder)
    tracks = clip.tracks.clone()
    tracks[0, 0, 0, 0] += 1
    write_clip_folder(tmp_path / "other", replace(clip, tracks=tracks), extras)
    other = contents(tmp_path / "other")
    assert {name for name, content in contents(folder).items() if content != other[name]} == {"clip.json", "tracks.npz"}


def test_a_failed_write_leaves_nothing(tmp_path: Path, clip: MultiViewClip, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(RunStopped, match=r"cannot be written \(No space left"):
        write_clip_folder(tmp_path / "clip", clip)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_written_over(folder: Path, clip: MultiViewClip) -> None:
    before = contents(folder)
    with pytest.raises(InputError, match="is there already"):
        write_clip_folder(folder, clip)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../clip"}, r"name: got '\.\./clip', want a name without /"),
        ({"name": ".."}, "name: got '..'"),
        ({"point_instance": torch.full((POINTS,), -1)}, "point_instance: got -1 to write, want ids >= 0"),
        ({"depth": torch.ones(VIEWS, FRAMES, HEIGHT, WIDTH + 1)}, r"depth: got shape .* want \(frames height width\)"),
        ({"depth": torch.ones(1, FRAMES, HEIGHT, WIDTH)}, "depth: got 1 views to write, want 3"),
        ({"visible": torch.ones(VIEWS, FRAMES, 2, dtype=torch.bool)}, r"visible: got shape \(3, 4, 2\)"),
        ({"video": torch.full((VIEWS, FRAMES, 3, HEIGHT, WIDTH), torch.nan)}, "all finite"),
    ],
)
def test_a_clip_that_cannot_be_stored_is_refused(tmp_path, clip, changes, message, without_shape_hook) -> None:
    with pytest.raises(InputError, match=message):
        write_clip_folder(tmp_path / "clip", replace(clip, **changes))
    assert not list(tmp_path.iterdir())


def test_a_batch_is_refused(tmp_path: Path, clip: MultiViewClip) -> None:
    with pytest.raises(InputError, match="6 axes to write, want one clip"):
        write_clip_folder(tmp_path / "clip", MultiViewClip.stack([clip, clip]))


@pytest.mark.parametrize("file", ["cameras.npz", "tracks.npz", "view_01.npz", "view_02.mkv"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone", "swapped"])
def test_a_damaged_file_is_named(folder: Path, file: str, damage: str) -> None:
    path = folder / file
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "swapped":
        path.write_bytes((folder / f"view_00{path.suffix}").read_bytes())
    else:
        content[len(content) // 2] ^= 1
        kept = {"flipped": len(content), "cut": len(content) // 2, "empty": 0}[damage]
        path.write_bytes(content[:kept])
    says = "no such file" if damage == "gone" else "sha256: got .* damaged or changed"
    with pytest.raises(InputError, match=rf"{file}: {says}"):
        read_clip_folder(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("cameras.npz", {"intrinsics": None}, r"cameras\.npz: intrinsics: missing"),
        ("cameras.npz", {"intrinsics": np.zeros((3, 4, 3, 4), np.float32)}, r"cameras\.npz: intrinsics: got shape"),
        ("tracks.npz", {"tracks": np.zeros((3, 4, 7, 2))}, r"tracks\.npz: tracks: got dtype float64, want float32"),
        ("tracks.npz", {"visible": np.zeros((2, 4, 7), bool)}, r"tracks\.npz: visible: got shape \(2, 4, 7\)"),
        ("view_01.npz", {"depth": np.zeros((4, 6, 11), np.uint16)}, r"view_01\.npz: depth: got dtype uint16"),
        ("view_01.npz", {"instances": np.zeros((4, 6, 11), np.int16)}, r"view_01\.npz: instances: got dtype int16"),
    ],
)
def test_an_array_of_another_kind_is_named(folder, file, changes, message) -> None:
    change(folder, file, **changes)
    with pytest.raises(InputError, match=message):
        read_clip_folder(folder)


def test_a_video_of_another_length_or_size_is_named(tmp_path: Path, folder: Path, clip: MultiViewClip) -> None:
    for name, video in (("short", clip.video[:, :2]), ("small", clip.video[..., :8])):
        other = MultiViewClip(video=video, cameras=clip.cameras[:, : video.shape[1]])
        write_clip_folder(tmp_path / name, other)
        path = tmp_path / name / "view_01.mkv"
        (folder / "view_01.mkv").write_bytes(path.read_bytes())
        retitle(folder, {"view_01.mkv": sha256_of(path)})
        with pytest.raises(InputError, match=r"view_01\.mkv: video: got shape"):
            read_clip_folder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "format, version: got .* 2"),
        ({"name": "../../etc"}, "name: got '../../etc', want a name without /"),
        ({"name": 3}, "name: got 3"),
        ({"fps": -1}, "fps: got -1, want a rate over 0"),
        ({"fps": float("nan")}, r"cannot be read as JSON \(got NaN, which is no JSON number"),
        ({"sizes": {"views": 3}}, "sizes: got .* want whole numbers"),
        ({"sizes": None}, "sizes: got None"),
        ({"fields": "depth"}, "fields: got 'depth', want a list"),
        ({"depth_range": [2, 1]}, r"depth_range: got \[2, 1\]"),
        ({"files": {}}, "files: got .*"),
        ({"files": {"../x": "0"}}, r"files: got '\.\./x', want a name without /"),
        ({"made_by": 3}, "made_by: got 3"),
    ],
)
def test_a_bad_header_is_named(folder: Path, changes: dict[str, object], message: str) -> None:
    header = json.loads((folder / "clip.json").read_text()) | changes
    (folder / "clip.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match=rf"clip\.json: {message}"):
        read_clip_folder(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_a_header_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / "clip.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"clip\.json: "):
        read_clip_folder(folder)


def test_a_folder_without_a_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clip\.json: no such file"):
        read_clip_folder(tmp_path)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"views": [3]}, r"views: got \[3\], want one or more of 0 to 2"),
        ({"views": []}, r"views: got \[\]"),
        ({"frames": [-1]}, r"frames: got \[-1\]"),
        ({"fields": ["colour"]}, "fields: got 'colour', want some of tracks"),
    ],
)
def test_a_part_that_is_not_there_is_named(folder: Path, part: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_clip_folder(folder, **part)


def test_every_field_has_a_file(folder: Path) -> None:
    named = {file_of(field, 1) for field in (*CLIP_FIELDS, "video", "cameras", "normals", "collisions", "name")}
    assert named == {"view_01.mkv", "view_01.npz", "cameras.npz", "tracks.npz", "scene.npz", "clip.json"}
    assert named <= {*os.listdir(folder)}
