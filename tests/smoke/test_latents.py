"""Training from a cache is training from the clips themselves."""

import pytest
import torch

from mvt4g.formats.latent_file import FILE, read_latents, write_latents
from tests.models.tiny_umt5 import write_tokenizer, write_umt5

SCENE = ("--scene", "configs/debug.yaml", "--cache.most", 8, "--device", "cpu")


def weights(run):
    (checkpoint,) = (run / "checkpoints").glob("*4.ckpt")
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def distance(got, want):
    return max(((got[name] - want[name]).abs().max() / want[name].abs().max()).item() for name in want)


@pytest.fixture
def fit(mvt4g, tmp_path):
    def run(cache, name):
        over = ("--data.init_args.train", cache, "--data.init_args.val", cache, "--data.init_args.num_held_out", 2)
        config = (
            "-c",
            "configs/debug.yaml",
            "-c",
            "configs/data/latents.yaml",
            "--data.init_args.loader.batch_size",
            2,
        )
        return mvt4g("fit", *config, "--run", tmp_path / name, *over, "--data.init_args.loader.num_workers", 0)

    return run


def test_it_ends_with_the_same_weights(mvt4g, fit, trained_run, tmp_path):
    assert mvt4g("precompute", "--out", tmp_path / "cache", *SCENE) == 0
    assert fit(tmp_path / "cache", "same") == 0
    want = weights(trained_run)
    assert distance(weights(tmp_path / "same"), want) < 1e-6
    for file in (tmp_path / "cache").rglob(FILE):
        clip = read_latents(file)
        clip.latents[0] *= 1.05
        write_latents(file, clip)
    assert fit(tmp_path / "cache", "other") == 0
    assert distance(weights(tmp_path / "other"), want) > 1e-3, "a twentieth more of the reference shows"


def test_latents_of_another_codec_are_refused(mvt4g, fit, tmp_path, capsys):
    codec = ("--codec", "mvt4g.models.codec.PatchCodec", "--codec.scale", "whitened")
    assert mvt4g("precompute", "--out", tmp_path / "cache", *codec, *SCENE) == 0
    assert fit(tmp_path / "cache", "run") == 2
    got = "PatchCodec block=4 keep=16 scale=whitened"
    assert f"cache: got latents of '{got}', want the model's codec 'PatchCodec" in capsys.readouterr().err


def test_a_text_of_another_width_is_refused(mvt4g, fit, tmp_path, capsys):
    write_umt5(tmp_path / "umt5.pth")
    write_tokenizer(tmp_path / "tokenizer.json")
    text = ("--text.weights", tmp_path / "umt5.pth", "--text.tokenizer", tmp_path / "tokenizer.json")
    assert mvt4g("precompute", "--out", tmp_path / "cache", *text, *SCENE) == 0
    assert fit(tmp_path / "cache", "run") == 2
    assert "text: got shape (2, 1, 32), want at most 8 tokens of width 16" in capsys.readouterr().err


def test_a_truncated_or_absent_cache_is_one_line(mvt4g, fit, tmp_path, capsys):
    assert mvt4g("precompute", "--out", tmp_path / "cache", *SCENE) == 0
    for file in (tmp_path / "cache").rglob(FILE):
        file.write_bytes(file.read_bytes()[:-7])
    assert fit(tmp_path / "cache", "run") == 2
    assert "latents.safetensors: cannot be read" in capsys.readouterr().err
    assert fit(tmp_path / "none", "other") == 2
    assert "none: got no cache there, want one of mvt4g precompute" in capsys.readouterr().err
