"""What is fed with broken input: every reader of files, in the way its users reach it."""

import pickle
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mvt4g.cli import main
from mvt4g.commands.compare_probes import compare_probes
from mvt4g.commands.precompute import CacheSpec, precompute
from mvt4g.data.generated_datamodule import GeneratedFolders
from mvt4g.data.latent_clips import open_latents
from mvt4g.formats.camera_motion import read_motion
from mvt4g.formats.captions import read_captions
from mvt4g.formats.foreign.colmap import read_colmap_poses
from mvt4g.formats.foreign.depth_anything_3 import read_depth_anything
from mvt4g.formats.foreign.megasam import read_megasam
from mvt4g.formats.foreign.vipe import read_vipe
from mvt4g.formats.latent_file import prompt_path, read_prompt, write_prompt
from mvt4g.formats.track_files import TrackFile, check_queries, read_queries, read_tracks, write_tracks
from mvt4g.formats.trajectory_json import read_views, write_trajectory
from mvt4g.formats.video import write_video
from mvt4g.formats.weights import write_weights
from mvt4g.metrics.networks.weights import load_strict, read_state_dict
from mvt4g.models.backbones import ReCamMaster
from mvt4g.models.checkpoints import load_weights
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.synthetic.generate import generate_clip
from mvt4g.synthetic.spec import PointSpec, SceneSpec
from mvt4g.types import InputError, MultiViewClip
from tests.commands.conftest import SCENE
from tests.formats.foreign.test_colmap import _binary as write_colmap_binary
from tests.formats.foreign.test_colmap import _text as write_colmap_text
from tests.formats.layouts.multicamvideo import write_multicamvideo
from tests.formats.layouts.reconstructions import write_depth_anything, write_megasam, write_streaming, write_vipe
from tests.formats.readers.test_registry import WRITERS
from tests.fuzz.area import Area, files, moving_video, raised, two_cameras, write_queries
from tests.fuzz.harness import Case
from tests.fuzz.mutations import mutate_tree
from tests.fuzz.odd_values import evil_pickles
from tests.models.small_backbones import GRID, loud_backbone, small_config


def small_clip() -> MultiViewClip:
    """Return a clip of two views and three frames."""
    scene = SceneSpec(num_frames=3, image_size=(24, 32), num_views=2, points=PointSpec(count=24))
    return generate_clip(scene, 0, 1)


# ---- text and tables


_MOTION = """{"unit": "subject_distance", "subject": {"distance": 3.0}, "start": {"position": [0, 0.1, 0]}, "moves": [
{"kind": "orbit", "azimuth_deg": 30, "elevation_deg": 5, "ease": "in_out"},
{"kind": "zoom", "factor": 2, "over": [0, 0.5]},
{"kind": "path", "poses": [{"position": [0, 0, 0]}, {"position": [1, 0, 0], "pan_deg": 10}]}, {"kind": "look_at"}]}
"""


def _write_trajectories(folder: Path) -> None:
    write_trajectory(folder / "both.json", two_cameras(), (32, 48))
    write_trajectory(folder / "one.json", two_cameras()[0], (32, 48))
    (folder / "motion.json").write_text(_MOTION)
    write_multicamvideo(folder / "f24_aperture5" / "scene", small_clip())
    shutil.rmtree(folder / "f24_aperture5" / "scene" / "videos")


def _read_trajectories(folder: Path) -> None:
    read_views(folder / "both.json")
    read_views(folder / "one.json")
    read_motion(folder / "motion.json").play(torch.eye(4).expand(5, 4, 4))
    for path in folder.rglob("camera_extrinsics.json"):
        read_views(path, "cam01")
    if not any(folder.rglob("camera_extrinsics.json")):
        raise InputError("camera_extrinsics.json: gone")


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
    write_vipe(folder / "vipe")
    write_depth_anything(folder / "da3")
    write_streaming(folder / "stream")
    write_megasam(folder)


def _read_poses(folder: Path) -> None:
    read_colmap_poses(folder / "text")
    read_colmap_poses(folder / "binary")
    read_vipe(folder / "vipe/pose/clip.npz", maps=True)
    read_depth_anything(folder / "da3/exports/npz/results.npz", maps=True)
    read_depth_anything(folder / "stream", maps=True)
    read_megasam(folder / "clip_sgd_cvd_hr.npz", maps=True)


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
        write_video(clip / f"{name}.mp4", moving_video(number), fps=8)
    write_trajectory(clip / "cameras.json", two_cameras(), (32, 48))
    depth = np.full((5, 32, 48), 2.0)
    np.savez(clip / "depth.npz", target=depth, reference=depth + 1)
    np.savez_compressed(clip / "dynamic.npz", reference=depth > 1)
    np.savez(clip / "mask.npz", target=depth > 1)


def _read_generated(folder: Path) -> None:
    videos = GeneratedFolders(folder)
    for index in range(len(videos)):
        raised(videos[index])


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
    from mvt4g.sweeps import collect

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
    files("queries", 120, write_queries, _read_queries),
    files("captions", 60, _write_captions, lambda folder: read_captions(folder / "metadata.csv")),
    files("tracks", 50, _write_tracks, lambda data: [read_tracks(data / f"tracks.{kind}") for kind in ("npz", "json")]),
    files("poses", 100, _write_poses, _read_poses),
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
