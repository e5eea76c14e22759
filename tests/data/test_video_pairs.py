"""Two given videos as a clip: each cut in its own way, with the cameras and query points that follow."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mvt4g.data.camera_paths import CameraAssumption
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


def folder(path: Path, frames: int, height: int, width: int, grey: int) -> FolderSource:
    path.mkdir()
    for number in range(frames):
        Image.new("RGB", (width, height), (grey, number, 0)).save(path / f"{number}.png")
    return FolderSource(path.name, frame_paths(path), fps=12.0)


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
    assert (real.clip.name, real.clip.fps) == ("walk", 12.0)
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
    (tmp_path / "q.json").write_text(json.dumps([[0, 1, 40, 8], [1, 2, 8, 40], [1, 0, 8, 2], [0, 5, 40, 8]]))
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
    with pytest.raises(InputError, match=r"two\.json: got 3 poses, want 4, one per frame kept, or 5"):
        pair(videos, cameras=tmp_path / "two.json")
    four = Cameras(torch.eye(4).expand(2, 4, 4, 4), intrinsics_from_fov(1.0, 48, 48).expand(2, 4, 3, 3))
    write_trajectory(tmp_path / "size.json", four, (48, 48))
    assert "image_size: got [48, 48]" in str(pair(videos, cameras=tmp_path / "size.json"))
    with pytest.raises(InputError, match="walk: got 1 frames, want at least 2"):
        pair((FolderSource("walk", frame_paths(tmp_path / "walk")[:1]), videos[1]))
