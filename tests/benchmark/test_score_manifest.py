"""``score`` on videos of ``benchmark generate``: frames, crop, cameras and convention are those of the manifest."""

from pathlib import Path

import pytest
import torch

from mvt4g.benchmark.aligned_video import NotScored, align_video, scored_frames, shape_of
from mvt4g.benchmark.asked_cameras import AskedSpec
from mvt4g.benchmark.found_videos import FoundVideo, find_methods
from mvt4g.benchmark.known_clips import KnownClip, Sources
from mvt4g.benchmark.layout_choice import LayoutChoice
from mvt4g.benchmark.made_sources import check_made_from, known_clip
from mvt4g.benchmark.manifest import Manifest, write_manifest
from mvt4g.benchmark.records import VideoPlace, entries_of
from mvt4g.benchmark.score import main
from mvt4g.benchmark.score_files import read_methods, read_video_rows
from mvt4g.data.camera_paths import CameraAssumption, CameraChoice, KeptFrames
from mvt4g.data.source_record import SourceRecord
from mvt4g.data.video_source import open_video
from mvt4g.formats.checksums import sha256_of_all
from mvt4g.formats.trajectory_json import write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.geometry.framing import Framing, Window
from mvt4g.geometry.pose import invert_pose
from mvt4g.geometry.trajectories import benchmark_trajectory
from mvt4g.types import Cameras
from tests.made_up_davis import make_davis

SOURCE, SIZE = (20, 32), (16, 24)
FRAMING = Framing(SOURCE, SIZE, Window(0, 0, *SOURCE), SOURCE, (4, 8))
"""The lower right corner: no layout cuts so."""
KEPT = (1, 3, 5)
CAMERA = CameraAssumption(strength=0.5, scale=4.0)


def pictures(seed: int) -> torch.Tensor:
    """Return seven frames that no other frame or crop looks like."""
    coarse = torch.rand(7, 3, 5, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SOURCE, mode="bilinear")


@pytest.fixture
def made(tmp_path) -> Path:
    """A method's folder as the writer leaves it, of the right part of three frames of the source from cam05."""
    source = tmp_path / "sources" / "dog.mp4"
    write_video(source, pictures(0), 8, crf=1)
    opened = open_video(source)
    record = opened.record(KEPT, FRAMING)
    place = VideoPlace(tmp_path / "videos" / "mine", "dog_cam05")
    place.write({}, _entry(record, CameraChoice.parse("cam05").sentence(KeptFrames.of(opened, KEPT), CAMERA)), _files)
    write_manifest(place.folder, Manifest("mine", entries_of(place.folder)))
    return place.folder


def _entry(record: SourceRecord, of_cameras: str) -> dict[str, object]:
    """Return an entry of the manifest, without what the writer measures."""
    source = {"path": str(record.path), "sha256": sha256_of_all([record.path]), "size": SOURCE, "fps": record.fps}
    asked = {"file": "dog_cam05.mp4", "clip": "dog", "camera": "cam05", "seed": 0}
    taken = {"frames": record.frames, "times_s": record.times_s, "fps": 4.0, "size": SIZE, "source": source}
    shape = {"crop_xyxy": record.crop_xyxy, "scale_xy": record.scale_xy}
    rule = f"dog: frames 1, 3, 5 of 7; {FRAMING.sentence()}; {of_cameras}; 1 query point"
    cameras = {"convention": "source_start", "cameras": "cameras/dog_cam05.json", "rule": rule}
    run = {"checkpoint": None, "sampler": "EulerSampler", "steps": 1, "versions": {}}
    return asked | taken | shape | cameras | run


def _files(video: Path, cameras: Path) -> None:
    write_video(video, FRAMING.video(pictures(0)[list(KEPT)]), 4, crf=1)
    target = benchmark_trajectory("cam05", len(KEPT), strength=0.5, scale=4.0)
    lens = torch.tensor([[20.0, 0.0, 12.0], [0.0, 20.0, 8.0], [0.0, 0.0, 1.0]]).expand(2, len(KEPT), 3, 3)
    poses = torch.stack([torch.eye(4).expand(len(KEPT), 4, 4), invert_pose(target).float()])
    write_trajectory(cameras, Cameras(poses, lens), SIZE)


def test_frames_crop_and_cameras_are_the_manifests(made, tmp_path):
    (method,) = find_methods(made.parent, LayoutChoice())
    (video,) = method.videos
    clip = Sources.find(tmp_path / "sources").clip("dog", "cam05")
    shape = shape_of(video, method.layout)
    frames = scored_frames(method.layout, video, shape, clip)
    assert (frames.output, frames.source) == ((0, 1, 2), KEPT)
    aligned = align_video(method, video, shape, clip, frames)
    shown = aligned.videos.reference.video
    assert shown is not None
    assert float((shown - aligned.videos.video).abs().mean()) < 0.02, "the same frames and the same part of them"
    asked = AskedSpec().path(method, video, aligned).world_from_cam
    assert asked is not None
    wanted = benchmark_trajectory("cam05", len(KEPT), strength=0.5, scale=4.0).double()
    torch.testing.assert_close(asked, wanted, atol=1e-5, rtol=0)
    assert float((wanted - benchmark_trajectory("cam05", len(KEPT))).abs().max()) > 0.1, "another than the name says"


def test_convention_and_scale_are_those_of_its_rule(made, tmp_path, capsys):
    options = ["--out", str(tmp_path / "out"), "--sources", str(tmp_path / "sources")]
    assert main([str(made.parent), *options]) == 0
    facts = read_methods(tmp_path / "out")["methods"]["mine"]
    said = "target cameras cam05, 0.5 times its motion, 4 scene units a metre"
    printed = capsys.readouterr().out
    for fact in ("convention", "scale"):
        assert f"by the manifest, as {said}" in facts[fact]
        assert f"{fact}: {facts[fact]}" in printed
    assert "relative to the source's first camera: the source's motion is not kept" in facts["convention"]
    for wrong in ("metres, as asked", "the whole motion", "query point"):
        assert wrong not in facts["convention"] + facts["scale"]
    assert "frames 1, 3, 5 of 7" in facts["frame_map"]


def test_another_source_is_told_of_and_not_scored(made, tmp_path, capsys):
    """Of the same size and length, so that nothing but its checksum tells it from the right one."""
    write_video(tmp_path / "sources" / "dog.mp4", pictures(1), 8, crf=1)
    options = ["--out", str(tmp_path / "out"), "--sources", str(tmp_path / "sources")]
    assert main([str(made.parent), *options]) == 2
    (row,) = read_video_rows(tmp_path / "out")
    assert row.status == "failed"
    assert "dog.mp4: got sha256" in row.reason
    assert "the video was made from another source" in row.reason
    (line,) = capsys.readouterr().err.splitlines()
    assert row.reason in line


def test_a_source_where_the_manifest_says_counts_only_if_it_is_the_same(made, tmp_path, capsys):
    (method,) = find_methods(made.parent, LayoutChoice())
    (video,) = method.videos
    assert known_clip(video, Sources()) is not None
    write_video(tmp_path / "sources" / "dog.mp4", pictures(1), 8, crf=1)
    assert known_clip(video, Sources()) is None
    assert main([str(made.parent), "--out", str(tmp_path / "out")]) == 0
    notes = read_methods(tmp_path / "out")["methods"]["mine"]["notes"]
    assert notes == ["no source, or another one, where the manifest says: dog"]


def test_a_davis_sequence_is_itself_as_a_folder_of_frames_too(tmp_path):
    """Its checksum is of frames and masks, that of the folder alone of the frames."""
    root = make_davis(tmp_path / "DAVIS", {"dog": (2, 16, 24)})
    frames = root / "JPEGImages" / "480p" / "dog"
    in_davis = Sources.find(root).clip("dog", "cam05")
    alone = KnownClip("dog", (), frames)
    assert in_davis is not None
    for maker in (in_davis, alone):
        assert maker.reference is not None
        digest = sha256_of_all(maker.reference.files)
        video = FoundVideo("dog", "cam05", made={"source": {"path": str(frames), "sha256": digest}})
        for clip in (in_davis, alone, known_clip(video, Sources())):
            assert clip is not None
            check_made_from(video, clip)
    (frames / "00001.jpg").write_bytes((frames / "00000.jpg").read_bytes())
    with pytest.raises(NotScored, match=r"dog: got sha256 \w+\.\.\., want"):
        check_made_from(video, in_davis)
