"""Real videos through the datamodule: made-up DAVIS trees, a video file, a folder, and the real sequences."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.davis_datamodule import DAVISDataModule
from mvt4g.data.frame_selection import FrameSelection
from mvt4g.data.loading import LoaderSpec, raise_if_error
from mvt4g.data.real_clips import RealClip
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.camera import intrinsics_from_fov
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import preset_trajectory
from mvt4g.types import Cameras, InputError
from tests.formats.layouts.reconstructions import write_depth_anything, write_megasam, write_streaming, write_vipe
from tests.made_up_davis import SQUARE, make_davis

DATA = Path(__file__).parents[3] / "shared" / "data"
SIZE = VideoSize(height=32, width=32, num_frames=3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_davis(tmp_path / "DAVIS", {"bear": (4, 64, 100), "dog": (3, 80, 48)})


def _clips(stage: str = "predict", **options: Any) -> list[RealClip]:
    module = DAVISDataModule(**{"size": SIZE, **options})
    module.setup(stage)
    loader = module.predict_dataloader() if stage == "predict" else module.test_dataloader()
    return [module.on_before_batch_transfer(batch, 0) for batch in loader]


def _path_file(path: Path, frames: int, size: tuple[int, int], fov: float = 1.0, views: int = 1) -> Path:
    intrinsics = intrinsics_from_fov(fov, *size).expand(views, frames, 3, 3)
    poses = torch.stack([invert_pose(preset_trajectory(name, frames)) for name in ("pan_left", "arc_right")][-views:])
    cameras = Cameras(poses, intrinsics)
    write_trajectory(path, cameras if views == 2 else cameras[0], size)
    return path


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_sequences_of_any_size_come_one_at_a_time_in_one_size(root: Path, stage: str) -> None:
    bear, dog = _clips(stage, root=root)
    for clip, name, source in ((bear, "bear", (64, 100)), (dog, "dog", (80, 48))):
        assert clip.clip.name == (name,)
        assert clip.sources[0].size == source
        assert clip.clip.video.shape == (1, 1, 3, 3, 32, 32)
        assert clip.clip.cameras.cam_from_world.shape == (1, 2, 3, 4, 4)
        assert clip.clip.cameras.intrinsics.shape == (1, 2, 3, 3, 3)
        assert clip.queries.shape == (1, 64, 4)
        assert clip.sources[0].frames == (0, 1, 2)
    assert bear.rule == (
        "bear: frames 0 to 2 of 4; 100x64 resized to 50x32, of which the centre 32x32 is kept; "
        "target cameras arc_left, the source frame taken to be 60 degrees wide; 64 query points on a grid over frame 0"
    )


@pytest.mark.parametrize("palette", [False, True])
def test_masks_and_mask_queries_lie_on_the_object_in_every_frame(tmp_path: Path, palette: bool) -> None:
    root = make_davis(tmp_path / "DAVIS", {"bear": (3, 64, 64)}, palette=palette)
    (clip,) = _clips(root=root, queries="mask:4")
    bright = clip.clip.video[0, 0, :, 0] > 0.6
    assert clip.clip.dynamic is not None
    assert clip.clip.instances is not None
    assert clip.clip.instances.unique().tolist() == [0, 2 if palette else 1]
    agree = (clip.clip.dynamic[0, 0] & bright).sum() / (clip.clip.dynamic[0, 0] | bright).sum()
    assert agree > 0.7
    assert clip.clip.dynamic.sum() == 3 * (SQUARE / 2) ** 2
    _, frame, x, y = clip.queries[0].T
    assert frame.tolist() == [0, 0, 0, 0]
    assert bool(clip.clip.dynamic[0, 0, 0, y.long(), x.long()].all())


def test_cameras_are_the_preset_seen_from_the_still_reference(root: Path) -> None:
    camera = CameraAssumption(fov_deg=50.0, strength=0.5, scale=2.0)
    clip = _clips(root=root, trajectory="translate_up", camera=camera, sequences=["dog"])[0]
    cam_from_world = clip.clip.cameras.cam_from_world[0]
    torch.testing.assert_close(cam_from_world[0], torch.eye(4).expand(3, 4, 4))
    want = preset_trajectory("translate_up", 3, 0.5, 2.0)
    torch.testing.assert_close(invert_pose(cam_from_world[1]), want, atol=1e-6, rtol=0)
    intrinsics = clip.clip.cameras.intrinsics[0]
    focal = 24 / math.tan(math.radians(25)) * 32 / 48  # 80x48 (h x w) becomes 53x32: the width is kept whole
    torch.testing.assert_close(intrinsics[:, :, 0, 0], torch.full((2, 3), focal))
    torch.testing.assert_close(intrinsics[:, :, 0, 2], torch.full((2, 3), 16.0))


def test_each_video_has_its_own_cameras(root: Path, tmp_path: Path) -> None:
    _path_file(tmp_path / "bear.json", 4, (64, 100), views=2)  # a pose a frame; that of the reference is taken
    _path_file(tmp_path / "dog.json", 3, (80, 48), fov=1.5)
    (tmp_path / "move.json").write_text('{"relative_to": "source_frames", "moves": [{"kind": "truck", "distance": 1}]}')
    camera = CameraAssumption(source=str(tmp_path / "{name}.json"))
    bear, dog = _clips(root=root, trajectory=str(tmp_path / "move.json"), camera=camera)
    for clip, name in ((bear, "pan_left"), (dog, "arc_right")):
        world_from_cam = invert_pose(clip.clip.cameras.cam_from_world[0])
        torch.testing.assert_close(world_from_cam[0], preset_trajectory(name, 4 if clip is bear else 3)[:3])
        moved = torch.eye(4).repeat(3, 1, 1)
        moved[:, 0, 3] = torch.tensor([0, 0.5, 1])
        torch.testing.assert_close(world_from_cam[1], world_from_cam[0] @ moved, atol=1e-6, rtol=0)
    focals = [clip.clip.cameras.intrinsics[0, 0, 0, 0, 0].item() for clip in (bear, dog)]
    widths = [100 * 32 / 64, 32]  # of the whole resized frame: 64x100 becomes 32x50, 80x48 becomes 53x32
    want = [width / 2 / math.tan(fov / 2) for width, fov in zip(widths, (1.0, 1.5), strict=True)]
    assert focals == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(
    ("layout", "write"),
    [
        ("vipe", lambda folder: write_vipe(folder).rename(folder / "pose" / "bear.npz")),
        ("depth_anything_3", write_depth_anything),
        ("depth_anything_3", write_streaming),
        ("megasam", write_megasam),
    ],
)
def test_the_sources_cameras_from_other_programs(tmp_path: Path, layout: str, write: Any) -> None:
    """Their videos are 6x8 (h x w), DAVIS's bear 64x100: K of the first goes to the other in shares of both sides."""
    place = str(write(tmp_path)).replace("bear", "{name}")
    if layout == "vipe":  # lenses are found by the video's name too
        for kind in ("intrinsics/clip.npz", "depth/clip.zip"):
            (tmp_path / kind).rename(tmp_path / kind.replace("clip", "bear"))
        write_video(tmp_path / "rgb" / "bear.mp4", torch.rand(2, 3, 6, 8), 8.0)
    camera = CameraAssumption(source=place, source_layout=layout)
    root = make_davis(tmp_path / "DAVIS", {"bear": (5, 64, 100)})
    (bear,) = _clips(root=root, camera=camera, trajectory="cam01", size=VideoSize(64, 100, 3))
    lens = bear.clip.cameras.intrinsics[0, :, 0]
    want = torch.tensor([[10 * 100 / 8, 0, 50], [0, 11 * 64 / 6, 32], [0, 0, 1]])
    torch.testing.assert_close(lens, want.expand(2, 3, 3))
    reference = invert_pose(bear.clip.cameras.cam_from_world[0, 0])
    assert float(reference[-1, 0, 3]) < -0.5, "arc_left goes to the left"
    assert ("the scale is not known" in bear.rule) == (layout != "vipe")
    assert "camera.fov_deg" not in bear.rule


@pytest.mark.parametrize(
    ("source", "sequences", "fault"),
    [
        ("bear.json", [], r"camera.source: got .*bear.json for 2 videos, want \{name\} in it"),
        ("{name}.json", ["bear"], r"bear.json: no such file"),
        ("small.json", ["bear"], r"small.json, arc_left: image_size: got \[10, 10\], want \[64, 100\]"),
    ],
)
def test_cameras_of_no_or_another_video_are_refused(root, tmp_path, source, sequences, fault) -> None:
    _path_file(tmp_path / "small.json", 4, (10, 10))
    camera = CameraAssumption(source=str(tmp_path / source))
    with pytest.raises(InputError, match=fault):
        _clips(root=root, camera=camera, sequences=sequences)


def test_each_video_has_its_own_depth_framed_and_chosen_as_its_frames_are(root: Path, tmp_path: Path) -> None:
    """Inverse depth that rises along x, in maps of half the video's size; frame 1 of 4 is the first that is kept."""
    for name, (frames, height, width) in {"bear": (4, 64, 100), "dog": (3, 80, 48)}.items():
        inverse = 0.2 + 0.1 * (np.arange(width // 2) + 0.5) / (width // 2)
        depth = np.broadcast_to((1 + np.arange(frames))[:, None, None] / inverse, (frames, height // 2, width // 2))
        np.savez(tmp_path / f"{name}.npz", depth=depth.astype(np.float32))
    size = VideoSize(height=32, width=32, num_frames=2, frames=FrameSelection(start=1))
    camera = CameraAssumption(depth=str(tmp_path / "{name}.npz"))
    bear, dog = _clips(root=root, camera=camera, size=size)
    assert bear.clip.depth is not None
    assert dog.clip.depth is not None
    assert bear.clip.depth.shape == dog.clip.depth.shape == (1, 1, 2, 32, 32)
    # 100 columns become 50, of which 9 to 41 are kept; 48 become 32.
    for clip, left, columns in ((bear, 9, 50), (dog, 0, 32)):
        inverse = 0.2 + 0.1 * (left + torch.arange(32) + 0.5) / columns
        wanted = torch.stack([2 / inverse, 3 / inverse])
        torch.testing.assert_close(clip.clip.depth[0, 0, :, 7, 1:-1], wanted[:, 1:-1], rtol=1e-5, atol=0)
    assert f"depth of {tmp_path}" in bear.rule


def test_depth_of_another_length_or_of_nobody_is_refused(root: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "bear.npz", depth=np.ones((3, 64, 100), np.float32))
    bear = CameraAssumption(depth=str(tmp_path / "bear.npz"))
    module = DAVISDataModule(root=root, sequences=["bear"], camera=bear, size=SIZE)
    module.setup("predict")
    assert "got float32 of shape (3, 64, 100), want floating-point numbers of shape (4, h, w)" in str(
        module.asked_views()[0]
    )
    with pytest.raises(InputError, match=r"camera\.depth: got .* for 2 videos, want \{name\} in it"):
        _clips(root=root, camera=bear)
    gone = CameraAssumption(depth=str(tmp_path / "{name}-depth.npz"))
    module = DAVISDataModule(root=root, sequences=["dog"], camera=gone, size=SIZE)
    module.setup("predict")
    (request,) = module.requests()
    with pytest.raises(InputError, match=r"dog-depth\.npz: no such file, want the depth of dog"):
        request.inputs()


def test_results_depend_on_the_depth(root: Path, tmp_path: Path) -> None:
    digests = set()
    for value in (1.0, 2.0, 1.0):
        np.savez(tmp_path / "dog.npz", depth=np.full((3, 80, 48), value, np.float32))
        camera = CameraAssumption(depth=str(tmp_path / "{name}.npz"))
        module = DAVISDataModule(root=root, sequences=["dog"], camera=camera, size=SIZE)
        module.setup("predict")
        digests.add(module.requests()[0].inputs()["source_depth"]["sha256"])
    assert len(digests) == 2


def test_a_video_file_and_a_folder_of_frames_serve_too(root: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "walk.mp4", torch.rand(6, 3, 40, 64), 12.0)
    (film,) = _clips(video=tmp_path / "walk.mp4", size=VideoSize(32, 32, 3, time="spread"))
    assert film.clip.name == ("walk",)
    assert film.clip.fps == pytest.approx((2 / (5 / 12),)), "the rate of the frames kept, by their times"
    assert film.sources[0].fps == 12.0
    assert film.sources[0].frames[::2] == (0, 5)
    assert film.sources[0].times_s[::2] == pytest.approx((0, 5 / 12))
    assert film.sources[0].path == tmp_path / "walk.mp4"
    assert film.clip.dynamic is None
    (folder,) = _clips(video=root / "JPEGImages/480p/dog")
    assert folder.clip.name == ("dog",)
    torch.testing.assert_close(folder.clip.video, _clips(root=root, sequences=["dog"])[0].clip.video)


def test_a_shorter_video_gives_what_it_has(tmp_path: Path) -> None:
    write_video(tmp_path / "short.mp4", torch.rand(7, 3, 32, 32), 12.0)
    (clip,) = _clips(video=tmp_path / "short.mp4", size=VideoSize(32, 32, 17, temporal_stride=4))
    assert clip.clip.video.shape[2] == 5
    assert "frames 0 to 4 of 7; 32x32 as it is" in clip.rule


def test_a_trajectory_file_has_a_pose_for_each_frame_kept_or_for_each_of_the_source(root: Path, tmp_path: Path) -> None:
    spread = {"root": root, "sequences": ["bear"], "size": VideoSize(32, 32, 2, time="spread")}
    for frames, chosen in ((2, [0, 1]), (4, [0, 3])):
        path = _path_file(tmp_path / f"{frames}.json", frames, (64, 100))
        (clip,) = _clips(**spread, trajectory=str(path))
        want = preset_trajectory("arc_right", frames)[chosen]
        torch.testing.assert_close(invert_pose(clip.clip.cameras.cam_from_world[0, 1]), want, atol=1e-6, rtol=0)
    three = _path_file(tmp_path / "3.json", 3, (64, 100))
    with pytest.raises(InputError, match=r"3\.json: got 3 poses, want 2, one per frame kept, or 4, one per frame of"):
        _clips(**spread, trajectory=str(three))


def test_a_file_of_both_views_is_read_from_the_references_first_frame(root: Path, tmp_path: Path) -> None:
    path = _path_file(tmp_path / "both.json", 3, (32, 32), views=2)
    (clip,) = _clips(root=root, sequences=["dog"], trajectory=str(path))
    reference, target = invert_pose(clip.clip.cameras.cam_from_world[0])
    torch.testing.assert_close(reference, preset_trajectory("pan_left", 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(target, preset_trajectory("arc_right", 3), atol=1e-6, rtol=0)
    assert f"cameras of {path}" in clip.rule


def test_intrinsics_of_a_file_follow_the_video(root: Path, tmp_path: Path) -> None:
    of_model = _path_file(tmp_path / "model.json", 3, (32, 32))
    of_source = _path_file(tmp_path / "source.json", 3, (80, 48))
    of_neither = _path_file(tmp_path / "neither.json", 3, (100, 100))
    dog = {"root": root, "sequences": ["dog"]}
    for path, focal in ((of_model, 16 / math.tan(0.5)), (of_source, 24 / math.tan(0.5) * 32 / 48)):
        (clip,) = _clips(**dog, trajectory=str(path))
        torch.testing.assert_close(clip.clip.cameras.intrinsics[0, 1, :, 0, 0], torch.full((3,), focal))
    with pytest.raises(InputError, match=r"neither\.json: image_size: got \[100, 100\], want \[80, 48\], the video's"):
        _clips(**dog, trajectory=str(of_neither))


def test_query_files_are_in_pixels_of_the_source(root: Path, tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text(json.dumps([[0, 50, 32], [2, 52, 32], [0, 1, 1]]))
    (clip,) = _clips(root=root, sequences=["bear"], queries=str(tmp_path / "q.json"))
    torch.testing.assert_close(clip.queries, torch.tensor([[[0.0, 0.0, 16.0, 16.0], [0.0, 2.0, 17.0, 16.0]]]))
    assert clip.query_rows.tolist() == [[0, 1]]
    assert clip.rule.endswith("2 of 3 query points of q.json, 1 lie in what is cut away")
    (tmp_path / "q.json").write_text(json.dumps([[0, 50, 32], [0, 100, 1]]))
    with pytest.raises(InputError, match=r"q\.json: query 1: got x 100, want 0 <= x < 100"):
        _clips(root=root, sequences=["bear"], queries=str(tmp_path / "q.json"))


def test_a_mask_on_the_first_frame_alone_still_gives_queries(root: Path) -> None:
    for frame in (1, 2, 3):
        (root / f"Annotations/480p/bear/0000{frame}.png").unlink()
    (clip,) = _clips(root=root, sequences=["bear"], queries="mask:4")
    assert clip.queries.shape == (1, 4, 4)
    assert clip.clip.dynamic is None
    shutil.rmtree(root / "Annotations")
    with pytest.raises(InputError, match=r"bear: queries: got 'mask' without masks, want 'grid:N' or a file"):
        _clips(root=root, sequences=["bear"], queries="mask:4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "data.root, data.video: got None and None, want one of them"),
        ({"video": Path("none.mp4")}, r"none\.mp4: no such file"),
        ({"video": Path("."), "sequences": ["dog"]}, r"data.sequences: got \['dog'\] with data.video"),
        ({"root": Path("none")}, "none: got no JPEGImages folder"),
        ({"root": None, "video": None, "queries": "grid"}, "data.root"),
    ],
)
def test_places_that_are_not_there_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _clips(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectory": "arc"}, "trajectory: got 'arc', want a .json file, cam01 to cam10, or one of pan_right"),
        ({"trajectory": "none.json"}, r"none\.json: no such file"),
        ({"queries": "everywhere"}, "queries: got 'everywhere', want"),
        ({"queries": "none.csv"}, r"none\.csv: no such file"),
        ({"size": VideoSize(32, 32, 9, temporal_stride=4)}, "got 4 frames, want at least 5"),
        ({"sequences": ["wolf"]}, "got no sequence or set 'wolf'"),
    ],
)
def test_bad_options_are_named_before_a_frame_is_read(root: Path, options: dict[str, Any], message: str) -> None:
    module = DAVISDataModule(root=root, **{"size": SIZE, **options})
    with pytest.raises(InputError, match=message):
        module.setup("predict")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_frame_crosses_workers_as_one_line(root: Path, workers: int) -> None:
    broken = root / "JPEGImages/480p/bear/00001.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    loader = LoaderSpec(num_workers=workers, persistent_workers=False)
    with pytest.raises(InputError, match=r"bear/00001\.jpg: cannot be read as an image") as caught:
        _clips(root=root, loader=loader)
    assert "\n" not in str(caught.value)


def test_masks_of_another_size_are_named(root: Path) -> None:
    for frame in range(3):
        name = f"Annotations/480p/{{}}/0000{frame}.png"
        shutil.copy(root / name.format("dog"), root / name.format("bear"))
    with pytest.raises(InputError, match=r"bear/00000\.png: got a mask of 48x80, want 100x64 as the frames have"):
        _clips(root=root, sequences=["bear"])


@pytest.mark.parametrize("stage", ["fit", "validate"])
def test_there_is_nothing_to_train_on(root: Path, stage: str) -> None:
    with pytest.raises(InputError, match=f"got DAVISDataModule for {stage}, want KubricDataModule"):
        DAVISDataModule(root=root).setup(stage)


def test_a_batch_moves_with_all_its_tensors(root: Path) -> None:
    clip = _clips(root=root)[0].to("meta")
    assert {clip.clip.video.device.type, clip.queries.device.type, clip.clip.cameras.intrinsics.device.type} == {"meta"}
    assert clip.rule.startswith("bear")
    assert raise_if_error(clip) is clip


@pytest.mark.skipif(not (DATA / "DAVIS").is_dir(), reason=f"no real data in {DATA}")
def test_real_davis() -> None:
    clips = _clips("test", root=DATA / "DAVIS", size=VideoSize(), queries="mask")
    assert [clip.clip.name for clip in clips] == [("car-shadow",), ("dance-twirl",), ("dog",)]
    for clip in clips:
        assert clip.sources[0].size == (480, 854)
        assert clip.clip.video.shape == (1, 1, 5, 3, 64, 64)
        assert clip.clip.dynamic is not None
        assert 0.05 < float(clip.clip.dynamic.float().mean()) < 0.5
        _, frame, x, y = clip.queries[0].T.long()
        assert bool(clip.clip.dynamic[0, 0, frame, y, x].all())


def test_clips_need_no_pyav_until_a_video_file_is_read() -> None:
    """The system names ``RealClip``, and a training box has no PyAV."""
    code = "import sys, mvt4g.data.real_clips; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
