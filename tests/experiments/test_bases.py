"""What is kept of the bases is what the package ships and loading compares."""

import csv

import pytest
import torch
import yaml
from torch.utils.tensorboard import SummaryWriter

from experiments.bases import keep
from mvt4g.formats.weights import read_metadata, read_weights
from mvt4g.models.shipped import FOLDER


def write_base(folder, steps):
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    model = {
        "codec": {"class_path": "mvt4g.models.lapped_codec.LappedCodec", "init_args": {"block": 8, "keep": 64}},
        "backbone": {"init_args": {"dit": {"num_heads": 4}}},
        "flow": {"prediction": "sample"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"init_args": model}}))
    with SummaryWriter(folder) as writer:
        writer.add_scalar("val/psnr", 12.5, steps - 1)
    average = {"model.backbone.null_text": torch.full((1, 2, 3), 0.5), "model.tracking_head.x": torch.ones(2)}
    content = {"state_dict": {}, "global_step": steps, "callbacks": {"EMA": {"average": average, "num_updates": steps}}}
    torch.save(content, folder / "checkpoints" / f"step-{steps:08d}.ckpt")


def test_a_later_stage_replaces_the_shipped_file_and_its_rows(tmp_path, capsys):
    bases, shipped, out = (tmp_path / name for name in ("bases", "shipped", "out"))
    out.mkdir()
    page = tmp_path / "base.md"
    page.write_text("It has 7 of the 20,000 steps that are planned. At 7 steps of 20,000 it was poor.\n")
    for steps in (200, 400):
        write_base(bases / "mixture-0", steps)
        keep.main([str(bases), "--shipped", str(shipped), "--out", str(out), "--page", str(page)])
        assert "mixture_corr-0: no checkpoint yet" in capsys.readouterr().out
        said = read_metadata(shipped / "tiny.safetensors")
        assert said["steps"] == str(steps)
        assert page.read_text().startswith(f"It has {steps} of the 20,000 steps that are planned. At 7 steps")
        assert (
            said.items() >= {"codec": "LappedCodec block=8 keep=64", "num_heads": "4", "prediction": "sample"}.items()
        )
    weights = read_weights(shipped / "tiny.safetensors")
    assert {name: value.dtype for name, value in weights.items()} == {"model.backbone.null_text": torch.float16}
    assert [row["step"] for row in csv.DictReader((out / "scores.csv").open())] == ["200", "400"]


def test_weights_that_are_too_large_to_commit_are_not_written(tmp_path, monkeypatch):
    write_base(tmp_path / "bases" / "mixture-0", 200)
    monkeypatch.setattr(keep, "MAX_BYTES", 5)
    with pytest.raises(ValueError, match="want at most 5"):
        keep.main([str(tmp_path / "bases"), "--shipped", str(tmp_path), "--out", str(tmp_path)])
    assert not list(tmp_path.glob("*.safetensors"))


def test_the_package_ships_what_keep_writes():
    said = read_metadata(FOLDER / "tiny.safetensors")
    assert said.keys() >= {"codec", "num_heads", "prediction", "steps"}
    assert f"has {int(said['steps']):,} of the 20,000 steps" in keep.PAGE.read_text(), "the page says it"
    assert (FOLDER / "tiny.safetensors").stat().st_size <= keep.MAX_BYTES
