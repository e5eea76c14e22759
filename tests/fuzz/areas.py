"""What is fed with broken input: every reader of files, in the way its users reach it."""

import pickle
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from experiments.sweep_file import SweepFile
from mvt4g.cli import main
from mvt4g.commands.compare_probes import compare_probes
from mvt4g.commands.precompute import CacheSpec, precompute
from mvt4g.data.davis_datamodule import DAVISDataModule
from mvt4g.data.generated_datamodule import GeneratedFolders
from mvt4g.data.latent_clips import open_latents
from mvt4g.data.video_pair_datamodule import VideoPairDataModule
from mvt4g.data.video_size import VideoSize
from mvt4g.formats.captions import read_captions
from mvt4g.formats.images import read_frames, read_mask
from mvt4g.formats.latent_file import prompt_path, read_prompt, write_prompt
from mvt4g.formats.readers.colmap import read_colmap_poses
from mvt4g.formats.readers.pose_files import read_depth_anything_poses, read_vipe_poses
from mvt4g.formats.track_files import TrackFile, check_queries, read_queries, read_tracks, write_tracks
from mvt4g.formats.trajectory_json import read_views, write_trajectory
from mvt4g.formats.video import probe_video, read_video, write_video
from mvt4g.formats.weights import write_weights
from mvt4g.metrics.providers.weights import load_strict, read_state_dict
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.checkpoints import load_weights
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import Cameras, InputError, MultiViewClip
from tests.commands.conftest import SCENE
from tests.formats.layouts.multicamvideo import write_multicamvideo
from tests.formats.readers.test_colmap import _binary as write_colmap_binary
from tests.formats.readers.test_colmap import _text as write_colmap_text
from tests.formats.readers.test_registry import WRITERS
from tests.fuzz.harness import Case
from tests.fuzz.mutations import evil_pickles, mutate_bytes, mutate_tree
from tests.made_up_davis import make_davis
from tests.models.small_backbones import GRID, loud_backbone, small_config

Make = Callable[[random.Random, Path, Path, bool], Case]


@dataclass(frozen=True)
class Area:
    """One kind of input.

    Attributes:
        name: In the table.
        cases: Of the long run.
        prepare: Writes what its cases start from, once.
        make: Makes a case in an empty folder from what ``prepare`` wrote; a case that is to be valid is left as it is.
    """

    name: str
    cases: int
    prepare: Callable[[Path], Any]
    make: Make


def files(
    name: str,
    cases: int,
    prepare: Callable[[Path], Any],
    read: Callable[[Path], Any],
    patterns: tuple[str, ...] = ("*",),
    special: Callable[[random.Random, Path], str | None] = lambda draw, data: None,
) -> Area:
    """Return an area whose cases are copies of files, one of which is broken.

    Args:
        name: In the table.
        cases: Of the long run.
        prepare: Writes the files into a folder.
        read: Reads them all.
        patterns: Files that are broken.
        special: Breaks the files in a way of this area's own, or returns None.
    """

    def make(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
        data = folder / "data"
        shutil.copytree(base, data, symlinks=True)
        if valid:
            return Case("", lambda: read(data))
        told = special(draw, data) if draw.random() < 0.3 else None
        return Case(told or mutate_tree(draw, data, patterns), lambda: read(data))

    return Area(name, cases, prepare, make)


def small_clip() -> MultiViewClip:
    """Return a clip of two views and three frames."""
    scene = SceneSpec(num_frames=3, image_size=(24, 32), num_views=2, points=PointSpec(count=24))
    return generate_clip(scene, 0, 1)


def _moving(seed: int, frames: int = 5, height: int = 32, width: int = 48) -> torch.Tensor:
    low = torch.rand(frames, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(low, (height, width), mode="bilinear", align_corners=False)


def _cameras(frames: int = 5) -> Cameras:
    pose = torch.eye(4).repeat(2, frames, 1, 1)
    pose[1, :, 0, 3] = torch.arange(frames).float()
    intrinsics = torch.tensor([[40.0, 0, 24], [0, 40, 16], [0, 0, 1]]).repeat(2, frames, 1, 1)
    return Cameras(pose, intrinsics)


def _raised(item: Any) -> Any:
    if isinstance(item, InputError):
        raise item
    return item


# ---- text and tables


def _write_trajectories(folder: Path) -> None:
    write_trajectory(folder / "both.json", _cameras(), (32, 48))
    write_trajectory(folder / "one.json", _cameras()[0], (32, 48))
    write_multicamvideo(folder / "f24_aperture5" / "scene", small_clip())
    shutil.rmtree(folder / "f24_aperture5" / "scene" / "videos")


def _read_trajectories(folder: Path) -> None:
    read_views(folder / "both.json")
    read_views(folder / "one.json")
    for path in folder.rglob("camera_extrinsics.json"):
        read_views(path, "cam01")
    if not any(folder.rglob("camera_extrinsics.json")):
        raise InputError("camera_extrinsics.json: gone")


def _write_queries(folder: Path) -> None:
    (folder / "q.csv").write_text("view,frame,x,y\n0,0,21.5,2.5\n1,2,23.5,4.25\n0,4,30.0,30.0\n")
    (folder / "q.json").write_text('{"queries": [[0, 0, 21.5, 2.5], [1, 2, 23.5, 4.25]]}')
    np.savez(folder / "q.npz", queries=np.array([[0, 1.5, 2.5], [4, 3.5, 4.5]]))


def _read_queries(folder: Path) -> None:
    for name in ("q.csv", "q.json", "q.npz"):
        check_queries(read_queries(folder / name), 2, 5, 32, 48, name)


def _write_captions(folder: Path) -> None:
    rows = ["file_name,text", 'f18/scene1/videos/cam01.mp4,"A man walks, slowly."', "bear.mp4,A bear.", "cat.mp4,Cats."]
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")


def _write_tracks(folder: Path) -> None:
    content = TrackFile(
        torch.rand(2, 5, 3, 2) * 20, torch.rand(2, 5, 3) > 0.5, torch.tensor([[0.0, 0, 1, 2]] * 3), (32, 48),
        torch.rand(2, 5, 3),
    )  # fmt: skip
    write_tracks(folder / "tracks.npz", content)
    write_tracks(folder / "tracks.json", content)


def _write_poses(folder: Path) -> None:
    (folder / "text").mkdir()
    (folder / "binary").mkdir()
    write_colmap_text(folder / "text")
    write_colmap_binary(folder / "binary")
    poses = torch.eye(4).repeat(3, 1, 1).numpy()
    np.savez(folder / "vipe.npz", data=poses, inds=np.arange(3))
    np.savez(folder / "lens.npz", data=np.tile([300.0, 300, 160, 120], (3, 1)), inds=np.arange(3))
    np.savez(folder / "da3.npz", extrinsics=poses[:, :3], intrinsics=np.tile(np.eye(3) * 300, (3, 1, 1)))


def _read_poses(folder: Path) -> None:
    read_colmap_poses(folder / "text")
    read_colmap_poses(folder / "binary")
    read_vipe_poses(folder / "vipe.npz", folder / "lens.npz")
    read_depth_anything_poses(folder / "da3.npz")


# ---- pictures and videos


def _write_images(folder: Path) -> None:
    (folder / "frames").mkdir()
    for number, suffix in enumerate(("png", "jpg", "webp", "bmp")):
        picture = (_moving(number, 1)[0].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(picture).save(folder / "frames" / f"{number:03d}.{suffix}")
    mask = Image.fromarray(np.eye(32, 48, dtype=np.uint8)).convert("P")
    mask.save(folder / "mask.png")


def _read_images(folder: Path) -> None:
    found = read_frames(folder / "frames")
    if len(found) != 4:
        raise InputError("frames: one is gone")
    read_mask(folder / "mask.png")


def _png_of(width: int, height: int) -> bytes:
    """Return a PNG that says it has this size, and has next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _odd_image(draw: random.Random, folder: Path) -> str:
    path = folder / draw.choice(["frames/000.png", "frames/001.jpg", "mask.png"])
    kinds: dict[str, Callable[[], Any]] = {
        "PNG of 30000x30000": lambda: path.write_bytes(_png_of(30000, 30000)),
        "PNG of 2**31 rows": lambda: path.write_bytes(_png_of(4, 2**31 - 1)),
        "PNG of 0x0": lambda: path.write_bytes(_png_of(0, 0)),
        "a whole PNG of 12000x12000": lambda: Image.new("1", (12000, 12000)).save(path, "PNG"),
        "PostScript": lambda: path.write_bytes(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 32\n(ran.mark) (w) file closefile\nshowpage\n"
        ),
        "GIF": lambda: Image.new("P", (48, 32)).save(path, "GIF"),
        "16 bits": lambda: Image.fromarray(np.zeros((32, 48), np.uint16)).save(path, "PNG"),
        "another size": lambda: Image.new("RGB", (8, 8)).save(path, "PNG"),
    }
    kind = draw.choice(sorted(kinds))
    kinds[kind]()
    return f"{path.name}: {kind}"


_VIDEOS = ("a.mp4", "a.mkv", "a.mov", "a.avi", "a.webm")


def _write_videos(folder: Path) -> None:
    import av

    codecs = {"a.mp4": "libx264", "a.mkv": "ffv1", "a.mov": "mpeg4", "a.avi": "mjpeg", "a.webm": "libvpx-vp9"}
    for name, codec in codecs.items():
        with av.open(folder / name, "w") as container:
            stream = container.add_stream(codec, rate=8)
            stream.width, stream.height = 48, 32
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.thread_count = 1
            for picture in (_moving(1).permute(0, 2, 3, 1) * 255).byte().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())


def _make_video(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    name = draw.choice(_VIDEOS)
    path = folder / name
    shutil.copy(base / name, path)
    told = "" if valid else f"{name}: {mutate_bytes(draw, path)}"
    return Case(told, lambda: (probe_video(path), read_video(path)))


def _write_davis(folder: Path) -> None:
    make_davis(folder / "davis", {"bear": (5, 32, 48), "walk": (5, 32, 48)}, palette=True)
    (folder / "davis" / "ImageSets" / "2017").mkdir(parents=True)
    (folder / "davis" / "ImageSets" / "2017" / "val.txt").write_text("bear\nwalk\n")


def _read_davis(folder: Path) -> None:
    size = VideoSize(height=32, width=32, num_frames=5)
    data = DAVISDataModule(root=folder / "davis", queries="mask:4", size=size, sequences=("val",))
    data.setup("predict")
    assert data.clips is not None
    for index in range(len(data.clips)):
        _raised(data.clips[index])


def _write_pair(folder: Path) -> None:
    write_video(folder / "a.mp4", _moving(1), 8)
    write_video(folder / "b.mp4", _moving(2), 8)
    write_trajectory(folder / "cameras.json", _cameras(), (32, 48))
    _write_queries(folder)


def _read_pair(folder: Path) -> None:
    size = VideoSize(height=32, width=32, num_frames=5)
    for queries in ("q.csv", "q.json"):
        data = VideoPairDataModule(
            folder / "a.mp4", folder / "b.mp4", folder / "cameras.json", str(folder / queries), size
        )
        data.setup("predict")
        assert data.pair is not None
        _raised(data.pair[0])


# ---- clips


def _write_formats(folder: Path) -> None:
    clip = generate_clip(replace(SceneSpec.nano(), image_size=(36, 48)), 0, 1)
    for name, (write, _) in WRITERS.items():
        write(folder / name, clip)


def _make_format(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    name = draw.choice([name for name in sorted(WRITERS) if name != "clip_cache"])
    data = folder / "data"
    shutil.copytree(base / name, data)
    told = "" if valid else f"{name}: {mutate_tree(draw, data)}"
    return Case(told, lambda: main(["validate-clips", str(data), "--format", name, "--sheet", "null"]))


def _make_cache(draw: random.Random, base: Path, folder: Path, valid: bool) -> Case:
    data = folder / "data"
    shutil.copytree(base / "clip_cache", data)
    told = "" if valid else mutate_tree(draw, data)
    return Case(told, lambda: main(["validate-clips", str(data), "--sheet", "null"]))


def _write_generated(folder: Path) -> None:
    clip = folder / "dog"
    for number, name in enumerate(("generated", "target", "reference")):
        write_video(clip / f"{name}.mp4", _moving(number), fps=8)
    write_trajectory(clip / "cameras.json", _cameras(), (32, 48))
    depth = np.full((5, 32, 48), 2.0)
    np.savez(clip / "depth.npz", target=depth, reference=depth + 1)
    np.savez_compressed(clip / "dynamic.npz", reference=depth > 1)
    np.savez(clip / "mask.npz", target=depth > 1)


def _read_generated(folder: Path) -> None:
    videos = GeneratedFolders(folder)
    for index in range(len(videos)):
        _raised(videos[index])


def _write_latents(folder: Path) -> None:
    scene = SceneSpec(num_frames=1, image_size=(8, 8), num_views=3, points=PointSpec(count=4))
    precompute(folder / "cache", scene=scene, cache=CacheSpec(most=2, seed=3), device="cpu")
    for prompt in ("", "a"):  # the clips have no caption
        write_prompt(prompt_path(folder / "cache", prompt), prompt, torch.rand(3, 16))


def _read_latents(folder: Path) -> None:
    clips = open_latents(folder / "cache")
    for index in range(len(clips)):
        clips.read(index, [0, 1])
    read_prompt(prompt_path(folder / "cache", "a"))


# ---- weights


def _write_weights(folder: Path) -> None:
    state = loud_backbone(plucker=False).state_dict()
    write_weights(folder / "a.safetensors", state)
    write_weights(folder / "a.pth", state)
    prefixed = {f"model.backbone.{name}": value for name, value in state.items()}
    torch.save({"state_dict": prefixed, "global_step": 7, "callbacks": {}}, folder / "fit.ckpt")


def _read_weights(folder: Path) -> None:
    backbone = ReCamMaster(small_config(), GRID, null_text_length=3)
    load_weights(backbone, folder / "fit.ckpt")
    for name in ("a.safetensors", "a.pth"):
        load_strict(backbone, read_state_dict(folder / name), folder / name)


def _odd_weights(draw: random.Random, folder: Path) -> str:
    kind, data = draw.choice(evil_pickles(folder))
    name = draw.choice(["a.pth", "fit.ckpt"])
    (folder / name).write_bytes(data)
    return f"{name}: {kind}"


def _write_probes(folder: Path) -> None:
    from tests.commands.test_compare_probes import written

    for name in ("before", "after"):
        written(folder / name)


def _read_probes(folder: Path) -> int:
    return compare_probes(str(folder / "before"), str(folder / "after"), str(folder.parent / "out"))


# ---- sweeps

DEBUG = Path(__file__).parents[2] / "configs/debug.yaml"
_SWEEP = """folder: {runs}
configs: [{config}]
seeds: [0, 1]
variants:
  plain: {{model.init_args.training.weight_corr: 0}}
  extra: {{}}
grid: {{model.init_args.training.num_queries: [4, 8]}}
table:
  title: Made up
  control: plain-num_queries=4
  scores: {{"PSNR, dB": [test/psnr, higher]}}
"""


def _write_sweep(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(_SWEEP.format(config=DEBUG, runs="runs"))


def _read_sweep(folder: Path) -> None:
    runs = SweepFile(folder / "sweep.yaml").runs()
    if len(runs) > 10_000:
        raise InputError(f"{len(runs)} runs")


def _write_collected(folder: Path) -> None:
    (folder / "sweep.yaml").write_text(_SWEEP.format(config=DEBUG, runs=folder / "runs"))
    for number, run in enumerate(SweepFile(folder / "sweep.yaml").runs()):
        (run.folder / "test").mkdir(parents=True)
        (run.folder / "test" / "metrics.json").write_text(f'{{"test/psnr": {10 + number}, "test/error": null}}')
        (run.folder / "fit.done").touch()
        (run.folder / "times.json").write_text('{"fit": {"cpu_s": 30.0}, "test": {"cpu_s": 20.0}}')
        (run.folder / "config.yaml").write_text("model: {init_args: {training: {weight_corr: 1.0, num_queries: 8}}}\n")
    (folder / "sweep.yaml").write_text(_SWEEP.format(config=DEBUG, runs="data/runs"))


def _read_collected(folder: Path) -> int:
    from experiments import collect

    return collect.main([str(folder / "sweep.yaml")])


def _write_manifest(folder: Path) -> None:
    from mvt4g.commands.write_clips import write_clips

    write_clips(folder / "clips", SCENE, train=1, val=0, test=0, seed=5, workers=0)


def _read_manifest(folder: Path) -> int:
    return main(["validate-clips", str(folder / "clips"), "--sheet", "null"])


def _write_tapvid(folder: Path) -> None:
    from tests.formats.layouts.tapvid import tapvid_clip

    clip = small_clip()
    content = {"dog": tapvid_clip(clip), "goat": tapvid_clip(clip, 1, jpeg=True)}
    (folder / "tapvid_davis.pkl").write_bytes(pickle.dumps(content))


def _read_tapvid(folder: Path) -> int:
    return main(["validate-clips", str(folder), "--format", "tapvid", "--sheet", "null"])


FILE_AREAS = (
    files("trajectories", 120, _write_trajectories, _read_trajectories),
    files("queries", 120, _write_queries, _read_queries),
    files("captions", 60, _write_captions, lambda folder: read_captions(folder / "metadata.csv")),
    files("tracks", 50, _write_tracks, lambda data: [read_tracks(data / f"tracks.{kind}") for kind in ("npz", "json")]),
    files("poses", 100, _write_poses, _read_poses),
    files("images", 100, _write_images, _read_images, special=_odd_image),
    Area("videos", 120, _write_videos, _make_video),
    files("DAVIS trees", 70, _write_davis, _read_davis),
    files("pairs", 60, _write_pair, _read_pair),
    Area("clip npz", 80, _write_formats, _make_cache),
    Area("clip folders", 160, _write_formats, _make_format),
    files("pickled frames", 50, _write_tapvid, _read_tapvid),
    files("manifests", 30, _write_manifest, _read_manifest, patterns=("*.json",)),
    files("generated folders", 60, _write_generated, _read_generated),
    files("latents", 60, _write_latents, _read_latents),
    files("weights", 80, _write_weights, _read_weights, special=_odd_weights),
    files("probes", 30, _write_probes, _read_probes),
    files("sweeps", 60, _write_sweep, _read_sweep),
    files("runs of a sweep", 50, _write_collected, _read_collected),
)
