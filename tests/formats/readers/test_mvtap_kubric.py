"""MV-TAP's Kubric: tracks and cameras of several views, no depth."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.readers.mvtap_kubric import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, disagreement, projection_px, tracks_px
from tests.formats.layouts.mvtap import write_mvtap
from tests.formats.layouts.spoiling import change_entry, cut, with_nan

TRACKS = "stacked_tracks/seq_0/tracks.npy"


@pytest.fixture
def root(tmp_path: Path, clip) -> Path:
    write_mvtap(tmp_path / "chunk_0", clip)
    return tmp_path / "chunk_0"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_what_was_written_is_read(tmp_path: Path, clip, suffix: str) -> None:
    write_mvtap(tmp_path / "chunk_0", clip, suffix=suffix)
    (sequence,) = list_clips(tmp_path)
    found = read(sequence)
    assert_agrees(found, clip, depth=False)
    assert torch.equal(found.point_instance > 0, clip.point_instance > 0)
    assert (found.points_world, found.instances, found.dynamic, found.fps) == (None,) * 4


def test_sequences_are_found_with_and_without_chunks(root: Path) -> None:
    assert is_there(root)
    assert list_clips(root) == list_clips(root.parent) == [root / "frames/seq_0"]
    assert count(root / "frames/seq_0") == (3, 3)
    with pytest.raises(InputError, match="want MV-TAP sequences"):
        list_clips(root / "stacked_tracks")


def test_views_are_in_the_order_of_their_names_as_text(tmp_path: Path, clip) -> None:
    write_mvtap(tmp_path, clip, views=["view_1", "view_10", "view_2"])
    found = read(tmp_path / "frames/seq_0")
    assert_agrees(found, clip, depth=False)
    part = read(tmp_path / "frames/seq_0", Selection(views=[1], frames=[0, 1]))
    assert torch.equal(part.tracks, found.tracks[1:2, :2])
    assert torch.equal(part.cameras.cam_from_world, found.cameras.cam_from_world[1:2, :2])


def test_the_checks_see_other_conventions(tmp_path: Path, clip) -> None:
    write_mvtap(tmp_path / "seen", clip, hidden=False)
    assert disagreement(read(tmp_path / "seen/frames/seq_0"), clip)["visible"] > 0.9
    write_mvtap(tmp_path / "opencv", clip, axes=np.eye(3))
    assert projection_px(read(tmp_path / "opencv/frames/seq_0"), clip) > 10
    write_mvtap(tmp_path / "half", clip, shift=0.5)
    assert tracks_px(read(tmp_path / "half/frames/seq_0"), clip) == pytest.approx(0.5, abs=1e-4)


class _Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


FAULTS = {
    "a picture is missing": (
        lambda r: (r / "frames/seq_0/view_1/rgba_00002.png").unlink(),
        r"seq_0: got {.*'view_1': 2.*} rgba_\*.png by view, want the same number",
    ),
    "a view is missing": (
        lambda r: shutil.rmtree(r / "frames/seq_0/view_2"),
        r"tracks.npy: coords: got shape \(3, 128, 3, 2\), want \(v n t 2\) with v=2",
    ),
    "tracks are missing": (lambda r: (r / TRACKS).unlink(), "got no tracks.npy or tracks.npz, want one"),
    "tracks are cut short": (cut(TRACKS), "tracks.npy: cannot be read"),
    "tracks are transposed": (
        change_entry(TRACKS, "coords", lambda a: a.transpose(0, 2, 1, 3)),
        "tracks.npy: coords: got shape",
    ),
    "no occluded": (change_entry(TRACKS, "occluded", ...), "tracks.npy: occluded: missing, got"),
    "no is_bkgd": (change_entry(TRACKS, "is_bkgd", ...), "tracks.npy: is_bkgd: missing"),
    "a flat is_bkgd": (change_entry(TRACKS, "is_bkgd", lambda a: a[..., 0]), "is_bkgd: got shape"),
    "one pose a view": (change_entry(TRACKS, "cam_rot", lambda a: a[:, 0]), r"cam_rot: got shape \(3, 3, 3\)"),
    "NaN cameras": (change_entry(TRACKS, "cam_trans", with_nan), r"cam_trans: got nan at \[0, 2, 1\]"),
    "NaN intrinsics": (change_entry(TRACKS, "intrinsics", with_nan), "intrinsics: got nan at"),
    "a mirrored camera": (change_entry(TRACKS, "cam_rot", lambda a: -a), r"cam_rot.*: got a reflection \(det -1\)"),
    "no focal length": (change_entry(TRACKS, "intrinsics", lambda a: a * 0), "intrinsics: got a focal length of 0"),
    "an array in place of the dict": (lambda r: np.save(r / TRACKS, np.zeros(3)), "got a ndarray, want named fields"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_sequences_are_refused_by_file_and_field(root: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(root)
    with pytest.raises(InputError, match=message):
        read(root / "frames/seq_0")


def test_code_in_the_tracks_is_not_run(root: Path, tmp_path: Path) -> None:
    change_entry(TRACKS, "coords", lambda _: _Payload(tmp_path / "ran"))(root)
    with pytest.raises(InputError, match=r"tracks.npy: refused to load posix.system, want arrays"):
        read(root / "frames/seq_0")
    assert not (tmp_path / "ran").exists()
