"""CoTracker3_Kubric: one view; what is called visibility says what is hidden."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.formats.readers.cotracker_kubric import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, depth_error, disagreement, projection_px, tracks_px
from tests.formats.layouts.cotracker import write_cotracker
from tests.formats.layouts.spoiling import change_entry, cut, swap, with_nan

TRACKS = "0002.npy"


@pytest.fixture
def sequence(tmp_path: Path, clip) -> Path:
    write_cotracker(tmp_path / "0002", clip, view=2)
    return tmp_path / "0002"


def test_what_was_written_is_read(sequence: Path, clip) -> None:
    found, seen = read(sequence), clip.select_views([2])
    assert_agrees(found, seen)
    assert torch.equal(found.instances, seen.instances)
    assert (found.points_world, found.point_instance, found.dynamic, found.fps) == (None,) * 4


def test_sequences_are_found_and_counted(sequence: Path, clip) -> None:
    write_cotracker(sequence.parent / "0010", clip)
    assert is_there(sequence.parent)
    assert [path.name for path in list_clips(sequence.parent)] == ["0002", "0010"]
    assert count(sequence) == (1, 3)


def test_frames_are_chosen(sequence: Path) -> None:
    whole, part = read(sequence), read(sequence, Selection(frames=[0, 2]))
    for name in ("video", "tracks", "visible", "depth", "instances"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[:, [0, 2]])


def test_what_the_dict_does_not_say_is_unknown(tmp_path: Path, clip) -> None:
    seen = clip.select_views([0])
    write_cotracker(tmp_path / "0000", clip, camera=False)
    found = read(tmp_path / "0000")
    assert_agrees(found, seen, cameras=False)
    assert bool(found.cameras.cam_from_world.isnan().all())
    write_cotracker(tmp_path / "0001", clip, drop=("sensor_width",))
    found = read(tmp_path / "0001")
    assert bool(found.cameras.intrinsics.isnan().all())
    torch.testing.assert_close(found.cameras.cam_from_world, seen.cameras.cam_from_world)


def test_the_checks_see_other_conventions(tmp_path: Path, clip) -> None:
    seen = clip.select_views([0])
    write_cotracker(tmp_path / "0", clip, visibility="seen")
    assert disagreement(read(tmp_path / "0"), seen)["visible"] > 0.9
    write_cotracker(tmp_path / "1", clip, order="xyzw")
    assert projection_px(read(tmp_path / "1"), seen) > 10
    write_cotracker(tmp_path / "2", clip, depth_as="distance")
    assert depth_error(read(tmp_path / "2"), seen) > 0.05
    write_cotracker(tmp_path / "3", clip, shift=0.5)
    assert tracks_px(read(tmp_path / "3"), seen) == pytest.approx(0.5, abs=1e-4)


FAULTS = {
    "the dict is cut short": (cut(TRACKS), "0002.npy: cannot be read"),
    "no visibility": (change_entry(TRACKS, "visibility", ...), "0002.npy: visibility: missing"),
    "tracks of other frames": (change_entry(TRACKS, "coords", lambda a: a[:, 1:]), "coords: got shape .* with t=3"),
    "visibility of fewer points": (
        change_entry(TRACKS, "visibility", lambda a: a[1:]),
        r"visibility: got shape \(127, 3\), want \(n t\) with n=128, t=3",
    ),
    "visibility in numbers": (change_entry(TRACKS, "visibility", lambda a: a * 1), "visibility: got entries of type"),
    "NaN cameras": (
        change_entry(TRACKS, "camera", lambda c: c | {"quaternions": with_nan(c["quaternions"])}),
        "0002.npy: camera.quaternions: got nan",
    ),
    "a depth is cut short": (cut("depths/001.npy"), "001.npy: cannot be read"),
    "a depth is missing": (lambda s: (s / "depths/002.npy").unlink(), r"depths: \*: got 2 files, want 3"),
    "a depth is negative": (lambda s: np.save(s / "depths/001.npy", np.full((36, 48), -1.0)), "001.npy: depth: got -1"),
    "a depth has another size": (
        lambda s: np.save(s / "depths/001.npy", np.ones((48, 36))),
        "001.npy: depth: got shape",
    ),
    "a frame is no picture": (swap("frames/001.png", "depths/001.npy"), "001.png: cannot be read as an image"),
    "focal lengths are ragged": (
        change_entry(
            TRACKS,
            "camera",
            lambda camera: {
                **{name: value for name, value in camera.items() if name != "K"},
                "sensor_width": 32.0,
                "focal_length": [[1.0], [1.0, 2.0]],
            },
        ),
        "0002.npy: camera.focal_length: got ragged lists",
    ),
    "segmentations are of other frames": (
        change_entry(TRACKS, "segmentations", lambda a: a[:-1]),
        "0002.npy: segmentations: got shape",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_sequences_are_refused_by_file_and_field(sequence: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(sequence)
    with pytest.raises(InputError, match=message):
        read(sequence)
