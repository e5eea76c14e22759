"""Wan's VAE, UMT5 and CLIP on the command line, each with random weights: fit, test, and predict from words."""

import json

import pytest
import torch
import yaml

from mvt4g.formats.video import read_video, write_video
from mvt4g.models.backbones import ReDirector
from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import LatentGrid
from tests.models.small_backbones import make_loud
from tests.models.tiny_clip import DIM, write_clip_weights
from tests.models.tiny_umt5 import SIZES, write_tokenizer, write_umt5
from tests.models.tiny_wan_vae import write_vae
from tests.smoke.test_backbone_configs import SMALL_DIT

GRID = "{temporal_stride: 4, spatial_stride: 8, channels: 16}"


def test_fit_and_test_in_wan_s_latents(mvt4g, tmp_path):
    run, weights = tmp_path / "run", write_vae(tmp_path / "Wan2.1_VAE.pth")
    codec = ("--model.init_args.codec", "mvt4g.models.wan_codec.WanCodec")
    codec += ("--model.init_args.codec.init_args.weights", weights)
    sizes = ("--model.init_args.backbone.init_args.grid", GRID, "--data.init_args.scene.num_frames", 5)
    options = ("-c", "configs/debug.yaml", *codec, *sizes, "--trainer.limit_val_batches", 0)
    assert mvt4g("fit", *options, "--run", run, "--trainer.max_steps", 2) == 0
    (checkpoint,) = (run / "checkpoints").glob("*.ckpt")
    names = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert not [name for name in names if "codec" in name]
    assert any(name.startswith("model.backbone.") for name in names)
    evaluation = ("--data.init_args.num_test", 2, "--model.init_args.evaluation.sample_steps", 1)
    assert mvt4g("test", "-c", run / "config.yaml", "--run", run, "--ckpt_path", "last", *evaluation) == 0
    scores = json.loads((run / "test" / "metrics.json").read_text())
    assert scores["test/psnr_codec"] > 0


GRID_480P = LatentGrid(temporal_stride=4, spatial_stride=8, channels=16)
SMALL_REDIRECTOR = SMALL_DIT | {
    "in_channels": 32, "image_dim": DIM, "control_channels": 1536, "text_dim": SIZES.d_model, "text_len": 16
}  # fmt: skip


@pytest.fixture
def predict(mvt4g, tmp_path):
    """Return what predicts with ReDirector's file cut down to small networks of random weights."""
    torch.manual_seed(0)
    backbone = make_loud(ReDirector(VideoDiTConfig(**SMALL_REDIRECTOR), GRID_480P))
    own = {f"model.backbone.{name}": value for name, value in backbone.state_dict().items()}
    torch.save({"state_dict": own}, tmp_path / "fit.ckpt")
    overlay = {name: value for name, value in backbone.dit.state_dict().items() if ".self_attn." in name}
    torch.save(overlay, tmp_path / "overlay.pth")
    weights = [str(tmp_path / "fit.ckpt"), str(tmp_path / "overlay.pth")]
    encoder = {
        "weights": str(write_umt5(tmp_path / "umt5.pth")),
        "tokenizer": str(write_tokenizer(tmp_path / "tokenizer.json")),
    }
    small = {
        "trainer": {"accelerator": "cpu"},
        "model": {"init_args": {
            "codec": {"init_args": {"weights": str(write_vae(tmp_path / "vae.pth")), "dtype": "float32"}},
            "backbone": {"init_args": {"weights": weights, "dit": SMALL_REDIRECTOR}},
            "evaluation": {"sample_steps": 2, "guidance": {"encoder": encoder}},
        }},
        "data": {"init_args": {"size": {"height": 32, "width": 48, "num_frames": 5}}},
    }  # fmt: skip
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    write_video(tmp_path / "clip.mp4", torch.rand(6, 3, 40, 60, generator=torch.Generator().manual_seed(0)), fps=8)
    backbones = ("configs/backbone/wan_1_3b_redirector.yaml", "configs/backbone/as_published.yaml")
    files = (*backbones, "configs/data/predict_480p.yaml", tmp_path / "small.yaml")

    def run(name, **guidance):
        given = [
            part for key, value in guidance.items() for part in (f"--model.init_args.evaluation.guidance.{key}", value)
        ]
        layers = [part for file in files for part in ("-c", file)]
        video = ("--data.init_args.video", tmp_path / "clip.mp4")
        assert mvt4g("predict", *layers, "--run", tmp_path / name, *video, *given) == 0
        (made,) = (tmp_path / name / "predict" / "clip").glob("*/generated.mp4")
        return read_video(made)[0]

    return run


def test_predict_from_words_and_the_first_frame(mvt4g, predict, tmp_path):
    with pytest.warns(UserWarning, match="image_encoder: got null for a backbone that looks at image tokens of width"):
        blind = predict("blind", prompt="a red ball")
    assert blind.shape == (5, 3, 32, 48)
    clip = write_clip_weights(tmp_path / "clip.pth")
    seeing = predict("seeing", prompt="a red ball", image_encoder=clip)
    other = predict("other", prompt="two falls", image_encoder=clip)
    for video in (blind, other):
        assert (video - seeing).abs().mean() > 0.02
    recorded = ("predict", "-c", tmp_path / "seeing" / "predict" / "config.yaml", "--run", tmp_path / "again")
    assert mvt4g(*recorded) == 0, "what a run records is what it can be run by"
    (again,) = (tmp_path / "again" / "predict" / "clip").glob("*/generated.mp4")
    assert torch.equal(read_video(again)[0], seeing)
