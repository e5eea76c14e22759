"""Checks of a clip: nothing is said of good ones, each fault is found and named, what is tolerated is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from mvt4g.formats.clip_checks import CHECKS, applies, check_clip, check_extras
from mvt4g.formats.clip_folder import ClipExtras
from mvt4g.synthetic.generate import generate_scene
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import Cameras, MultiViewClip

Change = Callable[[MultiViewClip], MultiViewClip]


@pytest.fixture(scope="module")
def scene():
    return generate_scene(SceneSpec(num_frames=3, image_size=(40, 48), num_views=2, points=PointSpec(count=64)), 1, 2)


@pytest.fixture
def clip(scene) -> MultiViewClip:
    return scene.clip


def at(field: str, place: tuple, value: float) -> Change:
    """Return a change of one value of a field."""

    def change(clip: MultiViewClip) -> MultiViewClip:
        tensor = getattr(clip, field).clone()
        tensor[place] = value
        return replace(clip, **{field: tensor})

    return change


def camera(matrix: str, place: tuple, value: float) -> Change:
    def change(clip: MultiViewClip) -> MultiViewClip:
        tensor = getattr(clip.cameras, matrix).clone()
        tensor[place] = value
        return replace(clip, cameras=replace(clip.cameras, **{matrix: tensor}))

    return change


def seen(clip: MultiViewClip, number: int = 0) -> tuple[int, ...]:
    return tuple(clip.visible.nonzero()[number].tolist())


def moved(pixels: float) -> Change:
    """Return a change that moves a track that is seen to the right."""
    return lambda clip: at("tracks", (*seen(clip), 0), float(clip.tracks[seen(clip)][0]) + pixels)(clip)


def behind_the_camera(clip: MultiViewClip) -> MultiViewClip:
    """Put a point that the first view sees behind it, on the ray through the same pixel."""
    view, frame, point = seen(clip)
    pose = clip.cameras.cam_from_world[view, frame]
    centre = -pose[:3, :3].T @ pose[:3, 3]
    points = clip.points_world.clone()
    points[frame, point] = 2 * centre - points[frame, point]
    return replace(clip, points_world=points)


@pytest.mark.parametrize("index", range(4))
def test_nothing_is_said_of_generated_clips(index: int) -> None:
    made = generate_scene(SceneSpec.nano(), 0, index)
    assert check_clip(made.clip) == []
    assert all(applies(name, made.clip) for name in CHECKS)
    assert check_extras(made.clip, ClipExtras(made.normals, made.world_from_object, made.collisions)) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at("video", (0, 1, 2, 3, 4), torch.nan), r"video: got nan at (0, 1, 2, 3, 4), want values in [0, 1]"),
        (at("video", (0, 0, 0, 0, 0), 1.5), "video: got 1.5 at"),
        (at("tracks", (1, 2, 3, 0), torch.inf), "tracks: got [inf, "),
        (at("points_world", (0, 0, 0), torch.nan), "points_world: got [nan, "),
        (at("depth", (1, 0, 2, 2), -1.0), "depth: got -1.0 at (1, 0, 2, 2), want 0 (none) or more"),
        (at("instances", (0, 0, 0, 0), -1), "instances: got -1 at"),
        (at("point_instance", (3,), -2), "point_instance: got -2 at (3,)"),
        (camera("cam_from_world", (1, 2, 0, 0), torch.nan), "cameras.cam_from_world: got NaN or infinity at 1, 2"),
        (camera("cam_from_world", (0, 0, 0, 0), 2.0), "got a 3x3 part that is not orthonormal at 0, 0"),
        (camera("cam_from_world", (0, 0, 3, 3), 2.0), "got another last row at 0, 0"),
        (camera("intrinsics", (1, 0, 0, 0), -5.0), "cameras.intrinsics: got [[-5.0, "),
        (camera("intrinsics", (0, 1, 2, 2), -1.0), "cameras.intrinsics: got [["),
        (camera("intrinsics", (0, 0, 1, 2), torch.nan), "cameras.intrinsics: got [["),
        (moved(2e-3), "tracks: got 0.00"),
        (lambda clip: at("points_world", (*seen(clip)[1:], 0), 2.0)(clip), "px off the point's projection at"),
        (behind_the_camera, "px off the point's projection at"),
    ],
)
def test_a_fault_is_named(clip: MultiViewClip, change: Change, says: str) -> None:
    (fault,) = [str(fault) for fault in check_clip(change(clip))]
    assert says in fault


def test_what_is_within_tolerance_is_no_fault(clip: MultiViewClip) -> None:
    assert check_clip(moved(5e-4)(clip)) == []
    hole = clip.depth.clone()
    hole[:, :, ::3] = 0.0
    hole[:, :, 1::3] = torch.inf
    assert check_clip(replace(clip, depth=hole)) == []


def test_a_point_that_is_seen_outside_the_picture_is_named(clip: MultiViewClip) -> None:
    shifted = replace(clip, tracks=clip.tracks + torch.tensor([48.0, 0.0]), points_world=None, instances=None)
    (fault,) = check_clip(shifted)
    assert (fault.check, fault.field) == ("inside", "visible")
    assert "want 0 <= x < 48, 0 <= y < 40 where visible" in str(fault)


def test_padding_that_is_seen_is_named(clip: MultiViewClip) -> None:
    valid = torch.ones(64, dtype=torch.bool)
    valid[seen(clip)[2]] = False
    (fault,) = check_clip(replace(clip, point_valid=valid))
    assert "want False on padding" in str(fault)


def test_inverted_visibility_is_found(clip: MultiViewClip) -> None:
    assert {fault.check for fault in check_clip(replace(clip, visible=~clip.visible))} >= {"depth", "ids"}


@pytest.mark.parametrize(("factor", "field"), [(0.97, "visible"), (1.03, "depth")])
def test_depth_of_another_scale_is_found(clip: MultiViewClip, factor: float, field: str) -> None:
    (fault,) = check_clip(replace(clip, depth=clip.depth * factor))
    assert (fault.check, fault.field) == ("depth", field)


def test_distance_for_depth_is_found(clip: MultiViewClip) -> None:
    rows, columns = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    k = clip.cameras.intrinsics[0, 0]
    stretch = (1 + ((columns - 24) / k[0, 0]) ** 2 + ((rows - 20) / k[1, 1]) ** 2).sqrt()
    assert stretch.max() > 1.1
    assert [fault.check for fault in check_clip(replace(clip, depth=clip.depth * stretch))] == ["depth"]


def test_tracks_without_the_half_pixel_are_found(clip: MultiViewClip) -> None:
    (fault,) = check_clip(replace(clip, tracks=clip.tracks - 0.5, visible=None))
    assert fault.check == "projection"
    assert "0.707 px off" in str(fault)


def test_swapped_views_and_poses_of_the_other_direction_are_found(clip: MultiViewClip) -> None:
    poses = clip.cameras.cam_from_world
    for wrong in (poses.flip(0), torch.linalg.inv(poses)):
        faults = check_clip(replace(clip, cameras=Cameras(wrong, clip.cameras.intrinsics)))
        assert "projection" in {fault.check for fault in faults}


def test_an_instance_that_moves_in_part_is_named(clip: MultiViewClip) -> None:
    background = (clip.instances == 0).nonzero()[0]
    (fault,) = check_clip(at("dynamic", tuple(background.tolist()), True)(clip))
    assert "dynamic: got 0.0% of the pixels of instance 0, want none of the background" in str(fault)
    (fault,) = check_clip(replace(clip, dynamic=torch.rand(clip.dynamic.shape) > 0.5, instances=clip.instances + 1,
                                  point_instance=clip.point_instance + 1))  # fmt: skip
    assert "want all of an instance or none" in str(fault)


@pytest.mark.parametrize(
    ("field", "shape"),
    [("tracks", (2, 3, 64, 3)), ("visible", (2, 3, 63)), ("depth", (2, 3, 40, 47)), ("points_world", (2, 64, 3)),
     ("point_valid", (0,)), ("instances", (1, 3, 40, 48)), ("video", (2, 3, 1, 40, 48))],
)  # fmt: skip
def test_a_shape_that_does_not_fit_is_named(clip, field, shape, without_shape_hook) -> None:
    wrong = replace(clip, **{field: getattr(clip, field).new_zeros(shape)})
    faults = check_clip(wrong)
    assert [fault.check for fault in faults] == ["counts"]
    assert f"{field}: got shape {shape}, want (" in str(faults[0])


def test_fewer_cameras_than_views_are_named(clip, without_shape_hook) -> None:
    (fault,) = check_clip(replace(clip, cameras=clip.cameras[:1]))
    assert "cameras: got 1 cameras, want one for each of 2 views" in str(fault)


def test_unknown_parts_are_not_checked(clip: MultiViewClip) -> None:
    nothing = torch.full_like(clip.cameras.intrinsics, torch.nan)
    unknown = replace(clip, cameras=Cameras(clip.cameras.cam_from_world, nothing), points_world=None)
    assert not applies("cameras", unknown)
    assert check_clip(unknown) == []
    known = replace(clip, cameras=Cameras(clip.cameras.cam_from_world, nothing))
    assert [fault.field for fault in check_clip(known)] == ["cameras.intrinsics"]
    bare = MultiViewClip(video=clip.video, cameras=clip.cameras)
    assert check_clip(bare) == []
    assert [name for name in CHECKS if applies(name, bare)] == ["counts", "finite", "cameras"]


@pytest.mark.parametrize(
    ("field", "place", "value", "says"),
    [
        ("normals", (1, 0, 0, 3, 3), 5.0, "normals: got length 5"),
        ("world_from_object", (0, 0, 0, 0), 3.0, "world_from_object: got a 3x3 part that is not orthonormal"),
    ],
)
def test_a_fault_beside_the_clip_is_named(scene, field, place, value, says) -> None:
    extras = ClipExtras(scene.normals.clone(), scene.world_from_object.clone(), scene.collisions)
    getattr(extras, field)[place] = value
    (fault,) = check_extras(scene.clip, extras)
    assert says in str(fault)


def test_a_collision_after_the_clip_is_named(scene) -> None:
    (fault,) = check_extras(scene.clip, ClipExtras(collisions=torch.tensor([[3, 1, 0]])))
    assert "collisions: got frame 3, want frames 0 to 2" in str(fault)
