"""Two given videos as a clip: each cut in its own way, with the cameras and query points that follow."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.real_clips import RealClip
from mvt4g.data.sources import FolderSource
from mvt4g.data.video_pairs import VideoPair
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.images import frame_paths
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import Cameras, InputError

SIZE = VideoSize(height=32, width=32, num_frames=4)


def folder(path: Path, frames: int, height: int, width: int, grey: int, fps: float = 12.0) -> FolderSource:
    path.mkdir()
    for number in range(frames):
        Image.new("RGB", (width, height), (grey, number, 0)).save(path / f"{number}.png")
    return FolderSource(path.name, frame_paths(path), fps=fps)


@pytest.fixture
def videos(tmp_path: Path) -> tuple[FolderSource, FolderSource]:
    """Return a reference of 6 frames of 64x32 (w x h) and a target of 5 frames of 32x64."""
    return folder(tmp_path / "walk", 6, 32, 64, 100), folder(tmp_path / "other", 5, 64, 32, 200)


def pair(videos, **options: Any) -> RealClip | InputError:
    given = {"size": SIZE, "cameras": None, "queries": "grid:2", "camera": CameraAssumption(), **options}
    return VideoPair(videos, **given)[0]


def test_frames_of_one_moment_lie_side_by_side(videos):
    real = pair(videos, size=VideoSize(32, 32, 4, time="spread"))
    assert real.clip.video.shape == (2, 4, 3, 32, 32)
    levels = (real.clip.video[..., 0, 0] * 255).round()
    assert levels[..., 0].tolist() == [[100] * 4, [200] * 4]
    assert levels[..., 1].tolist() == [[0, 1, 3, 4]] * 2, "spread over the 5 frames that both have"
    assert real.clip.name == "walk"
    assert real.clip.fps == pytest.approx(3 / (4 / 12)), "the rate of the frames kept"
    assert "target frames nearest in time, at most 0.0 ms off" in real.rule
    assert "cameras unknown, taken to stand still" in real.rule
    assert torch.equal(real.clip.cameras.cam_from_world, torch.eye(4).expand(2, 4, 4, 4))


def test_unknown_intrinsics_are_the_assumed_view_of_each_source(videos):
    intrinsics = pair(videos, camera=CameraAssumption(fov_deg=90.0)).clip.cameras.intrinsics
    assert intrinsics[0, 0, 0, 0] == pytest.approx(32.0)  # half of the width of 64
    assert intrinsics[1, 0, 0, 0] == pytest.approx(16.0)
    assert intrinsics[:, 0, :2, 2].tolist() == [[16.0, 16.0]] * 2


@pytest.mark.parametrize(("count", "chosen"), [(4, [0, 1, 2, 3]), (5, [0, 1, 3, 4])])
def test_cameras_of_a_file_are_those_of_the_frames_kept(videos, tmp_path, count, chosen):
    poses = torch.stack([invert_pose(preset_trajectory(name, count)) for name in ("pan_left", "arc_right")])
    intrinsics = intrinsics_from_fov(1.0, 32, 32).expand(2, count, 3, 3)
    write_trajectory(tmp_path / "cameras.json", Cameras(poses, intrinsics), (32, 32))
    real = pair(videos, size=VideoSize(32, 32, 4, time="spread"), cameras=tmp_path / "cameras.json")
    torch.testing.assert_close(real.clip.cameras.cam_from_world, poses[:, chosen], atol=1e-5, rtol=0)
    torch.testing.assert_close(real.clip.cameras.intrinsics, intrinsics[:, :4])


def test_query_points_of_either_view_follow_its_cut(videos, tmp_path):
    (tmp_path / "q.json").write_text(json.dumps([[0, 1, 40, 8], [1, 2, 8, 40], [1, 0, 8, 2], [1, 5, 8, 40]]))
    with pytest.raises(InputError, match="query 3: got frame 5, want 0 <= frame < 5"):
        raise pair(videos, queries=str(tmp_path / "q.json"))
    (tmp_path / "q.json").write_text(json.dumps([[0, 1, 40, 8], [1, 2, 8, 40], [1, 0, 8, 2]]))
    real = pair(videos, queries=str(tmp_path / "q.json"))
    assert real.queries.tolist() == [[0, 1, 24, 8], [1, 2, 8, 24]], "the third lies in the target's upper quarter"
    assert real.query_rows.tolist() == [0, 1]


def test_what_does_not_fit_is_named(videos, tmp_path):
    target = Cameras(torch.eye(4).expand(4, 4, 4), intrinsics_from_fov(1.0, 32, 32).expand(4, 3, 3))
    write_trajectory(tmp_path / "one.json", target, (32, 32))
    with pytest.raises(InputError, match=r"one\.json: got the views .* want the reference's cameras too"):
        pair(videos, cameras=tmp_path / "one.json")
    two = Cameras(torch.eye(4).expand(2, 3, 4, 4), intrinsics_from_fov(1.0, 32, 32).expand(2, 3, 3, 3))
    write_trajectory(tmp_path / "two.json", two, (32, 32))
    with pytest.raises(InputError, match=r"two\.json: got 3 poses, want 4, one per frame kept, or 6"):
        pair(videos, cameras=tmp_path / "two.json")
    four = Cameras(torch.eye(4).expand(2, 4, 4, 4), intrinsics_from_fov(1.0, 48, 48).expand(2, 4, 3, 3))
    write_trajectory(tmp_path / "size.json", four, (48, 48))
    assert "image_size: got [48, 48]" in str(pair(videos, cameras=tmp_path / "size.json"))
    with pytest.raises(InputError, match="walk shows too: got 1 frames of 5, want at least 2"):
        pair((FolderSource("walk", frame_paths(tmp_path / "walk")[:1]), videos[1]))


def levels(real: RealClip) -> list[list[int]]:
    """Return the frame numbers of both views, as their pictures show them."""
    return (real.clip.video[:, :, 1, 0, 0] * 255).round().int().tolist()


def test_rates_that_differ_are_matched_by_time(tmp_path):
    """24 and 30 a second: the slower one's frames at k / 24 s, of the faster one those nearest in time."""
    slow, fast = (
        folder(tmp_path / name, count, 32, 32, 100, fps) for name, count, fps in (("s", 24, 24.0), ("f", 25, 30.0))
    )
    want = [0, 1, 2, 4, 5, 6, 7]  # k * 30 / 24 = 0, 1.25, 2.5 (a tie: the earlier), 3.75, 5, 6.25, 7.5 (a tie)
    size = VideoSize(32, 32, 7)
    real = pair((slow, fast), size=size)
    assert levels(real) == [list(range(7)), want]
    assert real.clip.fps == pytest.approx(24.0)
    swapped = pair((fast, slow), size=size)
    assert levels(swapped) == [want, list(range(7))]
    assert swapped.clip.fps == pytest.approx(24.0)
    assert [source.frames for source in swapped.sources] == [tuple(want), tuple(range(7))]
    for source in real.sources:
        rate = {"s": 24.0, "f": 30.0}[source.path.name]
        assert source.times_s == pytest.approx([frame / rate for frame in source.frames])
    assert "reference frames nearest in time, at most 16.7 ms off" in swapped.rule
    assert "target frames nearest in time, at most 16.7 ms off" in real.rule


def test_of_a_longer_video_the_time_that_both_show_is_taken(tmp_path):
    """The fast one ends at 24/30 s = 0.8 s, so that frame 19 of the slow one (0.79 s) is the last with a partner."""
    slow, fast = (
        folder(tmp_path / name, count, 32, 32, 100, fps) for name, count, fps in (("s", 24, 24.0), ("f", 25, 30.0))
    )
    real = pair((slow, fast), size=VideoSize(32, 32, 4001))
    assert levels(real)[0] == list(range(20))
    assert levels(real)[1][-1] == 24


def test_a_target_that_began_later_is_matched_from_there_on(videos):
    """The target's frame 0 was taken at the reference's frame 2."""
    real = pair(videos, target_start_s=2 / 12)
    assert levels(real) == [[2, 3, 4, 5], [0, 1, 2, 3]]
    earlier = pair(videos, target_start_s=-1 / 12)
    assert levels(earlier) == [[0, 1, 2, 3], [1, 2, 3, 4]]
    with pytest.raises(InputError, match=r"walk, in the time that .*other shows too: got 6 frames, none of them then"):
        pair(videos, target_start_s=9.0)


def test_a_gap_in_a_folder_is_a_gap_in_time(videos):
    missing = Path(videos[1].place)
    (missing / "2.png").unlink()
    target = FolderSource("other", frame_paths(missing), fps=12.0)
    real = pair((videos[0], target))
    assert levels(real) == [[0, 1, 2, 3], [0, 1, 1, 3]], "at frame 2 the earlier one is as near as the later one"
    assert "target: 1 of 5 frame numbers are not there" in real.rule
    assert "at most 83.3 ms off" in real.rule


def test_selections_count_the_slower_videos_frames(videos):
    part = VideoSize(32, 32, 4001, frames=FrameSelection(start=1, step=2))
    assert levels(pair(videos, size=part)) == [[1, 3], [1, 3]]
    rate = VideoSize(32, 32, 4001, frames=FrameSelection(fps=4.0))
    assert levels(pair(videos, size=rate)) == [[0, 3], [0, 3]]


def test_each_view_has_cameras_for_its_own_frames(tmp_path):
    slow, fast = (
        folder(tmp_path / name, count, 32, 32, 100, fps) for name, count, fps in (("s", 4, 10.0), ("f", 7, 20.0))
    )
    paths = {"reference": preset_trajectory("pan_left", 4), "target": preset_trajectory("arc_right", 7)}
    views = {name: {"world_from_cam": path.tolist()} for name, path in paths.items()}
    (tmp_path / "c.json").write_text(json.dumps({"views": views}))
    real = pair((slow, fast), cameras=tmp_path / "c.json")
    assert levels(real) == [[0, 1, 2, 3], [0, 2, 4, 6]]
    found = invert_pose(real.clip.cameras.cam_from_world)
    torch.testing.assert_close(found[0], paths["reference"], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], paths["target"][::2], atol=1e-5, rtol=0)


def test_cameras_of_another_length_are_resampled_by_time(videos, tmp_path):
    views = {name: {"world_from_cam": preset_trajectory("pan_left", 81).tolist()} for name in ("reference", "target")}
    (tmp_path / "c.json").write_text(json.dumps({"views": views}))
    with pytest.raises(InputError, match=r"got 81 poses, want 4, one per frame kept, or 6, .*camera.resample time"):
        pair(videos, cameras=tmp_path / "c.json")
    real = pair(videos, cameras=tmp_path / "c.json", camera=CameraAssumption(resample="time"))
    found = invert_pose(real.clip.cameras.cam_from_world)
    torch.testing.assert_close(found, preset_trajectory("pan_left", 4).expand(2, 4, 4, 4), atol=1e-5, rtol=0)
    assert "81 poses resampled to 4 by time" in real.rule


@pytest.mark.parametrize(("rate", "start_s"), [(12.0, 0.0), (24.0, 0.25)])
def test_poses_of_the_shorter_video_say_nothing_of_a_longer_one_at_other_moments(
    tmp_path: Path, rate: float, start_s: float
) -> None:
    videos = (
        folder(tmp_path / "a", 24, 32, 32, 0, fps=24.0),
        folder(tmp_path / "b", 12, 32, 32, 0, fps=rate),
    )
    path = tmp_path / "cameras.json"
    views = {name: {"world_from_cam": preset_trajectory("pan_left", 12).tolist()} for name in ("reference", "target")}
    path.write_text(json.dumps({"views": views}))
    with pytest.raises(InputError, match=r"got 12 poses, want 4, one per frame kept, or 24, one per frame of .*a "):
        pair(videos, cameras=path, target_start_s=start_s)
    together = (videos[0], folder(tmp_path / "c", 12, 32, 32, 0, fps=24.0))
    pair(together, cameras=path)  # control: frame k of either is one moment
