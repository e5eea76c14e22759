"""MVTracker's layout: what its own loader's formulas make of our files, and our reader gives the clip back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.formats.clip_folder import ClipExtras
from mvt4g.formats.exports.mvtracker import write_mvtracker_scene
from mvt4g.formats.readers.mvtracker import read
from mvt4g.synthetic.generate import SceneSpec, generate_clip
from mvt4g.types import Cameras, InputError, MultiViewClip


@pytest.fixture(scope="module")
def clip() -> MultiViewClip:
    return generate_clip(SceneSpec(num_frames=2, image_size=(40, 56), num_views=2), 3, 1)


@pytest.fixture
def scene(tmp_path: Path, clip: MultiViewClip) -> Path:
    poses = torch.eye(4).expand(2, 3, 4, 4)
    extras = ClipExtras(world_from_object=poses, collisions=torch.tensor([[1, 2, 0]]))
    write_mvtracker_scene(tmp_path / "train" / "7", clip, extras, {"seed": 3})
    return tmp_path / "train" / "7"


def as_its_loader(view: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return K, world-to-camera and z-depth of frame 0 by the formulas of the loader's source, written anew."""
    metadata = json.loads((view / "metadata.json").read_text())
    camera = metadata["camera"]
    width, height = metadata["metadata"]["resolution"]
    flip = np.diag([1, -1, -1])
    w, x, y, z = camera["quaternions"][0]
    world_from_cam = np.eye(4)
    world_from_cam[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    world_from_cam[:3, 3] = camera["positions"][0]
    across = ((np.arange(width) + 0.5) / width - 0.5) * camera["sensor_width"]
    down = ((np.arange(height) + 0.5) / height - 0.5) * camera["sensor_width"] * height / width
    distance = np.array(Image.open(view / "depth_00000.tiff"))
    depth = distance / np.sqrt(1 + (across[None] ** 2 + down[:, None] ** 2) / camera["focal_length"] ** 2)
    return (
        np.diag([width, height, 1]) @ np.array(camera["K"]) @ flip,
        flip @ np.linalg.inv(world_from_cam)[:3],
        depth,
    )


def test_its_loader_finds_our_cameras_tracks_and_depth(scene: Path, clip: MultiViewClip) -> None:
    points = np.load(scene / "tracks_3d.npz")["tracks_3d"]
    for number in range(2):
        arrays = np.load(scene / f"view_{number}" / "tracks_2d.npz")
        intrinsics, cam_from_world, depth = as_its_loader(scene / f"view_{number}")
        projected = np.concatenate([points[0], np.ones((len(points[0]), 1))], axis=1) @ (intrinsics @ cam_from_world).T
        error = np.abs(projected[:, :2] / projected[:, 2:] - arrays["tracks_2d"][0]).max()
        assert error < 1e-3
        relative = np.abs(depth / clip.depth[number, 0].numpy() - 1).max()
        assert relative < 1e-4
        assert np.array_equal(arrays["occlusion"], ~clip.visible[number].numpy())
        distance = np.array(Image.open(scene / f"view_{number}" / "depth_00000.tiff"))
        assert np.abs(distance / clip.depth[number, 0].numpy() - 1).max() > 100 * relative  # it is no z-depth


def test_our_reader_gives_the_clip_back(scene: Path, clip: MultiViewClip) -> None:
    back = read(scene)
    assert (back.tracks - clip.tracks).abs().max() < 1e-3
    assert (back.depth / clip.depth - 1).abs().max() < 1e-4
    assert torch.equal(back.visible, clip.visible)
    assert torch.equal(back.instances, clip.instances)
    assert torch.equal(back.point_instance, clip.point_instance)
    assert torch.equal(back.video, clip.video)
    torch.testing.assert_close(back.points_world, clip.points_world, rtol=0, atol=0)
    torch.testing.assert_close(back.cameras.cam_from_world, clip.cameras.cam_from_world, rtol=0, atol=1e-5)
    torch.testing.assert_close(back.cameras.intrinsics, clip.cameras.intrinsics, rtol=1e-6, atol=0)
    assert (back.name, back.fps) == ("7", clip.fps)


def test_its_loader_is_given_the_types_it_multiplies(scene: Path) -> None:
    arrays = np.load(scene / "view_0" / "tracks_2d.npz")
    assert {arrays["tracks_2d"].dtype, np.load(scene / "tracks_3d.npz")["tracks_3d"].dtype} == {np.dtype(np.float64)}
    assert Image.open(scene / "view_0" / "rgba_00001.png").mode == "RGBA"
    assert Image.open(scene / "view_0" / "segmentation_00001.png").mode == "P"
    assert Image.open(scene / "view_0" / "depth_00001.tiff").mode == "F"
    cameras = np.load(scene / "cameras.npz")
    assert cameras["camera_positions"].shape == cameras["lookat_positions"].shape == (2, 3)
    events = json.loads((scene / "view_1" / "events.json").read_text())
    assert events == {"collisions": [{"frame": 1, "instances": ["object_2", "dome"]}]}


def test_no_depth_becomes_what_blender_writes(tmp_path: Path, clip: MultiViewClip) -> None:
    depth = clip.depth.clone()
    depth[0, 0, 0, :2] = torch.tensor([0.0, torch.inf])
    write_mvtracker_scene(tmp_path / "0", replace(clip, depth=depth))
    assert (np.array(Image.open(tmp_path / "0/view_0/depth_00000.tiff"))[0, :2] == 1e10).all()
    assert (read(tmp_path / "0").depth[0, 0, 0, :2] == 0).all()


def test_padding_points_are_left_out(tmp_path: Path, clip: MultiViewClip) -> None:
    valid = torch.arange(clip.tracks.shape[2]) % 3 > 0
    write_mvtracker_scene(tmp_path / "0", replace(clip, point_valid=valid, visible=clip.visible & valid))
    assert torch.equal(read(tmp_path / "0").tracks, clip.tracks[:, :, valid])


@pytest.mark.parametrize("field", ["tracks", "visible", "points_world", "point_instance", "depth", "instances", "fps"])
def test_a_missing_part_is_named(tmp_path: Path, clip: MultiViewClip, field: str) -> None:
    with pytest.raises(InputError, match=f"{field}: got none to write"):
        write_mvtracker_scene(tmp_path / "0", replace(clip, **{field: None}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ((0, 1, 0, 0), "K changes over time"),
        ((slice(None), slice(None), 0, 1), "skew"),
        ((slice(None), slice(None), 1, 1), "pixels are not square"),
        ((slice(None), slice(None), 0, 2), "principal point off the centre"),
    ],
)
def test_a_camera_that_kubric_cannot_say_is_refused(tmp_path: Path, clip: MultiViewClip, place, fault) -> None:
    intrinsics = clip.cameras.intrinsics.clone()
    intrinsics[place] += 0.5
    with pytest.raises(InputError, match=f"cameras: got {fault} by 0.5"):
        write_mvtracker_scene(tmp_path / "0", replace(clip, cameras=Cameras(clip.cameras.cam_from_world, intrinsics)))


def test_more_instances_than_a_palette_holds_are_refused(tmp_path: Path, clip: MultiViewClip) -> None:
    with pytest.raises(InputError, match="instances: got 255, want at most 254"):
        write_mvtracker_scene(tmp_path / "0", replace(clip, instances=torch.full_like(clip.instances, 255)))
