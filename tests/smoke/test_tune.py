"""A model tuned on one video: whole or by adapters, killed and gone on with, and used by predict."""

import numpy as np
import pytest
import torch

from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.data.kubric_datamodule import KubricDataModule
from mvt4g.formats.video import write_video
from mvt4g.synthetic.spec import SceneSpec

pytestmark = pytest.mark.slow
LAYERS = ("-c", "configs/debug.yaml", "-c", "configs/conditioning/lifted.yaml")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A synthetic video of four frames and its true depth."""
    folder = tmp_path_factory.mktemp("video")
    data = KubricDataModule(scene=SceneSpec(num_frames=4, image_size=(32, 32)), num_test=1)
    clip = data.samples("test")[0]
    write_video(folder / "mine.mp4", clip.video[0], fps=8)
    np.savez(folder / "depth.npz", depth=clip.depth[0].numpy())
    return folder


@pytest.fixture
def tune(mvt4g, video, tmp_path):
    """Return a call that tunes an untrained small model, for want of a trained one, in a folder of its own."""
    base = tmp_path / "base"
    short = ("--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--data.init_args.num_train=2")
    assert mvt4g("fit", *LAYERS, "--run", base, *short) == 0

    def call(name, *more):
        given = ("--video", video / "mine.mp4", "--depth", video / "depth.npz", "--lr", "0.001")
        return mvt4g("tune", "-c", base / "config.yaml", *given, "--run", tmp_path / name, *more)

    return call


def weights(run):
    return torch.load(last_checkpoint(run), weights_only=True)


def test_it_goes_on_where_it_was_stopped_and_predict_uses_it(mvt4g, tune, tmp_path):
    """What a signal or a kill does to a fit is ``test_kills``'; here it is stopped by its length, and made longer."""
    assert tune("whole", "--steps", "4") == 0
    for steps in ("1", "3", "4"):
        assert tune("parts", "--steps", steps) == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole["global_step"] == parts["global_step"] == 4
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    for name, value in whole["callbacks"]["EMA"]["average"].items():
        assert torch.equal(value, parts["callbacks"]["EMA"]["average"][name]), name
    base = weights(tmp_path / "base")["state_dict"]
    name = "model.backbone.dit.patch_embedding.weight"
    assert not torch.equal(whole["state_dict"][name], base[name])
    run = tmp_path / "whole"
    config = ("-c", run / "config.yaml", "--ckpt_path", run, "--run", run)
    assert mvt4g("predict", *config, "--data.init_args.trajectory=pan_left") == 0
    assert (run / "predict" / "mine" / "pan_left-s0" / "generated.mp4").is_file()


def test_adapters_leave_the_rest_as_it_was(tune, tmp_path):
    assert tune("lora", "--steps", "2", "--lora", "2") == 0
    tuned, base = weights(tmp_path / "lora")["state_dict"], weights(tmp_path / "base")
    average = base["callbacks"]["EMA"]["average"]
    start = {name: value for name, value in average.items() if name.startswith("model.backbone.")}
    changed = {name for name, value in start.items() if not torch.equal(value, tuned[name])}
    assert changed == {"model.backbone.dit.patch_embedding.weight", "model.backbone.dit.patch_embedding.bias"}
    assert any(name.endswith("lora_up") and value.any() for name, value in tuned.items())


def test_what_is_wrong_with_the_video_or_its_depth_is_a_line(tune, tmp_path, video, capsys):
    assert tune("none", "--video", "nowhere.mp4") == 2
    assert "nowhere.mp4" in capsys.readouterr().err
    np.savez(tmp_path / "short.npz", depth=np.ones((2, 32, 32), np.float32))
    assert tune("none", "--depth", tmp_path / "short.npz") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "short.npz" in line
    assert not (tmp_path / "none" / "checkpoints").exists()
