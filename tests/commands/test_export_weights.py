import json

import pytest
import torch
from diffusers import WanTransformer3DModel

from mvt4g.cli import main
from mvt4g.formats.weights import read_weights, write_weights
from mvt4g.models.backbones import ReCamMaster, ReDirector
from tests.models.small_backbones import GRID, loud_backbone, loud_redirector, small_config


def write_fit(path, backbone):
    torch.save({"state_dict": {f"model.backbone.{n}": v for n, v in backbone.state_dict().items()}}, path)
    return path


def export(*args):
    return main(["export-weights", *map(str, args)])


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("suffix", ["safetensors", "ckpt"])
def test_recammaster_there_and_back(suffix, tmp_path, capsys):
    backbone = loud_backbone()
    fit, out = write_fit(tmp_path / "fit.ckpt", backbone), tmp_path / f"out.{suffix}"
    args = ["--weights", fit, "--out", out, "--format", "recammaster"]
    assert export(*args) == 2
    assert "no place for dit.blocks.0.plucker.weight, dit.blocks.0.plucker.bias" in capsys.readouterr().err
    assert not out.exists()
    assert export(*args, "--drop", "[plucker]") == 0
    assert f"{out}: 77 tensors, " in capsys.readouterr().out
    wanted = {name: value for name, value in backbone.dit.state_dict().items() if "plucker" not in name}
    assert_same(read_weights(out), wanted)
    again = ReCamMaster(small_config(), GRID, null_text_length=3, weights=out)
    assert_same(again.dit.state_dict(), wanted)


def test_diffusers_loads_what_was_exported(tmp_path):
    backbone = loud_redirector()
    fit, out = write_fit(tmp_path / "fit.ckpt", backbone), tmp_path / "there" / "diffusion_pytorch_model.safetensors"
    drop = "[control_adapter,rope_phase_qk,rope_phase_vo]"
    args = ["--weights", fit, "--out", out, "--format", "diffusers", "--drop", drop, "--head_dim", 24]
    assert export(*args) == 0
    config = json.loads((out.parent / "config.json").read_text())
    model = WanTransformer3DModel.from_config(config)
    model.load_state_dict(read_weights(out))
    assert model.config.num_attention_heads == 2
    assert torch.equal(model.blocks[1].attn2.add_k_proj.weight, backbone.dit.blocks[1].cross_attn.k_img.weight)
    assert torch.equal(model.blocks[0].norm2.bias, backbone.dit.blocks[0].norm3.bias)
    assert (config["in_channels"], config["out_channels"], config["ffn_dim"], config["num_layers"]) == (10, 5, 40, 2)


def test_redirector_there_and_back(tmp_path):
    """An overlay, and the base it was trained on."""
    backbone = loud_redirector()
    fit = write_fit(tmp_path / "fit.ckpt", backbone)
    overlay, base = tmp_path / "overlay.safetensors", tmp_path / "base.safetensors"
    assert export("--weights", fit, "--out", overlay, "--format", "redirector") == 0
    assert len(read_weights(overlay)) == 2 * 12
    drop = ["--drop", "[rope_phase_qk,rope_phase_vo]"]
    assert export("--weights", fit, "--out", base, "--format", "wan", *drop) == 0
    again = ReDirector(backbone.dit.config, GRID, null_text_length=3, weights=[base, overlay])
    assert_same(again.dit.state_dict(), backbone.dit.state_dict())
    merged = tmp_path / "merged.safetensors"
    assert export("--weights", f"[{base},{overlay}]", "--out", merged, "--format", "own") == 0
    assert_same(read_weights(merged), {f"model.backbone.dit.{n}": v for n, v in backbone.dit.state_dict().items()})
    once_more = ReDirector(backbone.dit.config, GRID, null_text_length=3, weights=merged)
    assert_same(once_more.dit.state_dict(), backbone.dit.state_dict())


def test_numbers_are_cast(tmp_path):
    fit, out = write_fit(tmp_path / "fit.ckpt", loud_backbone(plucker=False)), tmp_path / "out.safetensors"
    args = ["--weights", fit, "--out", out, "--format", "own", "--dtype", "bfloat16"]
    assert export(*args) == 0
    assert {value.dtype for value in read_weights(out).values()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--format", "redirector"], "got redirector, want weights with rope_phase_qk, which these have not"),
        (["--format", "wan", "--drop", "[plucker]"], "drop: got 'plucker', want a part that the weights have"),
        (["--format", "wan"], "got wan, which has no place for dit.blocks.0.projector.weight"),
        (
            ["--format", "diffusers", "--drop", "[cam_encoder,projector]"],
            "head_dim: got 128, want a divisor of the wid",
        ),
    ],
)
def test_bad_arguments_are_named(args, message, tmp_path, capsys):
    fit, out = write_fit(tmp_path / "fit.ckpt", loud_backbone(plucker=False)), tmp_path / "out.safetensors"
    assert export("--weights", fit, "--out", out, *args) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_pickle_that_names_code_is_refused(tmp_path, capsys):
    write_weights(tmp_path / "net.pth", {"blocks.0.modulation": torch.zeros(1)})
    torch.save({"payload": print}, tmp_path / "net.pth")
    assert export("--weights", tmp_path / "net.pth", "--out", tmp_path / "out.pth", "--format", "wan") == 2
    assert "a pickle that names print" in capsys.readouterr().err
