"""DyCheck's scenes as chunks seen by two phones: which frames, true target views, masks, cameras, keypoints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mvt4g.data.iphone_clips import find_pairs, longest_stretch
from mvt4g.data.iphone_datamodule import IPhoneDataModule
from mvt4g.data.video_size import VideoSize
from mvt4g.evaluation.video_metrics import describe
from mvt4g.formats.readers.iphone import read_split
from mvt4g.formats.readers.iphone_keypoints import read_keypoints, transfer_pairs
from mvt4g.geometry.camera import scale_intrinsics
from mvt4g.geometry.depth_maps import resize_depth
from mvt4g.geometry.framing import FitSpec
from mvt4g.geometry.pose import invert_pose
from mvt4g.metrics.tracks.pck_t import PCKT
from mvt4g.types import InputError
from tests.data.made_up_clips import moving_clip
from tests.formats.layouts.iphone import write_iphone, write_keypoints

SIZE = VideoSize(height=8, width=12, num_frames=5, temporal_stride=2)
REAL = Path(__file__).parents[3] / "shared/data/iphone/paper-windmill"


@pytest.fixture(scope="module")
def clip():
    """Return a clip of three views and eleven frames of 16x24, twice as large as what is taken of it."""
    made = moving_clip(views=3, frames=11, height=16, width=24)
    return replace(made, video=(made.video * 255).round() / 255, fps=30.0)


@pytest.fixture(scope="module")
def scene(clip, tmp_path_factory):
    """Return a scene whose camera 2 lacks the times 2, 3 and 7."""
    folder = tmp_path_factory.mktemp("iphone") / "apple"
    write_iphone(folder, clip, drop=("2_00002", "2_00003", "2_00007"))
    return folder


def times(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:05d}" for number in numbers)


def test_a_chunk_is_what_both_phones_saw_without_a_gap(scene):
    found = [(pair.chunk, pair.camera, pair.times) for pair in find_pairs(scene, SIZE, "grid:8")]
    assert found == [
        (0, "cam01", times(0, 1, 2, 3, 4)),
        (1, "cam01", times(5, 6, 7, 8, 9)),
    ], "camera 2 saw at most two frames of each chunk in a row, and the last chunk has one"
    short = replace(SIZE, temporal_stride=1)
    found = [(pair.chunk, pair.times) for pair in find_pairs(scene, short, "grid:8") if pair.target == "2"]
    assert found == [(0, times(0, 1)), (1, times(5, 6))]
    assert [pair.chunk for pair in find_pairs(scene, SIZE, "grid:8", chunks=[1])] == [1]


def test_the_longest_stretch():
    seen = times(0, 1, 3, 4, 5, 8, 9, 10)
    assert longest_stretch(times(*range(11)), seen) == times(3, 4, 5)
    assert longest_stretch(times(0, 2, 4), times(0, 2, 4)) == times(0), "every second frame is no stretch"
    assert longest_stretch(times(6, 7), seen) == ()


def test_splits(scene, tmp_path):
    assert read_split(scene, "train") == {"0": times(*range(11))}
    assert set(read_split(scene, "val")) == {"1", "2"}
    assert read_split(scene, "val")["2"] == times(0, 1, 4, 5, 6, 8, 9, 10)
    with pytest.raises(InputError, match=r"splits/mine\.json: no such file"):
        read_split(scene, "mine")


def test_without_files_of_splits_camera_0_is_train(clip, tmp_path):
    write_iphone(tmp_path / "spin", clip, splits=False)
    assert {split: set(read_split(tmp_path / "spin", split)) for split in ("train", "val")} == {
        "train": {"0"},
        "val": {"1", "2"},
    }


def test_a_test_clip_has_the_true_target_view_and_its_mask(scene, clip):
    """The picture is half of the scene's, so that maps are those of the nearest of 2x2 pixels and K is halved."""
    module = IPhoneDataModule(scene.parent, size=SIZE)
    module.setup("test")
    batches = list(module.test_dataloader())
    assert [batch.name for batch in batches] == [("apple-0_cam01",), ("apple-1_cam01",)]
    second = batches[1]
    frames = slice(5, 10)
    assert second.video.shape == (1, 2, 5, 3, 8, 12)
    wanted = torch.nn.functional.interpolate(clip.video[1, frames], (8, 12), mode="bilinear", antialias=True)
    torch.testing.assert_close(second.video[0, 1], wanted, atol=2e-2, rtol=0)
    assert bool(second.covisible[0, 0].all()), "nothing is known of the moving phone's pixels"
    near = {tuple(clip.covisible[1, 5, row::2, 0].tolist()) for row in (0, 1)}
    assert tuple(second.covisible[0, 1, 0, :, 0].tolist()) in near
    assert 0 < float(second.covisible[0, 1].float().mean()) < 1
    told = describe(second, second.name, second.video[:, 0])
    assert torch.equal(told.mask, second.covisible[:, 1]), "what masked metrics look at"
    assert float(second.depth[0, 0].max()) > 0
    torch.testing.assert_close(
        second.cameras.cam_from_world[0], clip.cameras.cam_from_world[:2, frames], atol=1e-4, rtol=0
    )
    halved = scale_intrinsics(clip.cameras.intrinsics[:2, frames], 0.5, 0.5)
    torch.testing.assert_close(second.cameras.intrinsics[0], halved, atol=1e-4, rtol=1e-5)


def test_predict_knows_the_reference_alone_and_both_cameras(scene, clip):
    module = IPhoneDataModule(scene, size=SIZE, queries="grid:2", chunks=[0])
    module.setup("predict")
    module.draw([3, 4])
    assert [(request.clip, request.camera, request.seed) for request in module.requests()] == [
        ("apple-0", "cam01", 3),
        ("apple-0", "cam01", 4),
    ]
    first = next(iter(module.predict_dataloader()))
    assert first.clip.video.shape == (1, 1, 5, 3, 8, 12)
    assert (first.camera.name, first.seed, first.item) == ("cam01", 3, "apple-0/cam01-s3")
    halved = resize_depth(clip.depth[0, :5], (8, 12))
    torch.testing.assert_close(first.clip.depth[0, 0], halved, atol=0, rtol=2e-3, msg="the moving phone's own")
    assert "source_depth" in module.requests()[0].inputs()
    pose = first.clip.cameras.cam_from_world[0]
    torch.testing.assert_close(pose[0, 0], torch.eye(4), atol=1e-5, rtol=0)
    origin = invert_pose(clip.cameras.cam_from_world[0, 0])
    torch.testing.assert_close(pose[1], clip.cameras.cam_from_world[1, :5] @ origin, atol=1e-4, rtol=0)
    (record,) = first.sources
    assert (record.frames, record.fps, record.size) == ((0, 1, 2, 3, 4), 30.0, (16, 24))
    assert module.requests()[0].inputs() == module.requests()[1].inputs(), "the seed is the model's business"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scenes": ["spin"]}, "scenes: got 'spin', want some of apple"),
        ({"queries": "mask"}, "queries: got 'mask', want 'grid:N'"),
        ({"chunks": [-1]}, r"chunks: got \[-1\]"),
        ({"chunks": [7]}, "got no chunk of 3 frames that two phones saw"),
        ({"size": VideoSize(time="spread")}, "a scene is cut into chunks"),
    ],
)
def test_bad_options(scene, options, told):
    with pytest.raises(InputError, match=told):
        IPhoneDataModule(scene, **{"size": SIZE, **options}).setup("predict")


def test_it_trains_nothing(scene):
    with pytest.raises(InputError, match="want KubricDataModule with the scenes"):
        IPhoneDataModule(scene).setup("fit")


def test_what_is_broken_is_an_item_of_its_own(clip, tmp_path):
    write_iphone(tmp_path / "apple", clip)
    (tmp_path / "apple" / "rgb" / "2x" / "1_00001.png").write_bytes(b"no picture")
    module = IPhoneDataModule(tmp_path / "apple", size=replace(SIZE, fit=FitSpec("letterbox")), chunks=[0])
    module.setup("test")
    first, second = module.test_dataloader()
    assert isinstance(first, InputError)
    assert first.item == "apple-0/cam01"
    assert "1_00001.png: cannot be read as an image" in str(first)
    assert second.name == ("apple-0_cam02",)
    (tmp_path / "apple" / "splits" / "val.json").write_text(json.dumps({"frame_names": ["one"]}))
    with pytest.raises(InputError, match=r"val\.json: frame_names: got 'one'"):
        IPhoneDataModule(tmp_path / "apple", size=SIZE).setup("test")


def test_keypoints_are_carried_between_all_pictures(scene, tmp_path):
    """Points that do not move by more than the threshold are found by standing still; one moves, one is hidden once."""
    marked = {
        "0_00000": [[1.0, 1.0, 1], [5.0, 5.0, 1], [9.0, 3.0, 1]],
        "0_00010": [[1.2, 1.0, 1], [20.0, 5.0, 1], [0.0, 0.0, 0]],
    }
    write_keypoints(scene, marked)
    found = read_keypoints(scene)
    assert (found.ids, found.visible.tolist()) == (("0_00000", "0_00010"), [[True] * 3, [True, True, False]])
    pairs, target, seen = transfer_pairs(found)
    assert pairs == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert seen.tolist() == [[True] * 3, [True, True, False], [True, True, False], [True, True, False]]
    metric = PCKT(image_size=(16, 24))  # 5 % of 24 px
    metric.update(target[None], target[None], seen[None])
    assert float(metric.compute()["pck_t"]) == 1
    metric.reset()
    metric.update(torch.stack([found.xy[first] for first, _ in pairs])[None], target[None], seen[None])
    assert float(metric.compute()["pck_t"]) == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}")
def test_the_real_splits():
    """Of paper-windmill camera 1 lacks the times 140 to 197, camera 2 those before 77 (pictures are not at hand)."""
    moving, standing = read_split(REAL, "train"), read_split(REAL, "val")
    assert {camera: len(seen) for camera, seen in {**moving, **standing}.items()} == {"0": 277, "1": 219, "2": 200}
    size = VideoSize(height=480, width=832, num_frames=81, temporal_stride=4)
    found = {
        (pair.chunk, pair.camera): (int(pair.times[0]), len(pair.times)) for pair in find_pairs(REAL, size, "grid:8")
    }
    assert found == {
        (0, "cam01"): (0, 81),
        (1, "cam01"): (81, 57),
        (1, "cam02"): (81, 81),
        (2, "cam01"): (198, 45),
        (2, "cam02"): (162, 81),
        (3, "cam01"): (243, 33),
        (3, "cam02"): (243, 33),
    }
