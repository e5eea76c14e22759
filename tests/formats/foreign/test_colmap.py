"""COLMAP models, written by hand after COLMAP's documentation (COLMAP's own files: tests/metrics/pose_estimators)."""

import struct

import pytest
import torch

from mvt4g.formats.foreign.colmap import read_colmap_poses
from mvt4g.geometry.pose import invert_pose, pose_from, rotation_from_quaternion
from mvt4g.types import InputError

NAMES = ("frame_8.png", "frame_9.png", "frame_10.png")  # by number, which is not the order of their letters
QUATERNIONS = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0.0, 0.0], [0.5, -0.5, 0.5, 0.5]])
TRANSLATIONS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])
WANT = invert_pose(pose_from(rotation_from_quaternion(QUATERNIONS), TRANSLATIONS))
ORDER = (2, 0, 1)  # of the images in the file
K = torch.tensor([[300.0, 0.0, 160.0], [0.0, 310.0, 120.0], [0.0, 0.0, 1.0]])


def _text(folder, camera="1 PINHOLE 320 240 300 310 160 120", names=NAMES, frames=ORDER):
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
    ]
    for number, frame in enumerate(frames):
        pose = [*QUATERNIONS[frame].tolist(), *TRANSLATIONS[frame].tolist()]
        lines.append(" ".join(map(str, [number + 5, *pose, 1, names[frame]])))
        lines.append("" if number == 0 else "10.5 20.5 -1 30.5 40.5 7")
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    (folder / "cameras.txt").write_text(f"# Camera list\n{camera}\n")
    return folder


def _binary(folder, model=1, parameters=(300.0, 310.0, 160.0, 120.0), frames=ORDER):
    content = struct.pack("<Q", len(frames))
    for number, frame in enumerate(frames):
        pose = [*QUATERNIONS[frame].tolist(), *TRANSLATIONS[frame].tolist()]
        content += struct.pack("<i7di", number + 5, *pose, 1) + NAMES[frame].encode() + b"\0"
        content += struct.pack("<Q", number) + struct.pack("<ddq", 10.5, 20.5, -1) * number
    (folder / "images.bin").write_bytes(content)
    camera = struct.pack("<QiiQQ", 1, 1, model, 320, 240) + struct.pack(f"<{len(parameters)}d", *parameters)
    (folder / "cameras.bin").write_bytes(camera)
    return folder


@pytest.mark.parametrize("write", [_text, _binary])
def test_poses_are_turned_round_and_put_in_the_order_of_their_names(tmp_path, write):
    found = read_colmap_poses(write(tmp_path), num_frames=3)
    torch.testing.assert_close(found.world_from_cam, WANT)
    torch.testing.assert_close(found.intrinsics, K.expand(3, 3, 3))
    assert found.registered.all()
    assert found.image_size == (240, 320)


@pytest.mark.parametrize("write", [_text, _binary])
def test_frames_without_an_image_are_not_registered(tmp_path, write):
    names = ("frame_7.png", *NAMES)
    found = read_colmap_poses(write(tmp_path, frames=(2, 0)), frame_names=names, num_frames=4)
    assert found.registered.tolist() == [False, True, False, True]
    torch.testing.assert_close(found.world_from_cam[[1, 3]], WANT[[0, 2]])
    assert found.world_from_cam[[0, 2]].isnan().all()


def test_which_frames_are_missing_is_not_guessed(tmp_path):
    with pytest.raises(InputError, match=r"images.txt: got 2 images for 3 frames, want frame_names"):
        read_colmap_poses(_text(tmp_path, frames=(0, 1)), num_frames=3)


def test_names_of_other_images_are_refused_and_folders_in_names_are_not(tmp_path):
    with pytest.raises(InputError, match=r"images.txt: got images .*frame_10.png.*, want names such as \['a.png'"):
        read_colmap_poses(_text(tmp_path), frame_names=("a.png", "b.png"))
    with pytest.raises(InputError, match=r"frame_names: got 2 names, want 3"):
        read_colmap_poses(_text(tmp_path), frame_names=("a.png", "b.png"), num_frames=3)
    below = _text(tmp_path, names=tuple(f"video one/{name}" for name in NAMES))
    torch.testing.assert_close(read_colmap_poses(below, frame_names=NAMES).world_from_cam, WANT)


def test_images_of_two_videos_are_refused(tmp_path):
    both = _text(tmp_path, names=("one/0.png", "two/0.png", "one/1.png"))
    with pytest.raises(InputError, match=r"images.txt: got 3 images of 2 names, want those of a single video"):
        read_colmap_poses(both, frame_names=("0.png", "1.png"))


def test_simple_pinholes_have_one_focal_length_and_other_models_no_matrix(tmp_path):
    simple = read_colmap_poses(_text(tmp_path, camera="1 SIMPLE_PINHOLE 320 240 300 160 120"))
    assert simple.intrinsics[0, 0, 0] == simple.intrinsics[0, 1, 1] == 300.0
    assert simple.intrinsics[0, :2, 2].tolist() == [160.0, 120.0]
    assert read_colmap_poses(_text(tmp_path, camera="1 SIMPLE_RADIAL 320 240 300 160 120 0.1")).intrinsics is None
    assert read_colmap_poses(_binary(tmp_path, model=2, parameters=(300.0, 160.0, 120.0, 0.1))).intrinsics is None


@pytest.mark.parametrize(
    ("file", "old", "new", "want"),
    [
        ("images.txt", " 1 frame_9.png", "", "line 7: got .*want IMAGE_ID"),
        ("images.txt", "0.8", "zero", "line 7: QW: got .*want a finite number"),
        ("images.txt", " 1 frame_9.png", " 2 frame_9.png", r"frame_9.png: got camera 2, want one of \[1\]"),
        ("images.txt", "0.80", "9.0", r"frame_9.png: got quaternion"),
        ("images.txt", "2.0 3.0", "nan 3.0", None),
        ("cameras.txt", "320", "wide", "line 2: WIDTH: got 'wide', want a whole number"),
        ("cameras.txt", " 310 160 120", "", "line 2: got 1 parameters, want 4 of a PINHOLE"),
        ("cameras.txt", "300", "-300", r"got focal lengths down to -300"),
    ],
)
def test_a_bad_text_model_is_refused_by_file_and_line(tmp_path, file, old, new, want):
    path = _text(tmp_path) / file
    content = path.read_text()
    if old == "0.80":
        content, old = content.replace("0.800000011920929", "0.80"), "0.80"
    path.write_text(content.replace(old, new))
    if want is None:
        assert read_colmap_poses(tmp_path).registered.tolist() == [True, False, True]
        return
    with pytest.raises(InputError, match=rf"{file}.*: .*{want}"):
        read_colmap_poses(tmp_path)


@pytest.mark.parametrize("file", ["images.bin", "cameras.bin"])
@pytest.mark.parametrize("length", [4, 30, -5])
def test_a_binary_model_cut_short_is_refused(tmp_path, file, length):
    path = _binary(tmp_path) / file
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=file):
        read_colmap_poses(tmp_path)


def test_an_unknown_camera_model_and_a_folder_without_a_model_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"images.txt: no such file, want a COLMAP model"):
        read_colmap_poses(tmp_path)
    with pytest.raises(InputError, match=r"cameras.bin: camera 1: got model 99"):
        read_colmap_poses(_binary(tmp_path, model=99))


def _lines(tmp_path, change):
    path = _text(tmp_path) / "images.txt"
    path.write_bytes(change(path.read_text()).encode())
    return read_colmap_poses(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("#   IMAGE_ID", "\n\n#   IMAGE_ID"),
        lambda text: text + "\n\n",
        lambda text: text.replace(" ", "\t"),
        lambda text: "# Number of images: 3, mean observations per image: 1.3\n" + text,
    ],
)
def test_one_text_in_many_hands(tmp_path, change):
    torch.testing.assert_close(_lines(tmp_path, change).world_from_cam, WANT)


@pytest.mark.parametrize(
    ("change", "got"),
    [
        # without its empty line, the second image would pass for the points of the first, and the third be the second
        (lambda text: text.replace("\n\n", "\n"), "line 4: got '6 .*want the points of the image above it"),
        (lambda text: text.replace("10.5 20.5 -1 30.5 40.5 7", ""), None),
        (lambda text: text.replace("10.5 20.5 -1 30.5", "10.5 20.5 -1 30.5 40.5"), "line 6: .*want the points"),
        (lambda text: text.replace("\n\n", "\n\n\n").replace("-1 30.5 40.5 7\n", "-1 30.5 40.5 7\n\n"), None),
        (lambda text: text.replace("\n", "\n\n"), "line 11: .*want IMAGE_ID"),
        (lambda text: text.replace("1.0 2.0 3.0", "1,0 2,0 3,0"), "TX: got '1,0', want a finite number with a decimal"),
        (lambda text: text.replace("1.0 2.0 3.0", "1.0 2.0"), "CAMERA_ID: got|want IMAGE_ID"),
        (lambda text: "# Number of images: 4, mean\n" + text, "line 1: got 3 images below it, want 4 as it says"),
        (lambda text: text.encode("utf-16").decode("latin-1"), "got"),
    ],
)
def test_empty_lines_mean_what_they_mean(tmp_path, change, got):
    if got is None:
        torch.testing.assert_close(_lines(tmp_path, change).world_from_cam, WANT)
        return
    with pytest.raises(InputError, match=rf"images\.txt: .*(?:{got})"):
        _lines(tmp_path, change)


@pytest.mark.parametrize(
    ("camera", "got"),
    [
        ("1 PINHOLE 320 240 300 310 160 120 0.1", "line 2: got 5 parameters, want 4 of a PINHOLE"),
        ("1 PINHOLE 320 240 300,5 310 160 120", "line 2: PARAMS: got '300,5'"),
        ("1 PINHOLE 320 240 300 310 160 120\n1 PINHOLE 320 240 9 9 9 9", "line 3: got camera 1 again"),
        ("1 PINHOLE 320", "line 2: got .*want CAMERA_ID MODEL"),
    ],
)
def test_cameras_are_whole(tmp_path, camera, got):
    with pytest.raises(InputError, match=rf"cameras\.txt: {got}"):
        read_colmap_poses(_text(tmp_path, camera=camera))


@pytest.mark.parametrize("file", ["images.bin", "cameras.bin"])
def test_entries_that_the_count_leaves_out_are_not_dropped(tmp_path, file):
    path = _binary(tmp_path) / file
    path.write_bytes(struct.pack("<Q", {"images.bin": 2, "cameras.bin": 0}[file]) + path.read_bytes()[8:])
    with pytest.raises(InputError, match=rf"{file}: got \d+ bytes after the last entry that it counts, want none"):
        read_colmap_poses(tmp_path)
