"""Which videos an option means: a file, frames, a folder, a pattern, a list."""

from pathlib import Path

import pytest

from mvt4g.data.target_cameras import TargetCamera, target_cameras
from mvt4g.data.video_places import find_videos
from mvt4g.types import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "b10.mp4",
        "b2.mkv",
        "notes.txt",
        ".hidden.mp4",
        "frames/0.png",
        "frames/1.png",
        "more/c.mov",
        "empty/x",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(place: Path) -> list[str]:
    return [path.name for path in find_videos(place)]


def test_places(root: Path) -> None:
    with pytest.warns(UserWarning, match=r"left out notes\.txt: not of a suffix of videos"):
        assert names(root) == ["b2.mkv", "b10.mp4", "frames"], "by number; hidden files and other folders are left out"
    assert names(root / "frames") == ["frames"]
    assert names(root / "**/*.m*") == [".hidden.mp4", "b2.mkv", "b10.mp4", "c.mov"], "a pattern means what it says"
    assert names(root / "b*") == ["b2.mkv", "b10.mp4"]
    assert names(root / "none.mp4") == ["none.mp4"], "said to be missing when it is opened"


def test_a_name_that_looks_like_a_pattern_is_a_file_where_there_is_one(root: Path) -> None:
    (root / "b[1].mp4").touch()
    assert names(root / "b[1].mp4") == ["b[1].mp4"]


def test_a_list_goes_from_its_own_folder(root: Path) -> None:
    (root / "list.txt").write_text("\ufeff# two of them\n\nmore/c.mov\n  b10.mp4  \n", encoding="utf-8")
    assert find_videos(root / "list.txt") == (root / "more/c.mov", root / "b10.mp4"), "in its order"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("empty", "empty: got no image and no video"),
        ("*.webm", r"\.webm: got no image and no video"),
        ("blank.txt", "blank.txt: got no video, want one a line"),
        ("none.txt", "none.txt: no such file, want a list of videos"),
        ("twice", r"got .*a\.mkv and .*a\.mp4, two videos of one name"),
    ],
)
def test_what_is_no_list_of_videos_is_refused(root: Path, place: str, says: str) -> None:
    (root / "blank.txt").write_text("# nothing\n")
    (root / "twice").mkdir()
    for name in ("a.mp4", "a.mkv"):
        (root / "twice" / name).touch()
    with pytest.raises(InputError, match=says):
        find_videos(root / place)


def test_cameras_are_named_by_preset_or_file() -> None:
    texts = ["arc_left", "cam03", "a/path.json", "camera_extrinsics.json:cam03"]
    found = target_cameras(texts)
    assert [camera.name for camera in found] == ["arc_left", "cam03", "path", "camera_extrinsics-cam03"]
    assert [camera.file for camera in found] == [None, None, Path("a/path.json"), Path("camera_extrinsics.json")]
    assert target_cameras("arc_left") == (TargetCamera.parse("arc_left"),)
    for texts, says in (([], "empty list"), (["a/x.json", "b/x.json"], "two of one name 'x'")):
        with pytest.raises(InputError, match=says):
            target_cameras(texts)


@pytest.mark.parametrize("place", ["", "inner"])
def test_images_beside_videos_are_refused(tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    for name in ("a.mp4", "cover.jpg"):
        (folder / name).touch()
    with pytest.raises(InputError, match=r"got images \(cover.jpg\) and videos \(a.mp4\) in one folder, want one kind"):
        find_videos(tmp_path)
    (folder / "cover.jpg").unlink()
    (tmp_path / "b.mp4").touch()
    assert tmp_path / "b.mp4" in find_videos(tmp_path)  # control


@pytest.mark.parametrize("suffix", [".m2ts", ".MXF", ".y4m", ".ivf", ".ogg", ".apng"])
def test_every_container_that_is_read_is_found_in_a_folder(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    assert names(tmp_path) == [f"a{suffix}"]
