"""Kubric workers' output: one view of everything but tracks."""

from pathlib import Path

import pytest
import torch

from mvt4g.formats.readers.kubric_worker import count, is_there, list_clips, read
from mvt4g.formats.readers.selection import Selection
from mvt4g.types import InputError
from tests.formats.layouts.agreement import assert_agrees, depth_error, projection_px
from tests.formats.layouts.blender import by_visibility, spoil_json
from tests.formats.layouts.kubric import write_worker
from tests.formats.layouts.spoiling import cut


@pytest.fixture
def scene(tmp_path: Path, clip) -> Path:
    write_worker(tmp_path / "movi" / "7", clip, view=1)
    return tmp_path / "movi" / "7"


def test_what_was_written_is_read(scene: Path, clip) -> None:
    found, seen = read(scene), clip.select_views([1])
    assert_agrees(found, seen, tracks=False)
    assert (found.tracks, found.visible, found.points_world, found.point_instance) == (None,) * 4
    order = by_visibility(clip, 1)
    expected = sum((seen.instances == instance) * (place + 1) for place, instance in enumerate(order))
    assert torch.equal(found.instances, expected)
    assert torch.equal(found.dynamic, seen.dynamic)
    assert found.fps == clip.fps


def test_scenes_are_found_and_counted(scene: Path) -> None:
    assert is_there(scene.parent)
    assert list_clips(scene.parent) == [scene]
    assert count(scene) == (1, 3)
    with pytest.raises(InputError, match="want a Kubric worker's output"):
        list_clips(scene.parent / "none")


def test_frames_are_chosen(scene: Path) -> None:
    whole, part = read(scene), read(scene, Selection(frames=[1]))
    assert torch.equal(part.depth, whole.depth[:, 1:2])
    assert torch.equal(part.cameras.cam_from_world, whole.cameras.cam_from_world[:, 1:2])


def test_cameras_come_of_millimetres_where_there_is_no_k(scene: Path, clip) -> None:
    spoil_json(scene / "metadata.json", "camera", "K", value=...)
    assert_agrees(read(scene), clip.select_views([1]), tracks=False)
    spoil_json(scene / "metadata.json", "camera", "sensor_width", value=...)
    found = read(scene)
    assert bool(found.cameras.intrinsics.isnan().all())
    assert bool(found.cameras.cam_from_world.isfinite().all())


def test_the_checks_see_other_conventions(tmp_path: Path, clip) -> None:
    seen = clip.select_views([0])
    write_worker(tmp_path / "xyzw", clip, order="xyzw")
    assert projection_px(read(tmp_path / "xyzw"), seen) > 10
    write_worker(tmp_path / "z", clip, depth_as="z")
    assert depth_error(read(tmp_path / "z"), seen) > 0.05


def test_an_instance_that_does_not_move_is_not_dynamic(scene: Path) -> None:
    corners = [[[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]]] * 3
    near = [[[x + 0.0099 * frame / 2 for x in corner] for corner in box] for frame, box in enumerate(corners)]
    far = [[[x + 0.02 * frame / 2 for x in corner] for corner in box] for frame, box in enumerate(corners)]
    for place, boxes in ((0, corners), (1, far)):
        spoil_json(scene / "metadata.json", "instances", place, "bboxes_3d", value=boxes)
    found = read(scene)
    assert not bool(found.dynamic[found.instances == 1].any())
    assert bool(found.dynamic[found.instances == 2].all())
    near = [[[x + 0.005 * frame / 2 for x in corner] for corner in box] for frame, box in enumerate(corners)]
    spoil_json(scene / "metadata.json", "instances", 1, "bboxes_3d", value=near)
    assert not bool(read(scene).dynamic[found.instances == 2].any())


FAULTS = {
    "depth is cut short": (cut("depth_00002.tiff"), "depth_00002.tiff: cannot be read"),
    "a segmentation is cut short": (cut("segmentation_00000.png"), "segmentation_00000.png: cannot be read"),
    "boxes are NaN": (
        lambda s: spoil_json(s / "metadata.json", "instances", 0, "bboxes_3d", value=[[[float("nan")] * 3] * 8] * 3),
        r"metadata.json: instances\[0\].bboxes_3d: got nan",
    ),
    "boxes have 7 corners": (
        lambda s: spoil_json(s / "metadata.json", "instances", 0, "bboxes_3d", value=[[[0.0] * 3] * 7] * 3),
        r"instances\[0\].bboxes_3d: got shape \(3, 7, 3\), want \(t 8 3\) with t=3",
    ),
    "a sensor of no width": (
        lambda s: (
            spoil_json(s / "metadata.json", "camera", "K", value=...),
            spoil_json(s / "metadata.json", "camera", "sensor_width", value=0),
        ),
        "camera.sensor_width: got 0, want millimetres over 0",
    ),
    "frames start late": (
        lambda s: [p.rename(p.with_name("rgba_00009.png")) for p in s.glob("rgba_00001.png")],
        "rgba_00002.png: got this file after number 0, want number 1",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_scenes_are_refused_by_file_and_field(scene: Path, fault: str) -> None:
    spoil, message = FAULTS[fault]
    spoil(scene)
    with pytest.raises(InputError, match=message):
        read(scene)
