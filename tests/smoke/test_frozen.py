"""A fit in which few parameters train leaves the others alone: in optimizer, average and file."""

import torch

CONFIG = "configs/debug.yaml"
TRAINED = ("self_attn", "cam_encoder", "plucker", "tracking_head")
PATTERNS = f"--model.init_args.training.trainable=[{', '.join(TRAINED)}]"
SHORT = ("--trainer.max_steps", "1", "--trainer.limit_val_batches", "0")


def test_frozen_parameters(mvt4g, tmp_path, trained_run, capfd):
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, *SHORT, PATTERNS) == 0
    assert "| backbone.dit.blocks.*.ffn " in capfd.readouterr().out
    found = torch.load(tmp_path / "checkpoints" / "step-00000001.ckpt", weights_only=True)
    names = {name for name in found["state_dict"] if any(part in name for part in TRAINED)}
    assert found["callbacks"]["EMA"]["average"].keys() == names
    assert len(found["optimizer_states"][0]["param_groups"][0]["params"]) == len(names)
    everything = torch.load(trained_run / "checkpoints" / "step-00000004.ckpt", weights_only=True)
    assert found["state_dict"].keys() == everything["state_dict"].keys() > names, "frozen ones are in the file"
    assert mvt4g("validate", "-c", tmp_path / "config.yaml", "--run", tmp_path, "--ckpt_path", "last") == 0


def test_a_pattern_without_a_match(mvt4g, tmp_path, capfd):
    assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, "--model.init_args.training.trainable=[self_atn]") == 2
    assert capfd.readouterr().err.startswith("mvt4g: training.trainable: got 'self_atn', which is part of no")


def test_adapters(mvt4g, tmp_path):
    options = (
        "--ckpt_path", "last", "--model.init_args.training.lora", "{rank: 2, alpha: 4.0}",
        "--model.init_args.training.trainable=[lora_, tracking_head]",
    )  # fmt: skip
    weights = []
    for step in (1, 2):
        assert mvt4g("fit", "-c", CONFIG, "--run", tmp_path, *SHORT, "--trainer.max_steps", step, *options) == 0
        file = tmp_path / "checkpoints" / f"step-{step:08d}.ckpt"
        weights.append(torch.load(file, weights_only=True)["state_dict"])
    first, last = weights
    changed = {name for name in first if not torch.equal(first[name], last[name])}
    assert all("tracking_head" in name or name.endswith(("lora_down", "lora_up")) for name in changed)
    assert {name.rpartition(".")[2] for name in changed} >= {"lora_down", "lora_up", "weight", "bias"}
