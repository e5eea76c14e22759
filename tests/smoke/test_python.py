"""``mvt4g.inference`` beside the command line: the same run gives the same video and tracks, bit for bit."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.data.camera_paths import CameraAssumption
from mvt4g.data.real_clips import RealClip, RealClips
from mvt4g.data.video_pairs import VideoPair
from mvt4g.data.video_size import VideoSize
from mvt4g.data.video_source import open_video
from mvt4g.diffusion.samplers import HeunSampler
from mvt4g.formats.video import write_video
from mvt4g.inference import GeneratedView, NovelViewGenerator, Tracker
from mvt4g.inference.reader import read_model
from mvt4g.inference.tracker import TrackerSpec
from mvt4g.types import InputError
from tests.docs.pages import blocks

ROOT = Path(__file__).parents[2]
SIZE = VideoSize(height=32, width=32, num_frames=3, temporal_stride=1)
CAMERA = CameraAssumption(fov_deg=60.0, strength=0.5, scale=2.0)
"""As in configs/data/davis.yaml."""
CODEC, HEAD = "mvt4g.models.codec.PatchCodec", "mvt4g.models.tracking.head.TrackingHead"
SIZE_OPTION = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"


@pytest.fixture(scope="module")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "clip0.mp4"
    write_video(path, torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3)), fps=8)
    return path


@pytest.fixture(scope="module")
def real(video_file: Path) -> RealClip:
    """Return the video as ``predict`` reads it."""
    found = RealClips((open_video(video_file),), SIZE, "arc_left", "grid:2", CAMERA)[0]
    assert isinstance(found, RealClip)
    return found


@pytest.fixture(scope="module")
def generator(trained_run: Path) -> NovelViewGenerator:
    return NovelViewGenerator.from_run(trained_run, device="cpu")


@pytest.fixture
def predicted(mvt4g: Callable[..., int], trained_run: Path, video_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a call of ``predict`` that returns the folder of its result."""

    def predict(*flags: str) -> Path:
        config = ["-c", trained_run / "config.yaml", "-c", "configs/data/davis.yaml", "--ckpt_path", trained_run]
        data = [SIZE_OPTION, f"--data.init_args.video={video_file}", "--data.init_args.queries=grid:2"]
        assert mvt4g("predict", *config, "--run", tmp_path / "run", *data, *flags) == 0
        (folder,) = (tmp_path / "run" / "predict" / "clip0").iterdir()
        return folder

    return predict


@pytest.mark.parametrize(
    ("flags", "seed", "sampler"),
    [
        ((), 0, None),
        (
            (
                "--model.init_args.evaluation.sampler=mvt4g.diffusion.samplers.HeunSampler",
                "--model.init_args.evaluation.sample_steps=3",
                "--model.init_args.evaluation.seed=7",
            ),
            7,
            HeunSampler(3),
        ),
    ],
)
def test_it_makes_what_predict_makes(predicted, generator, real, tmp_path, flags, seed, sampler):
    folder = predicted(*flags)
    made = generator.generate(
        real.clip.video[0], real.clip.cameras, real.queries, seed=seed, sampler=sampler, name="clip0"
    )
    kept = np.load(folder / "tracks.npz")
    np.testing.assert_array_equal(made.tracks.numpy(), kept["tracks"])
    np.testing.assert_array_equal(made.visible.numpy(), kept["visible"])
    np.testing.assert_array_equal(made.confidence.numpy(), kept["confidence"])
    write_video(tmp_path / "again.mp4", made.video, fps=8)
    assert (tmp_path / "again.mp4").read_bytes() == (folder / "generated.mp4").read_bytes()
    other = generator.generate(real.clip.video[0], real.clip.cameras, seed=seed + 1, sampler=sampler, name="clip0")
    assert not torch.equal(other.video, made.video)
    assert other.tracks is None


def test_the_average_is_what_runs(trained_run):
    content = torch.load(last_checkpoint(trained_run), weights_only=True)
    average, trained = content["callbacks"]["EMA"]["average"], content["state_dict"]
    model = read_model(trained_run / "config.yaml", last_checkpoint(trained_run)).model
    name = "model.tracking_head.correlation_mlp.0.weight"
    value = model.state_dict()[name.removeprefix("model.")]
    assert torch.equal(value, average[name])
    assert not torch.equal(value, trained[name])


def test_the_tracker_equals_predict_of_two_videos(mvt4g, trained_run, video_file, real, tmp_path):
    target_file = tmp_path / "target.mp4"
    write_video(target_file, real.clip.video[0].flip(-1), fps=8)
    config = ["-c", trained_run / "config.yaml", "-c", "configs/tracker.yaml", "-c", "configs/data/video_pair.yaml"]
    videos = [f"--data.init_args.reference={video_file}", f"--data.init_args.target={target_file}"]
    data = [*videos, SIZE_OPTION, "--data.init_args.queries=grid:2"]
    out = tmp_path / "pair"
    assert mvt4g("predict", *config, "--ckpt_path", trained_run, "--run", out, *data) == 0
    (folder,) = (out / "predict" / "clip0").iterdir()
    kept = np.load(folder / "tracks.npz")
    sources = open_video(video_file), open_video(target_file)
    pair = VideoPair(sources, SIZE, None, "grid:2", CameraAssumption(fov_deg=60.0))[0]
    assert isinstance(pair, RealClip)
    tracker = Tracker.from_weights(out / "predict" / "config.yaml", last_checkpoint(trained_run), device="cpu")
    reference, target = pair.clip.video
    tracks, visible, confidence = tracker.track(reference, target, pair.queries, pair.clip.cameras, name="clip0")
    np.testing.assert_array_equal(tracks.numpy(), kept["tracks"])
    np.testing.assert_array_equal(visible.numpy(), kept["visible"])
    np.testing.assert_array_equal(confidence.numpy(), kept["confidence"])


def test_a_run_of_a_novel_view_system_tracks_with_default_options(trained_run, real):
    tracker = Tracker.from_run(trained_run, device="cpu")
    assert tracker.spec == TrackerSpec()
    video = real.clip.video[0]
    tracks, visible, confidence = tracker.track(video, video, real.queries, real.clip.cameras)
    assert tracks.shape == (2, 3, 4, 2)
    assert visible.shape == confidence.shape == (2, 3, 4)


def test_a_backbone_alone_generates_and_tracks_by_attention(trained_run, real, tmp_path, mvt4g):
    weights = tmp_path / "backbone.ckpt"
    assert mvt4g("export-weights", "--weights", last_checkpoint(trained_run), "--out", weights, "--format", "own") == 0
    config = yaml.safe_load((trained_run / "config.yaml").read_text())
    whole = NovelViewGenerator.from_run(trained_run, device="cpu")
    alone = NovelViewGenerator.from_weights(trained_run / "config.yaml", weights, device="cpu")
    video, cameras = real.clip.video[0], real.clip.cameras
    assert torch.equal(alone.generate(video, cameras).video, whole.generate(video, cameras).video)
    with pytest.raises(InputError, match="queries: got some for a model without a trained tracking head"):
        alone.generate(video, cameras, real.queries)
    with pytest.raises(InputError, match=r"tracker.method: got 'head' without a tracking head"):
        Tracker.from_weights(trained_run / "config.yaml", weights, device="cpu")
    config["model"]["init_args"]["tracker"] = {"method": "argmax", "layer": 0}
    (tmp_path / "argmax.yaml").write_text(yaml.safe_dump(config))
    tracker = Tracker.from_weights(tmp_path / "argmax.yaml", weights, device="cpu")
    assert tracker.track(video, video, real.queries, cameras)[0].shape == (2, 3, 4, 2)


def test_a_damaged_last_checkpoint_is_warned_of_and_left_out(trained_run, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_bytes((trained_run / "config.yaml").read_bytes())
    whole = last_checkpoint(trained_run).read_bytes()
    (run / "checkpoints" / "step-00000004.ckpt").write_bytes(whole)
    (run / "checkpoints" / "step-00000006.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"step-00000006.ckpt.*going on from step-00000004.ckpt"):
        NovelViewGenerator.from_run(run, device="cpu")
    with pytest.raises(InputError, match=r"step-00000006.ckpt"):
        NovelViewGenerator.from_run(run, run / "checkpoints" / "step-00000006.ckpt", device="cpu")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"video": torch.zeros(3, 32, 32)}, r"video: got shape \(3, 32, 32\), want a video \(t 3 h w\)"),
        ({"video": torch.zeros(3, 3, 32, 32, dtype=torch.uint8)}, "video: got torch.uint8, want floating-point"),
        ({"video": torch.full((3, 3, 32, 32), 2.0)}, r"video: got values from 2 to 2, want \[0, 1\]"),
        ({"video": torch.full((3, 3, 32, 32), torch.nan)}, "video: got values from nan to nan"),
        ({"video": torch.zeros(3, 3, 30, 32)}, "got .*30"),
        (
            {"video": torch.zeros(4, 3, 32, 32)},
            r"cam_from_world: got shape \(2, 3, 4, 4\), want \(2, 4, 4, 4\)",
        ),
        ({"cameras": None}, "cameras: got NoneType, want mvt4g.types.Cameras"),
        ({"queries": torch.zeros(2, 3)}, r"queries: got shape \(2, 3\), want a tensor \(q 4\)"),
        ({"queries": torch.zeros(0, 4)}, "queries: got none, want at least one"),
        ({"queries": torch.tensor([[0.0, 3.0, 1.0, 1.0]])}, "queries: got view 0 and frame 3"),
        ({"queries": torch.tensor([[0.0, 0.0, torch.nan, 1.0]])}, "queries: got values that are not finite"),
        ({"prompt": "a cat"}, "prompt: got a text without evaluation.guidance.encoder"),
    ],
)
@pytest.mark.usefixtures("without_shape_hook")
def test_bad_arguments_are_refused_in_one_line(generator, real, change, told):
    given = {"video": real.clip.video[0], "cameras": real.clip.cameras, **change}
    with pytest.raises(InputError, match=told) as error:
        generator.generate(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"codec": {"class_path": "os.system"}}, "codec.class_path: got os.system, want a class of mvt4g"),
        ({"codec": {"class_path": "mvt4g.cli.main"}}, "codec.class_path: got mvt4g.cli.main, want a class of mvt4g"),
        (
            {"codec": {"class_path": "mvt4g.formats.atomic.os"}},
            "got mvt4g.formats.atomic.os, want the",
        ),
        ({"codec": {"class_path": "mvt4g.formats.atomic.Path"}}, "codec.class_path: got pathlib.Path, want a class of"),
        ({"codec": {"class_path": "mvt4g.models.codec.Nothing"}}, "which cannot be imported"),
        ({"codec": {"class_path": "mvt4g.models.backbones.ReCamMaster"}}, "want a Codec"),
        (
            {"codec": {"class_path": "mvt4g.models.codec.PatchCodec", "init_args": {"blok": 4}}},
            "got option 'blok', want",
        ),
        ({"flow": {"shift": -1.0}}, r"flow.shift: got -1.0, want more than 0"),
        ({"flow": {"weighting": "even"}}, "flow.weighting: got 'even', want one of 'gaussian', 'uniform'"),
        ({"backbone": None}, "got no backbone"),
        (
            {"tracking_head": {"class_path": "mvt4g.models.tracking.head.TrackingHead", "init_args": {"layer": 9}}},
            "layer 9",
        ),
        ({"codec": {"class_path": "mvt4g.models.codec.PatchCodec", "init_args": {"keep": 8}}}, "backbone.grid: got"),
    ],
)
def test_bad_configurations_are_refused_in_one_line(trained_run, tmp_path, change, told):
    content = yaml.safe_load((trained_run / "config.yaml").read_text())
    content["model"]["init_args"].update(change)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=told) as error:
        NovelViewGenerator.from_weights(config, last_checkpoint(trained_run), device="cpu")
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_refused(trained_run, tmp_path):
    content = yaml.safe_load((trained_run / "config.yaml").read_text())
    content["model"]["init_args"]["backbone"]["init_args"]["dit"]["num_layers"] = 3
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"got weights of another model than the configuration's: .* missing"):
        NovelViewGenerator.from_weights(config, last_checkpoint(trained_run), device="cpu")


@pytest.mark.parametrize(
    ("run", "arguments", "told"),
    [
        ("nowhere", {}, "nowhere: got no config.yaml in it"),
        (None, {"checkpoint": "nothing.ckpt"}, "nothing.ckpt"),
        (None, {"device": "cuda:99"}, "device: got cuda:99"),
        (None, {"device": "toaster"}, "device: got toaster"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_line(trained_run, run, arguments, told):
    with pytest.raises(InputError, match=told) as error:
        NovelViewGenerator.from_run(run or trained_run, **arguments)
    assert "\n" not in str(error.value)


def test_a_run_is_read_where_heavy_packages_are_absent(trained_run):
    """In a process of its own: this one has imported them."""
    blocked = ("lightning", "pytorch_lightning", "jsonargparse", "open3d", "mujoco", "av", "torchmetrics")
    program = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import torch
from mvt4g.inference import NovelViewGenerator, Tracker
from mvt4g.types import Cameras
generator = NovelViewGenerator.from_run({str(trained_run)!r}, device="cpu")
intrinsics = torch.tensor([[40., 0, 16], [0, 40, 16], [0, 0, 1]])
cameras = Cameras(torch.eye(4).repeat(2, 3, 1, 1), intrinsics.repeat(2, 3, 1, 1))
queries = torch.tensor([[0., 0., 16., 16.]])
made = generator.generate(torch.rand(3, 3, 32, 32), cameras, queries)
Tracker(generator.model).track(torch.rand(3, 3, 32, 32), made.video, queries, cameras)
print(tuple(made.tracks.shape))
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.stdout, finished.returncode) == ("(2, 3, 1, 2)\n", 0), finished.stderr


def test_the_page_runs(trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(trained_run)
    write_video(tmp_path / "mine.mp4", torch.rand(5, 3, 64, 64), fps=8)
    code = blocks(Path("docs/python.md"), "python")
    assert len(code) == 4
    names: dict[str, object] = {}
    for block in code:
        exec(compile(block.text, "docs/python.md", "exec"), names)
    assert isinstance(names["made"], GeneratedView)
