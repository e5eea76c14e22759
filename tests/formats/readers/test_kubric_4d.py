"""Kubric-4D: many views of one simulation, without tracks."""

from pathlib import Path

import pytest
import torch

from mvt4g.formats.readers.kubric_4d import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, projection_px
from tests.formats.layouts.kubric import write_kubric_4d
from tests.formats.layouts.spoiling import cut


@pytest.fixture
def scene(tmp_path: Path, clip) -> Path:
    write_kubric_4d(tmp_path / "scn00003", clip)
    return tmp_path / "scn00003"


def test_what_was_written_is_read(scene: Path, clip) -> None:
    (key,) = list_clips(scene.parent)
    found = read(key)
    assert_agrees(found, clip, tracks=False)
    assert torch.equal(found.instances, clip.instances)
    assert torch.equal(found.dynamic, clip.dynamic)
    assert (found.tracks, found.visible, found.points_world, found.point_instance) == (None,) * 4
    assert found.name == "scn00003_p0"


def test_simulations_are_clips_and_views_are_chosen(scene: Path, clip) -> None:
    write_kubric_4d(scene, clip.select_views([2, 1]), simulation=1)
    assert is_there(scene.parent)
    first, second = list_clips(scene)
    assert (count(first), count(second)) == ((3, 3), (2, 3))
    part = read(second, Selection(views=[1], frames=[0, 2]))
    assert torch.equal(part.depth, read(first, Selection(views=[1], frames=[0, 2])).depth)


def test_the_check_sees_another_order_of_quaternions(tmp_path: Path, clip) -> None:
    write_kubric_4d(tmp_path / "scn00000", clip, order="xyzw")
    assert projection_px(read(tmp_path / "scn00000" / "scn00000_p0"), clip) > 10


FAULTS = {
    "a view's metadata are missing": (
        lambda s: (s / "scn00003_p0_v1.json").unlink(),
        r"scn00003_p0_v\*.json: got views \[0, 2\], want 0, 1, ... without a gap",
    ),
    "a view's frames are missing": (
        lambda s: (s / "frames_p0_v1").rename(s / "gone"),
        "frames_p0_v1: no such folder, want the frames that scn00003_p0_v1.json is about",
    ),
    "metadata are cut short": (cut("scn00003_p0_v2.json"), "scn00003_p0_v2.json: cannot be read as JSON"),
    "a view is shorter": (lambda s: (s / "frames_p0_v2/rgba_00002.png").unlink(), "got 2 files, want 3, one a frame"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scenes_are_refused_by_file_and_field(scene: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(scene)
    with pytest.raises(InputError, match=message):
        read(scene / "scn00003_p0")
