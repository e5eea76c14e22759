"""Paths of presets and files, brought to the frames that are kept."""

import json
import math
from pathlib import Path

import pytest
import torch

from mvt4g.data.camera_paths import (
    CameraAssumption,
    CameraChoice,
    KeptFrames,
    fit_path,
    framed_cameras,
    framed_intrinsics,
)
from mvt4g.data.source_cameras import SourceCameras
from mvt4g.formats.trajectory_json import CONVENTION, Trajectory, read_trajectory
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.path_resampling import resample_path, resampling_places
from mvt4g.geometry.trajectories import benchmark_trajectory, preset_trajectory
from mvt4g.types import InputError

FRAMES = KeptFrames((0, 4, 8), (0.0, 0.5, 1.0), (9,), Path("walk.mp4"))
PLAIN = CameraAssumption()


def lenses(*focals):
    return [[[focal, 0, 8], [0, focal, 8], [0, 0, 1]] for focal in focals]


def write(path, **views):
    content = {"convention": CONVENTION, "image_size": [16, 16], "views": views}
    path.write_text(json.dumps(content))
    return str(path)


def poses(name, count):
    return preset_trajectory(name, count).tolist()


@pytest.mark.parametrize("text", ["cam03", "tilt_up"])
@pytest.mark.parametrize("speed", ["total", "per_frame"])
def test_presets_go_by_either_name_at_either_speed(text, speed):
    camera = CameraAssumption(speed=speed, strength=0.5, scale=2.0)
    choice = CameraChoice.parse(text)
    reference, target = choice.paths(FRAMES, camera)
    assert torch.equal(reference.world_from_cam, torch.eye(4).expand(3, 4, 4))
    assert torch.equal(target.world_from_cam, benchmark_trajectory("cam03", 3, speed, 0.5, 2.0))
    assert choice.sentence(FRAMES, camera).startswith(
        f"target cameras {text}" + (" at its motion a frame" if speed == "per_frame" else ",")
    )


def test_one_pose_is_a_camera_that_stands_still(tmp_path):
    (pose,) = poses("arc_left", 2)[1:]
    text = write(tmp_path / "a.json", target={"world_from_cam": pose, "intrinsics": lenses(9)[0]})
    choice = CameraChoice.parse(text)
    _, target = choice.paths(FRAMES, PLAIN)
    torch.testing.assert_close(target.world_from_cam, torch.tensor([pose] * 3))
    assert target.intrinsics is not None
    assert target.intrinsics[:, 0, 0].tolist() == [9, 9, 9]
    assert "standing still" in choice.sentence(FRAMES, PLAIN)
    assert len(read_trajectory(Path(text), 7).world_from_cam) == 7


def test_a_still_camera_with_a_lens_that_zooms(tmp_path):
    (pose,) = poses("arc_left", 2)[1:]
    text = write(tmp_path / "a.json", target={"world_from_cam": [pose], "intrinsics": lenses(8, 9, 10)})
    _, target = CameraChoice.parse(text).paths(FRAMES, PLAIN)
    assert target.intrinsics is not None
    assert target.intrinsics[:, 0, 0].tolist() == [8, 9, 10]
    assert len({tuple(row.flatten().tolist()) for row in target.world_from_cam}) == 1


def test_a_still_reference_beside_a_moving_target(tmp_path):
    text = write(
        tmp_path / "a.json",
        target={"world_from_cam": poses("arc_left", 3)},
        reference={"world_from_cam": poses("pan_left", 2)[1:]},
    )
    reference, target = CameraChoice.parse(text).paths(FRAMES, PLAIN)
    torch.testing.assert_close(reference.world_from_cam, preset_trajectory("pan_left", 2)[1:].expand(3, 4, 4))
    torch.testing.assert_close(target.world_from_cam, preset_trajectory("arc_left", 3))


@pytest.mark.parametrize(("count", "taken"), [(3, [0, 1, 2]), (9, [0, 4, 8])])
def test_a_pose_for_each_frame_kept_or_of_the_source(count, taken):
    path = Trajectory(preset_trajectory("arc_left", count), torch.rand(count, 3, 3), (16, 16))
    found = fit_path(path, FRAMES, PLAIN, "a.json")
    assert torch.equal(found.world_from_cam, path.world_from_cam[taken])
    assert path.intrinsics is not None
    assert found.intrinsics is not None
    assert torch.equal(found.intrinsics, path.intrinsics[taken])


@pytest.mark.parametrize("rule", ["time", "arc_length"])
@pytest.mark.parametrize("centres", ["linear", "spline"])
def test_another_length_is_resampled_by_the_rule_asked_for(tmp_path, rule, centres):
    """The path waits in its middle, so that time and arc length differ."""
    moving = preset_trajectory("arc_left", 4)
    waiting = torch.cat([moving[:2], moving[1:2], moving[1:2], moving[2:]])
    text = write(tmp_path / "a.json", target={"world_from_cam": waiting.tolist(), "intrinsics": lenses(*range(10, 16))})
    camera = CameraAssumption(resample=rule, centres=centres)
    choice = CameraChoice.parse(text)
    _, target = choice.paths(FRAMES, camera)
    places = resampling_places(waiting, 3, rule)
    torch.testing.assert_close(target.world_from_cam, resample_path(waiting, places, centres))
    assert target.intrinsics is not None
    assert target.intrinsics[1, 0, 0].item() == pytest.approx(10 + float(places[1]))
    assert float(places[1]) == pytest.approx(2.5 if rule == "time" else 3.5)
    said = "time" if rule == "time" else "arc length"
    assert f"6 poses resampled to 3 by {said} (rotations by slerp, centres {centres})" in choice.sentence(
        FRAMES, camera
    )


def test_the_references_path_goes_by_time_whatever_the_targets_does(tmp_path):
    moving = preset_trajectory("zoom_in", 4)
    waiting = torch.cat([moving[:2], moving[1:2], moving[1:2], moving[2:]]).tolist()
    text = write(tmp_path / "a.json", target={"world_from_cam": waiting}, reference={"world_from_cam": waiting})
    reference, target = CameraChoice.parse(text).paths(FRAMES, CameraAssumption(resample="arc_length"))
    whole = float(moving[-1, 2, 3])
    assert target.world_from_cam[1, 2, 3].item() == pytest.approx(whole / 2)
    assert reference.world_from_cam[1, 2, 3].item() == pytest.approx(whole / 3)


def test_another_length_is_refused_with_the_option_that_would_take_it():
    want = r"a\.json: got 5 poses, want 3, one per frame kept, or 9, one per frame of walk\.mp4 \(or .*resample time"
    with pytest.raises(InputError, match=want):
        fit_path(Trajectory(torch.eye(4).expand(5, 4, 4)), FRAMES, PLAIN, "a.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed": "fast"}, "camera.speed: got 'fast', want one of total, per_frame"),
        ({"resample": "length"}, "camera.resample: got 'length', want one of time, arc_length, null"),
        ({"centres": "cubic"}, "camera.centres: got 'cubic', want one of linear, spline"),
        ({"fov_deg": 180.0}, "camera.fov_deg: got 180.0"),
        ({"source_layout": "dust3r"}, "camera.source_layout: got 'dust3r', want one of json, vipe"),
    ],
)
def test_options_that_are_unknown_are_named(options, message):
    with pytest.raises(InputError, match=message):
        CameraAssumption(**options)


def test_half_of_a_motion_a_frame_is_half_the_way():
    target = CameraChoice.parse("cam01").paths(FRAMES, CameraAssumption(speed="per_frame", strength=0.5))[1]
    turned = torch.atan2(target.world_from_cam[-1, 0, 2], target.world_from_cam[-1, 2, 2])
    assert math.degrees(turned) == pytest.approx(0.5 * 2 * 20 / 80.5, abs=1e-3)


@pytest.mark.parametrize(
    ("times_s", "places"),
    [
        ([0.0, 0.25, 0.5, 0.75, 1.0], [0, 2, 4]),  # 4 a second
        ([0.0, 0.5, 1.0], [0, 1, 2]),
        ([-1.0, 0.0, 1.0], [1, 1.5, 2]),  # as many poses as frames kept, yet of other times
        ([0.0, 0.1, 0.4, 1.0], [0, 2 + 1 / 6, 3]),
        ([0.2, 0.8], [0, 0.5, 1]),  # ends stand for 0.3 s before and after
    ],
)
def test_poses_with_times_are_matched_by_time(tmp_path, times_s, places):
    path = preset_trajectory("zoom_in", 81)[[0, 11, 32, 43, 80]][: len(times_s)]
    view = {"world_from_cam": path.tolist(), "intrinsics": lenses(*range(10, 10 + len(times_s))), "times_s": times_s}
    choice = CameraChoice.parse(write(tmp_path / "a.json", target=view))
    _, target = choice.paths(FRAMES, PLAIN)
    torch.testing.assert_close(target.world_from_cam, resample_path(path, torch.tensor(places).double()))
    assert target.intrinsics is not None
    assert target.intrinsics[:, 0, 0].tolist() == pytest.approx([10 + place for place in places], rel=1e-5)
    assert f"{len(times_s)} poses taken at the frames' times" in choice.sentence(FRAMES, PLAIN)


def test_times_that_miss_a_frame_or_a_pose_are_named(tmp_path):
    view = {"world_from_cam": poses("zoom_in", 3), "times_s": [0.0, 0.1, 0.2]}
    choice = CameraChoice.parse(write(tmp_path / "a.json", target=view))
    want = "got poses from 0.000 to 0.200 s, want them from 0.000 to 1.000 s as the frames kept of walk"
    with pytest.raises(InputError, match=want):
        choice.paths(FRAMES, PLAIN)
    for wrong in ([0.0, 0.1], [0.0, 0.2, 0.1], "soon"):
        with pytest.raises(InputError, match=r"a\.json: times_s: got .*, want 3 finite, increasing numbers"):
            CameraChoice.parse(write(tmp_path / "a.json", target={**view, "times_s": wrong}))


def test_a_rule_tells_how_a_preset_was_scaled() -> None:
    kept = KeptFrames([0, 1], [0.0, 0.1], (2,), Path("a.mp4"))
    arc = CameraChoice.parse("arc_left")
    told = arc.sentence(kept, CameraAssumption(strength=0.5, scale=2.0))
    assert told.startswith("target cameras arc_left, 0.5 times its motion, 2 scene units a metre, the source frame")
    assert arc.sentence(kept, CameraAssumption()).startswith("target cameras arc_left, the source frame")


MOTION = {"moves": [{"kind": "truck", "distance": 1}, {"kind": "zoom", "factor": 4}]}
SOURCE = Trajectory(
    preset_trajectory("arc_left", 9), torch.tensor(lenses(*range(10, 19))).float(), (16, 16)
)  # one pose a frame of the source


def motion(path, **fields):
    path.write_text(json.dumps(MOTION | fields))
    return str(path)


def test_a_motion_file_moves_camera_and_lens(tmp_path):
    choice = CameraChoice.parse(motion(tmp_path / "a.json"))
    reference, target = choice.paths(FRAMES, CameraAssumption(scale=2.0))
    assert torch.equal(reference.world_from_cam, torch.eye(4).expand(3, 4, 4))
    assert target.world_from_cam[:, 0, 3].tolist() == [0, 1, 2]
    framing = Framing((16, 32), (8, 8), Window(0, 8, 16, 16), (8, 8))
    both = framed_cameras((reference, target), (framing, framing), CameraAssumption(fov_deg=90.0), "a.json").intrinsics
    assert both[0, 0].tolist() == [[8, 0, 4], [0, 8, 4], [0, 0, 1]]
    assert both[1, :, 0, 0].tolist() == both[1, :, 1, 1].tolist() == pytest.approx([8, 16, 32])
    assert both[1, 2, :, 2].tolist() == [4, 4, 1]
    said = choice.sentence(FRAMES, CameraAssumption(scale=2.0))
    assert "a.json, relative to the source's first camera, 2 scene units a metre, the source frame taken" in said


@pytest.mark.parametrize(
    ("relative_to", "bases", "focals"),
    [("source_start", [0, 0, 0], [10, 20, 40]), ("source_frames", [0, 4, 8], [10, 28, 72])],
)
def test_a_motion_starts_from_the_sources_cameras(tmp_path, relative_to, bases, focals):
    choice = CameraChoice.parse(motion(tmp_path / "a.json", relative_to=relative_to))
    camera = CameraAssumption(source="s.json")
    reference, target = choice.paths(FRAMES, camera, SourceCameras(SOURCE, "s.json"))
    torch.testing.assert_close(reference.world_from_cam, SOURCE.world_from_cam[[0, 4, 8]])
    moved = torch.eye(4).repeat(3, 1, 1)
    moved[:, 0, 3] = torch.tensor([0, 0.5, 1])
    want = torch.stack([SOURCE.world_from_cam[base] @ move for base, move in zip(bases, moved, strict=True)])
    torch.testing.assert_close(target.world_from_cam, want)
    framing = Framing((16, 16), (16, 16), Window(0, 0, 16, 16), (16, 16))
    both = framed_cameras((reference, target), (framing, framing), camera, "a.json").intrinsics[:, :, 0, 0]
    assert both.tolist() == [[10, 14, 18], pytest.approx(focals)]
    assert choice.sentence(FRAMES, camera).endswith(", the source's cameras those of s.json")


@pytest.mark.parametrize("relative_to", ["source_frames", "world"])
def test_a_motion_that_needs_the_sources_cameras_says_so(tmp_path, relative_to):
    choice = CameraChoice.parse(motion(tmp_path / "a.json", relative_to=relative_to))
    with pytest.raises(InputError, match=rf"a\.json: relative_to: got '{relative_to}' without them, want the source's"):
        choice.paths(FRAMES, PLAIN)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_presets_and_paths_start_from_the_sources_first_camera(tmp_path, count):
    source = Trajectory(SOURCE.world_from_cam[:count], SOURCE.intrinsics[:count], (16, 16))
    text = write(tmp_path / "a.json", target={"world_from_cam": poses("zoom_in", 3)})
    for choice in (CameraChoice.parse("zoom_in"), CameraChoice.parse(text)):
        target = choice.paths(FRAMES, PLAIN, SourceCameras(source, "s.json"))[1]
        torch.testing.assert_close(target.world_from_cam, source.world_from_cam[0] @ preset_trajectory("zoom_in", 3))
        assert target.intrinsics[:, 0, 0].tolist() == [10, 10, 10]


def test_two_cameras_of_one_reference_are_refused(tmp_path):
    view = {"world_from_cam": poses("zoom_in", 3)}
    choice = CameraChoice.parse(write(tmp_path / "a.json", target=view, reference=view))
    with pytest.raises(InputError, match=r"camera.source: got s.json, but .*a.json has a reference too, want one"):
        choice.paths(FRAMES, PLAIN, SourceCameras(SOURCE, "s.json"))


@pytest.mark.parametrize(
    ("subject", "seen"),
    [
        ({"at": [1, 0, 1]}, [45, 45, 45]),
        ({"track": [[0, 0, 1], [1, 0, 1], [1, 0, 0]]}, [0, 45, 90]),
        ({"track": [[0, 0, 1], [1, 0, 1]], "times_s": [0, 1]}, [0, math.degrees(math.atan(0.5)), 45]),
        ({"track": [[0, 0, 1]] * 8 + [[1, 0, 1]]}, [0, 0, 45]),
    ],
)
def test_a_subjects_track_is_brought_to_the_frames_kept(tmp_path, subject, seen):
    text = motion(tmp_path / "a.json", subject=subject, moves=[{"kind": "look_at"}])
    target = CameraChoice.parse(text).paths(FRAMES, PLAIN)[1].world_from_cam
    found = torch.rad2deg(torch.atan2(target[:, 0, 2], target[:, 2, 2]))
    assert found.tolist() == pytest.approx(seen, abs=1e-4)


def test_a_track_of_another_length_is_refused(tmp_path):
    text = motion(tmp_path / "a.json", subject={"track": [[0, 0, 1]] * 5}, moves=[{"kind": "look_at"}])
    with pytest.raises(InputError, match=r"a\.json: subject\.track: got 5 poses, want 3, one per frame kept, or 9"):
        CameraChoice.parse(text).paths(FRAMES, PLAIN)


def test_intrinsics_in_shares_of_the_picture():
    shares = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.25], [0.0, 0.0, 1.0]])[None]
    framing = Framing((16, 32), (16, 16), Window(0, 8, 16, 16), (16, 16))
    found = framed_intrinsics(Trajectory(torch.eye(4)[None], shares, (1, 1)), framing, 60.0, "a.json")
    assert found[0].tolist() == [[16, 0, 8], [0, 16, 4], [0, 0, 1]]


def test_frames_without_a_pose_are_named_where_they_are_kept():
    gone = SOURCE.world_from_cam.clone()
    gone[[1, 4]] = torch.nan
    with pytest.raises(InputError, match=r"s\.npz: got no pose of frames 4 of walk\.mp4, want one of every frame kept"):
        CameraChoice.parse("cam01").paths(FRAMES, PLAIN, SourceCameras(Trajectory(gone), "s.npz"))
    gone[4] = torch.eye(4)
    CameraChoice.parse("cam01").paths(FRAMES, PLAIN, SourceCameras(Trajectory(gone), "s.npz"))
