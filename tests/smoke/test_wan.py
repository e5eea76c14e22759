"""A fit in Wan's latents: the VAE is used, never trained, and left out of checkpoints, which load all the same."""

import json

import torch

from tests.models.tiny_wan_vae import write_vae

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
