"""ViPE's folder, laid out as the program does it, read back; and each kind of bad file named."""

import zipfile

import numpy as np
import pytest
import torch

from mvt4g.formats.foreign.vipe import read_vipe
from mvt4g.formats.parsing.limits import VARIABLE
from mvt4g.formats.video import write_video
from mvt4g.types import InputError
from tests.formats.layouts.exr import exr
from tests.formats.layouts.reconstructions import COUNT, DEPTH, HEIGHT, IDS, PATH, WIDTH, K, png, write_vipe


def test_all_that_there_is(tmp_path):
    found = read_vipe(write_vipe(tmp_path), COUNT, maps=True)
    torch.testing.assert_close(found.world_from_cam, PATH.float())
    assert found.registered.all()
    torch.testing.assert_close(found.intrinsics, torch.tensor(K).float().expand(COUNT, 3, 3))
    assert found.image_size == (HEIGHT, WIDTH)
    np.testing.assert_array_equal(found.depth, DEPTH)
    np.testing.assert_array_equal(found.dynamic, (IDS == 1) | (IDS == 2))  # 3 is the sky
    assert found.scale == "metres"
    assert any("not what moved" in note for note in found.notes)


def test_frames_go_by_their_numbers_not_by_their_place(tmp_path):
    found = read_vipe(write_vipe(tmp_path, frames=(1, 3)), COUNT, maps=True)
    assert found.registered.tolist() == [False, True, False, True, False]
    torch.testing.assert_close(found.world_from_cam[3], PATH[3].float())
    assert found.world_from_cam[[0, 2, 4]].isnan().all()
    assert found.intrinsics[0].isnan().all()
    np.testing.assert_array_equal(found.depth[3], DEPTH[3])
    assert not found.depth[[0, 2, 4]].any()
    assert len(read_vipe(write_vipe(tmp_path, frames=(1, 3)))) == 4


def test_a_nan_pose_is_a_frame_not_registered(tmp_path):
    poses = PATH.numpy().copy()
    poses[2, 0, 3] = np.nan
    found = read_vipe(write_vipe(tmp_path, data=poses))
    assert found.registered.tolist() == [True, True, False, True, True]
    assert found.world_from_cam[2].isnan().all()


def test_poses_alone(tmp_path):
    path = write_vipe(tmp_path, maps=False)
    for kind in ("npz", "txt"):
        for file in (tmp_path / "intrinsics").glob(f"*.{kind}"):
            file.unlink()
    found = read_vipe(path, maps=True)
    assert (found.intrinsics, found.depth, found.dynamic, found.image_size) == (None, None, None, None)


def test_the_size_is_the_videos_where_no_map_tells(tmp_path):
    path = write_vipe(tmp_path, maps=False)
    write_video(tmp_path / "rgb" / "clip.mp4", torch.rand(2, 3, 32, 64), 8.0)
    found = read_vipe(path)
    assert found.image_size == (32, 64)
    assert any(
        "the field of view is 145.3 degrees" in note for note in found.notes
    )  # 64 px wide, 10 px of focal length


def test_a_damaged_video_takes_nothing_from_the_poses(tmp_path):
    path = write_vipe(tmp_path, maps=False)
    (tmp_path / "rgb").mkdir()
    (tmp_path / "rgb" / "clip.mp4").write_bytes(b"no video")
    found = read_vipe(path)
    assert found.registered.all()
    assert found.image_size is None
    assert any("the size of the video is not known: " in note for note in found.notes)


def test_without_phrases_every_id_is_a_mover(tmp_path):
    path = write_vipe(tmp_path)
    (tmp_path / "mask" / "clip.txt").unlink()
    np.testing.assert_array_equal(read_vipe(path, maps=True).dynamic, IDS != 0)


def test_a_camera_that_bends_rays_has_no_matrix(tmp_path):
    path = write_vipe(tmp_path)
    (tmp_path / "intrinsics" / "clip_camera.txt").write_text("0: PINHOLE\n1: MEI\n")
    found = read_vipe(path)
    assert found.intrinsics is None
    assert any("line 2: the camera is MEI, which no K describes" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "field", "want"),
    [
        ({"data": None}, "data", "missing"),
        ({"inds": None}, "inds", "missing"),
        ({"data": PATH.numpy()[:, :3]}, "data", r"want \(k, 4, 4\)"),
        ({"data": np.zeros((0, 4, 4)), "inds": np.zeros(0, int)}, "data", "k >= 1"),
        ({"inds": np.arange(4)}, "inds", "want 5 whole numbers"),
        ({"inds": np.arange(5) / 2}, "inds", "want 5 whole numbers"),
        ({"inds": np.array([0, 1, 2, 3, 9])}, "inds", "0 to 4"),
        ({"inds": np.array([0, 1, 2, 3, 3])}, "inds", "each once"),
        ({"inds": np.array([-1, 0, 1, 2, 3])}, "inds", "0 to 4"),
        ({"data": PATH.numpy() * 2}, r"data frame \[0\]", "last row"),
        ({"data": PATH.numpy() * np.array([-1, 1, 1, 1])}, r"data frame \[0\]", "reflection"),
        ({"data": PATH.numpy().astype(int)}, "data", "floating-point"),
    ],
)
def test_bad_poses_are_refused_by_file_and_array(tmp_path, changes, field, want):
    path = write_vipe(tmp_path, **changes)
    with pytest.raises(InputError, match=rf"pose/clip.npz: {field}: .*{want}"):
        read_vipe(path, COUNT)


def test_a_huge_frame_number_takes_no_memory(tmp_path):
    path = write_vipe(tmp_path, inds=np.array([0, 1, 2, 3, 2**60]))
    with pytest.raises(InputError, match=r"clip.npz: inds: got frames up to 1152921504606846976, want at most 1048576"):
        read_vipe(path)


def test_intrinsics_of_another_shape_or_without_focal_length_are_refused(tmp_path):
    path = write_vipe(tmp_path)
    lens = tmp_path / "intrinsics" / "clip.npz"
    np.savez(lens, data=np.ones((5, 5)), inds=np.arange(5))
    with pytest.raises(InputError, match=r"intrinsics/clip.npz: data: .*want \(k, 4\)"):
        read_vipe(path)
    np.savez(lens, data=np.zeros((5, 4)), inds=np.arange(5))
    with pytest.raises(InputError, match=r"intrinsics/clip.npz: data: got focal lengths"):
        read_vipe(path)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)


GOOD_EXR = exr({"Z": np.ones((HEIGHT, WIDTH), np.float16)})
SMALL_EXR = exr({"Z": np.ones((2, WIDTH), np.float16)})


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ([], "got no .exr file, want one a frame"),
        ([("00000.exr", GOOD_EXR[:100])], "00000.exr: cannot be read as OpenEXR"),
        ([("00000.exr", GOOD_EXR), ("00001.exr", SMALL_EXR)], r"00001.exr: got size \[2, 8\], want \[6, 8\]"),
        ([("00009.exr", GOOD_EXR)], "got '00009.exr', want frames 0 to 4, each once"),
        ([("00001.exr", GOOD_EXR), ("1.exr", GOOD_EXR)], "got '1.exr', want frames 0 to 4, each once"),
        ([("../00001.exr", GOOD_EXR)], "got '../00001.exr', want frames"),
        ([("readme.txt", b"hello")], "got 'readme.txt', want frames"),
        ([("00000.exr", exr({"Y": np.ones((2, 2), np.float16)}))], r"channels \['Y'\], want 'Z'"),
    ],
)
def test_bad_depth_is_refused_by_zip_and_frame(tmp_path, members, fault):
    path = write_vipe(tmp_path)
    zipped(tmp_path / "depth" / "clip.zip", members)
    with pytest.raises(InputError, match=rf"depth/clip.zip: .*{fault}"):
        read_vipe(path, COUNT, maps=True)


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ([("00000.png", b"no picture")], "00000.png: cannot be read as an image"),
        ([("00000.png", png(np.zeros((6, 8, 3), np.uint8)))], "00000.png: got an image of mode RGB, want ids"),
        ([("00000.png", png(np.zeros((3, 4), np.uint8)))], None),
    ],
)
def test_bad_masks_are_refused_by_zip_and_frame(tmp_path, members, fault):
    path = write_vipe(tmp_path)
    zipped(tmp_path / "mask" / "clip.zip", members)
    want = rf"mask/clip.zip: .*{fault}" if fault else r"clip: got depth and masks of sizes \[\(3, 4\), \(6, 8\)\]"
    with pytest.raises(InputError, match=want):
        read_vipe(path, COUNT, maps=True)


def test_phrases_without_an_id_are_refused(tmp_path):
    path = write_vipe(tmp_path)
    (tmp_path / "mask" / "clip.txt").write_text("one: person\n")
    with pytest.raises(InputError, match=r"clip.txt: line 1: id: got 'one', want a whole number"):
        read_vipe(path, COUNT, maps=True)


def test_a_zip_that_is_none_or_damaged_is_refused(tmp_path):
    path = write_vipe(tmp_path)
    depth = tmp_path / "depth" / "clip.zip"
    content = bytearray(depth.read_bytes())
    content[200] ^= 0xFF  # within the first map: its checksum is wrong
    for bad in (b"PK\3\4 and no more", bytes(content), bytes(content[:-40])):
        depth.write_bytes(bad)
        with pytest.raises(InputError, match=r"depth/clip.zip: "):
            read_vipe(path, COUNT, maps=True)


def test_maps_over_the_limit_of_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0.0625")
    path = write_vipe(tmp_path)
    content = exr({"Z": np.ones((1024, 1024), np.float16)})
    zipped(tmp_path / "depth" / "clip.zip", [("00000.exr", content)])
    with pytest.raises(InputError, match=r"clip.zip: got 100 maps of 1024x1024, 400.0 MiB, want at most 64.0 MiB"):
        read_vipe(path, 100, maps=True)
    zipped(tmp_path / "depth" / "clip.zip", [("00000.exr", bytes(65 * 2**20))])
    with pytest.raises(InputError, match=r"clip.zip: 00000.exr: got 65.0 MiB, want at most 64.0 MiB"):
        read_vipe(path, 100, maps=True)
