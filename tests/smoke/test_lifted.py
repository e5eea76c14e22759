"""A model with a lifted view on the command line: it is fitted, scored, remembered and used as any other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.formats.trajectory_json import read_views
from mvt4g.formats.video import read_video, write_video
from mvt4g.inference import NovelViewGenerator
from mvt4g.inference.public_inputs import batch_of_one, check_depth
from mvt4g.types import Cameras, InputError

LAYERS = ("-c", "configs/debug.yaml", "-c", "configs/conditioning/lifted.yaml")
pytestmark = pytest.mark.slow

TRAINING = "--model.init_args.training.lifted"
EVALUATION = "--model.init_args.evaluation"
SHORT = ("--trainer.max_steps=2", "--data.init_args.num_val=2", "--data.init_args.num_test=2")
SIZE = "--data.init_args.size={height: 32, width: 32, num_frames: 3, temporal_stride: 1}"


@pytest.fixture(scope="module")
def lifted_run(tmp_path_factory):
    """A fit on true views and on pairs of one video, with noise on the depth."""
    from mvt4g.cli import main

    run = tmp_path_factory.mktemp("lifted") / "fit"
    odd = (f"{TRAINING}.pairs=[views, double_reprojection, depth_blur]", f"{TRAINING}.depth.damage=[noise:5]")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        patch.setattr("sys.argv", ["mvt4g"])
        assert main(["fit", *LAYERS, "--run", str(run), *SHORT, *odd]) == 0
    return run


def state(run):
    return torch.load(last_checkpoint(run), weights_only=True)


def told(capsys):
    return capsys.readouterr().err.strip().splitlines()


def test_its_channels_learn_and_its_checkpoint_says_what_they_are(lifted_run):
    content = state(lifted_run)
    weight = content["state_dict"]["model.backbone.dit.patch_embedding.weight"]
    assert weight.shape[1] == 33
    assert weight[:, 16:].flatten(2).abs().amax(dim=(0, 2)).min() > 0
    assert content["lifted_view"]["lifting.edge_filter"] == "False"


def test_another_model_does_not_take_it(mvt4g, lifted_run, trained_run, tmp_path, capsys):
    config = ("-c", lifted_run / "config.yaml")
    assert mvt4g("test", *config, "--run", tmp_path / "a", "--ckpt_path", last_checkpoint(trained_run)) == 2
    (line,) = told(capsys)
    assert "got weights trained without a lifted view, want a model without LiftedView" in line
    plain = ("-c", trained_run / "config.yaml")
    assert mvt4g("test", *plain, "--run", tmp_path / "b", "--ckpt_path", last_checkpoint(lifted_run)) == 2
    (line,) = told(capsys)
    assert "got weights trained with a lifted view, want LiftedView in the model's extra_conditioning" in line


def test_damage_to_depth_reaches_the_scores(mvt4g, lifted_run, tmp_path):
    scores = []
    for name, damage in (("true", "[]"), ("noisy", "[noise:80]")):
        run = tmp_path / name
        flags = (f"{EVALUATION}.depth.damage={damage}", "--ckpt_path", lifted_run, "--verbose=false")
        assert mvt4g("test", "-c", lifted_run / "config.yaml", "--run", run, *flags) == 0
        scores.append(json.loads((run / "test" / "metrics.json").read_text()))
    assert scores[0]["test/psnr"] != scores[1]["test/psnr"]


def test_a_killed_fit_goes_on_as_if_it_had_not_been(mvt4g, lifted_run, tmp_path):
    """One step, then one more: the pairs of a step follow its number alone."""
    run = tmp_path / "run"
    config = ("-c", lifted_run / "config.yaml", "--run", run)
    assert mvt4g("fit", *config, "--trainer.max_steps=1") == 0
    assert mvt4g("fit", *config, "--ckpt_path", "last", "--trainer.max_steps=2") == 0
    for name, value in state(lifted_run)["state_dict"].items():
        assert torch.equal(state(run)["state_dict"][name], value), name


def test_pairs_of_one_video_alone_have_no_tracks_to_supervise(mvt4g, tmp_path, capsys):
    odd = f"{TRAINING}.pairs=[occlusion]"
    assert mvt4g("fit", *LAYERS, "--run", tmp_path / "run", *SHORT, odd) == 2
    (line,) = told(capsys)
    assert "training.lifted.pairs: got ['occlusion'] with objectives ['track', 'corr'], want views among them" in line


def test_predict_and_python_lift_by_a_depth_file_alike(mvt4g, lifted_run, tmp_path, capsys):
    video = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    write_video(tmp_path / "mine.mp4", video, fps=8)
    depth = np.linspace(2, 4, 32, dtype=np.float32)[None, :, None] * np.ones((3, 1, 32), np.float32)
    np.savez(tmp_path / "depth.npz", depth=depth)
    run = tmp_path / "run"
    config = ("-c", lifted_run / "config.yaml", "-c", "configs/data/davis.yaml", "--ckpt_path", lifted_run)
    data = (SIZE, "--data.init_args.video", tmp_path / "mine.mp4", "--data.init_args.queries=grid:2")
    assert mvt4g("predict", *config, "--run", run, *data) == 2
    assert "mine: got no depth of the reference, want a file of it (camera.depth)" in " ".join(told(capsys))
    of_file = ("--data.init_args.camera.depth", tmp_path / "depth.npz")
    assert mvt4g("predict", *config, "--run", run, *data, *of_file) == 0
    folder = run / "predict" / "mine" / "arc_left-s0"
    read, _ = read_video(tmp_path / "mine.mp4")
    views = read_views(folder / "cameras.json")
    paths = [views[name] for name in ("reference", "target")]
    cameras = Cameras(
        torch.stack([torch.linalg.inv(path.world_from_cam.double()).float() for path in paths]),
        torch.stack([path.intrinsics for path in paths]),
    )
    generator = NovelViewGenerator.from_run(lifted_run)
    kept = np.load(folder / "tracks.npz")
    queries = torch.from_numpy(kept["queries"]).float()
    made, other = (
        generator.generate(read, cameras, queries, name="mine", depth=torch.from_numpy(factor * depth))
        for factor in (1, 2)
    )
    # The cameras were written and read: they are rounded.
    np.testing.assert_allclose(made.tracks.numpy(), kept["tracks"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(made.confidence.numpy(), kept["confidence"], rtol=0, atol=1e-4)
    assert not torch.equal(made.video, other.video)
    with pytest.raises(InputError, match="video: got no depth of the reference"):
        generator.generate(read, cameras)
    with pytest.raises(InputError, match=r"depth: got shape \(2, 32, 32\), want \(3, 32, 32\)"):
        # The tests' shape hook refuses it before ``generate`` looks.
        check_depth(torch.ones(2, 32, 32), batch_of_one([read], cameras, "mine", None, "cpu"))
