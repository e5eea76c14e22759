"""Folders of generated videos: what is there is read and fits, what is not is None, what is wrong is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mvt4g.formats.generated_folder import generated_folders, read_generated
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.types import Cameras, InputError

FRAMES, HEIGHT, WIDTH = 3, 16, 24


def smooth_video(seed: int) -> torch.Tensor:
    low = torch.rand(FRAMES, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(low, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything in it."""
    clip = tmp_path / "dog"
    for number, name in enumerate(("generated", "target", "reference")):
        write_video(clip / f"{name}.mp4", smooth_video(number), fps=8)
    pose = torch.eye(4).repeat(2, FRAMES, 1, 1)
    pose[1, :, 0, 3] = torch.arange(FRAMES).float()
    intrinsics = torch.tensor([[20.0, 0, 12], [0, 20, 8], [0, 0, 1]]).repeat(2, FRAMES, 1, 1)
    write_trajectory(clip / "cameras.json", Cameras(pose, intrinsics), (HEIGHT, WIDTH))
    depth = np.full((FRAMES, HEIGHT, WIDTH), 2.0)
    np.savez(clip / "depth.npz", target=depth, reference=depth + 1)
    np.savez(clip / "dynamic.npz", reference=depth[0] > np.arange(FRAMES)[:, None, None])
    np.savez(clip / "mask.npz", target=depth > 1)
    return clip


def test_everything_is_read(folder):
    videos = read_generated(folder)
    assert videos.names == ("dog",)
    assert videos.video.shape == (1, FRAMES, 3, HEIGHT, WIDTH)
    assert (videos.target.video[0] - smooth_video(1)).abs().mean() < 0.03  # 4:2:0 and crf 18
    assert (videos.target.video - videos.reference.video).abs().mean() > 0.1
    assert videos.target.cam_from_world[0, :, 0, 3].tolist() == [0, 1, 2]
    assert videos.reference.cam_from_world[0, :, 0, 3].tolist() == [0, 0, 0]
    assert videos.target.intrinsics[0, 0, 0, 0] == 20
    assert (float(videos.target.depth.max()), float(videos.reference.depth.max())) == (2, 3)
    assert videos.reference.dynamic[0, :, 0, 0].tolist() == [True, True, False]
    assert videos.target.dynamic is None
    assert videos.mask.all()


def test_only_the_generated_video_must_be_there(tmp_path):
    write_video(tmp_path / "alone" / "generated.mp4", smooth_video(0), fps=8)
    videos = read_generated(tmp_path / "alone")
    assert set(videos.known()) == {"video", "fps"}
    assert videos.fps.tolist() == [8.0]


def test_frames_in_a_folder_are_a_video_too(tmp_path):
    frames = tmp_path / "dog" / "generated"
    frames.mkdir(parents=True)
    for number in range(FRAMES):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 50 * number, np.uint8)).save(frames / f"{number:03d}.png")
    assert generated_folders(tmp_path) == [tmp_path / "dog"]
    videos = read_generated(tmp_path / "dog")
    assert videos.video[0, :, 0, 0, 0].tolist() == pytest.approx([0, 50 / 255, 100 / 255])
    assert videos.fps is None, "pictures have no rate"


def test_folders_come_by_name_and_others_are_passed_by(folder):
    write_video(folder.parent / "cat" / "generated.mp4", smooth_video(0), fps=8)
    (folder.parent / "notes").mkdir()
    assert [path.name for path in generated_folders(folder.parent)] == ["cat", "dog"]


def test_a_root_without_videos_is_refused(tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError, match=r"got no folder with a generated\.mp4"):
        generated_folders(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        generated_folders(tmp_path / "nowhere")


def test_a_video_of_another_length_is_refused(folder):
    write_video(folder / "target.mp4", smooth_video(1)[:2], fps=8)
    with pytest.raises(InputError, match=r"target: got 2 frames of 24x16, want 3 frames of 24x16"):
        read_generated(folder)


def test_one_pose_is_a_camera_that_stands_still(folder):
    intrinsics = torch.tensor([[[20.0, 0, 12], [0, 20, 8], [0, 0, 1]]])
    pose = torch.eye(4)[None].clone()
    pose[0, 0, 3] = 2.0
    write_trajectory(folder / "cameras.json", Cameras(pose, intrinsics), (HEIGHT, WIDTH))
    videos = read_generated(folder)
    assert torch.equal(videos.target.cam_from_world, pose.expand(1, 3, 4, 4))
    assert torch.equal(videos.target.intrinsics, intrinsics.expand(1, 3, 3, 3))


def test_cameras_of_another_length_or_size_are_refused(folder):
    intrinsics = torch.tensor([[20.0, 0, 12], [0, 20, 8], [0, 0, 1]])
    write_trajectory(
        folder / "cameras.json", Cameras(torch.eye(4).repeat(2, 1, 1), intrinsics.repeat(2, 1, 1)), (HEIGHT, WIDTH)
    )
    with pytest.raises(InputError, match=r"cameras\.json: target: got 2 poses, want 3"):
        read_generated(folder)
    write_trajectory(folder / "cameras.json", Cameras(torch.eye(4).repeat(3, 1, 1), intrinsics.repeat(3, 1, 1)), (8, 8))
    with pytest.raises(InputError, match=r"image_size: got \[8, 8\], want \[16, 24\]"):
        read_generated(folder)


@pytest.mark.parametrize(
    ("file", "name", "shape"),
    [
        ("depth", "target", (FRAMES, 2, 2)),
        ("depth", "depth", (FRAMES, HEIGHT, WIDTH)),
        ("mask", "reference", (FRAMES, HEIGHT, WIDTH)),
    ],
)
def test_maps_that_do_not_fit_are_refused(folder, file, name, shape):
    np.savez(folder / f"{file}.npz", **{name: np.zeros(shape)})
    message = rf"{file}\.npz: got {name} of shape \({shape[0]}, {shape[1]}, "
    with pytest.raises(InputError, match=message):
        read_generated(folder)


def test_what_predict_writes_is_found_one_level_down(tmp_path):
    for name in ("dog/arc_left-s0", "dog/pan_left-s0", "cat", ".hidden/x-s0", "notes"):
        (tmp_path / name).mkdir(parents=True)
        if name != "notes":
            (tmp_path / name / "generated.mp4").touch()
    found = [folder.relative_to(tmp_path).as_posix() for folder in generated_folders(tmp_path)]
    assert found == ["cat", "dog/arc_left-s0", "dog/pan_left-s0"]


def test_a_folder_whose_video_was_not_generated_is_an_item_that_failed(folder):
    write_video(folder.parent / "cat" / "target.mp4", smooth_video(0), fps=8)
    assert [path.name for path in generated_folders(folder.parent)] == ["cat", "dog"]
    with pytest.raises(InputError, match=r"cat: got no generated\.mp4 and no generated/, want the generated video"):
        read_generated(folder.parent / "cat")
    (folder / "generated.mp4").unlink()
    with pytest.raises(InputError, match=r"got no folder with a generated\.mp4"):
        generated_folders(folder.parent)


def test_what_a_killed_predict_left_is_no_video(folder):
    for place in (".cat-s0.01234567.part", "dog2/arc_left-s0", "dog2/.arc_left-s0.01234567.part"):
        write_video(folder.parent / place / "generated.mp4", smooth_video(0), fps=8)
    assert [path.name for path in generated_folders(folder.parent)] == ["dog", "arc_left-s0"]


def test_a_video_of_another_rate_is_refused(folder):
    write_video(folder / "target.mp4", smooth_video(1), fps=16)
    with pytest.raises(InputError, match=r"target: got 16 frames a second, want 8 as the generated video has"):
        read_generated(folder)
    write_video(folder / "target.mp4", smooth_video(1), fps=8.04)
    read_generated(folder)  # control
