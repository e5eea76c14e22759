import pytest
import torch

from mvt4g.commands.encode_prompts import encode_prompts_to
from mvt4g.formats.latent_file import read_prompt, write_prompt
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.text import TextEncoderSpec
from mvt4g.systems.guidance import Guidance, GuidanceSpec
from mvt4g.types import InputError
from tests.models.small_backbones import small_cameras
from tests.models.tiny_umt5 import write_tokenizer, write_umt5
from tests.systems.test_real_video import FRAMES, build


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.safetensors" for name in ("text", "negative")]
    for seed, path in enumerate(paths):
        write_prompt(path, "", torch.randn(3, 8, generator=torch.Generator().manual_seed(seed)), torch.float32)
    return paths


def loud(model: NovelViewModel) -> NovelViewModel:
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    return model


def test_one_step_is_the_text_s_velocity_away_from_the_negative_one(files):
    model = loud(build(head=False))
    generator = torch.Generator().manual_seed(0)
    noise, reference = (torch.randn(2, 16, FRAMES, 8, 8, generator=generator) for _ in range(2))
    cameras, level = small_cameras(batch=2, frames=FRAMES), torch.ones(2)

    def made(**guidance):
        arguments = Guidance(GuidanceSpec(**guidance)).arguments(2, torch.device("cpu"))
        return model.generate(reference, cameras, noise, 1, **arguments).latents

    with torch.no_grad():
        text, negative = (read_prompt(path).expand(2, -1, -1) for path in files)
        towards, away = (model.backbone(noise, reference, level, cameras, one).velocity for one in (text, negative))
    want = noise - (away + 5 * (towards - away))
    got = made(text=files[0], negative=files[1], scale=5.0)
    assert (got - want).abs().max() < 1e-4
    for other in (made(text=files[0], scale=5.0), made(text=files[0], negative=files[1]), made(scale=5.0)):
        assert (other - got).norm() / got.norm() > 0.01
    assert torch.equal(made(scale=5.0), made()), "without a text there is nothing to strengthen"


def test_a_clip_s_own_text_comes_first(files):
    own = torch.rand(2, 4, 8)
    guidance = Guidance(GuidanceSpec(*files, scale=2.0))
    assert guidance.arguments(2, own.device, own)["text"] is own
    assert guidance.arguments(2, own.device)["text"].shape == (2, 3, 8)


def test_prompts_are_written_for_it(tmp_path, capsys):
    spec = TextEncoderSpec(write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"))
    assert encode_prompts_to(tmp_path / "out", spec, ("a red ball", "two"), device="cpu") == 0
    assert "prompt-0.safetensors: 4 tokens" in capsys.readouterr().out
    assert [len(read_prompt(tmp_path / "out" / f"prompt-{i}.safetensors")) for i in (0, 1)] == [4, 2]
    assert read_prompt(tmp_path / "out" / "negative.safetensors").shape[1] == 32


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(InputError, match=r"evaluation\.guidance\.scale: got 0\.5, want at least 1"):
        GuidanceSpec(scale=0.5)
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        Guidance(GuidanceSpec(text=tmp_path / "none.safetensors"))
