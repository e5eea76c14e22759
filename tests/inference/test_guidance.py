import warnings
import weakref

import pytest
import torch

from mvt4g.commands.encode_prompts import encode_prompts_to
from mvt4g.diffusion.samplers import EulerSampler
from mvt4g.formats.latent_file import read_prompt, write_prompt
from mvt4g.inference.guidance import Guidance, GuidanceSpec
from mvt4g.models import text
from mvt4g.models.image_tokens import ImageEncoder
from mvt4g.models.novel_view import NovelViewModel
from mvt4g.models.text import NEGATIVE_PROMPT, TextEncoderSpec, encode_prompts
from mvt4g.types import Conditions, InputError
from tests.evaluation.test_real_video import FRAMES, build
from tests.models.small_backbones import small_cameras
from tests.models.tiny_clip import DIM, write_clip_weights
from tests.models.tiny_umt5 import SIZES, write_tokenizer, write_umt5

SMALL = ((8, 8),)
WIDE = ((60, SIZES.d_model),)
SEEING = ((8, 64), DIM)
"""Text shape and image width of networks."""


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
        asked = Guidance(GuidanceSpec(**guidance), *SMALL).arguments(("a", "b"), torch.device("cpu"))
        sampler = EulerSampler(1)
        return model.generate(reference, cameras, noise, sampler, Conditions(asked.text), asked.guidance).latents

    with torch.no_grad():
        text, negative = (read_prompt(path).expand(2, -1, -1) for path in files)
        towards, away = (
            model.backbone(noise, reference, level, cameras, Conditions(one)).velocity for one in (text, negative)
        )
    want = noise - (away + 5 * (towards - away))
    got = made(text=files[0], negative=files[1], scale=5.0)
    assert (got - want).abs().max() < 1e-4
    for other in (made(text=files[0], scale=5.0), made(text=files[0], negative=files[1]), made(scale=5.0)):
        assert (other - got).norm() / got.norm() > 0.01
    assert torch.equal(made(scale=5.0), made()), "without a text there is nothing to strengthen"


def test_a_clip_s_own_text_comes_first(files):
    own = torch.rand(2, 4, 8)
    guidance = Guidance(GuidanceSpec(*files, scale=2.0), *SMALL)
    assert guidance.arguments(("a", "b"), own.device, own).text is own
    assert guidance.arguments(("a", "b"), own.device).text.shape == (2, 3, 8)


def test_prompts_are_written_for_it(tmp_path, capsys):
    spec = TextEncoderSpec(write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"))
    assert encode_prompts_to(tmp_path / "out", spec, ("a red ball", "two"), device="cpu") == 0
    assert "prompt-0.safetensors: 4 tokens" in capsys.readouterr().out
    assert [len(read_prompt(tmp_path / "out" / f"prompt-{i}.safetensors")) for i in (0, 1)] == [4, 2]
    assert read_prompt(tmp_path / "out" / "negative.safetensors").shape[1] == 32


@pytest.fixture
def encoder(tmp_path):
    return TextEncoderSpec(
        write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"), dtype="float32"
    )


def test_words_are_encoded_once_and_the_encoder_is_dropped(encoder, tmp_path, monkeypatch):
    (tmp_path / "metadata.csv").write_text("file_name,text\nbear.mp4,a red ball\n")
    made, load = [], text.load_umt5
    monkeypatch.setattr(text, "load_umt5", lambda *given: [net := load(*given), made.append(weakref.ref(net))][0])
    guidance = Guidance(
        GuidanceSpec(encoder=encoder, prompt="two", captions=tmp_path / "metadata.csv", scale=5.0), *WIDE
    )
    assert made == [], "nothing is loaded before it is asked for"
    asked = [guidance.arguments(names, torch.device("cpu")) for names in (("bear", "cow"), ("cow",))]
    assert len(made) == 1
    assert made[0]() is None, "not left to a later garbage collection"
    want = encode_prompts(["a red ball", "two", NEGATIVE_PROMPT], encoder)
    ball, two = want["a red ball"], want["two"]
    assert (len(ball), len(two)) == (4, 2)
    assert torch.equal(asked[0].text[0], ball)
    assert torch.equal(asked[0].text[1, :2], two)
    assert not asked[0].text[1, 2:].any(), "zeros behind, as the network pads"
    assert torch.equal(asked[1].text[0], two)
    for arguments, batch in zip(asked, (2, 1), strict=True):
        assert torch.equal(arguments.guidance.negative, want[NEGATIVE_PROMPT].expand(batch, -1, -1))


def test_a_negative_prompt_of_one_s_own(encoder, tmp_path):
    write_prompt(tmp_path / "other.safetensors", "", torch.rand(3, 32), torch.float32)
    own = Guidance(GuidanceSpec(encoder=encoder, prompt="two", negative_prompt="falls"), *WIDE)
    assert torch.equal(
        own.arguments(("a",), torch.device("cpu")).guidance.negative[0], encode_prompts(["falls"], encoder)["falls"]
    )
    of_file = Guidance(GuidanceSpec(encoder=encoder, prompt="two", negative=tmp_path / "other.safetensors"), *WIDE)
    assert torch.equal(
        of_file.arguments(("a",), torch.device("cpu")).guidance.negative[0], read_prompt(tmp_path / "other.safetensors")
    )


def test_image_tokens_are_those_of_precompute(tmp_path):
    guidance = Guidance(GuidanceSpec(image_encoder=write_clip_weights(tmp_path / "clip.pth")), *SEEING)
    frames = torch.rand(2, 3, 20, 30)
    found = guidance.image(frames)
    assert torch.equal(found, ImageEncoder(tmp_path / "clip.pth", "bfloat16")(frames))
    assert (guidance.image(frames.flip(0)) - found).norm() / found.norm() > 0.1, "another frame shows"
    own = torch.zeros(2, 1, 160)
    assert guidance.image(frames, own) is own, "what a cache brings comes first"


def test_a_backbone_that_looks_at_an_image_is_warned_of_once_without_one():
    guidance, frames = Guidance(GuidanceSpec(), *SEEING), torch.rand(1, 3, 8, 8)
    with pytest.warns(
        UserWarning, match=r"image_encoder: got null for a backbone that looks at image tokens of width 160"
    ):
        assert guidance.image(frames) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert guidance.image(frames) is None
        assert Guidance(GuidanceSpec(), *SMALL).image(frames) is None, "one that looks at none needs none"


def test_bad_settings_are_named(encoder, files, tmp_path):
    with pytest.raises(InputError, match=r"evaluation\.guidance\.scale: got 0\.5, want at least 1"):
        GuidanceSpec(scale=0.5)
    for words in ({"prompt": "two"}, {"captions": tmp_path / "a.csv"}, {"negative_prompt": ""}):
        with pytest.raises(InputError, match=r"guidance\.encoder: got null, want an encoder together with"):
            GuidanceSpec(**words)
    with pytest.raises(InputError, match=r"guidance\.encoder: got one without prompt, captions and negative_prompt"):
        GuidanceSpec(encoder=encoder)
    with pytest.raises(InputError, match=r"guidance\.text: got a file and prompt, want one of them"):
        GuidanceSpec(encoder=encoder, prompt="two", text=files[0])
    with pytest.raises(InputError, match=r"none\.pth: no such file, want the encoder that evaluation\.guidance names"):
        Guidance(GuidanceSpec(image_encoder=tmp_path / "none.pth"), *SEEING)
    (tmp_path / "metadata.csv").write_text("file_name,text\nbear.mp4,a red ball\n")
    guidance = Guidance(GuidanceSpec(encoder=encoder, captions=tmp_path / "metadata.csv"), *WIDE)
    with pytest.raises(InputError, match=r"metadata\.csv: got no text of cow, want one, or a prompt for all others"):
        guidance.arguments(("cow",), torch.device("cpu"))
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        Guidance(GuidanceSpec(text=tmp_path / "none.safetensors"), *SMALL)


def test_what_the_network_does_not_take_is_named(encoder, files, tmp_path):
    said = r"text\.safetensors: got a text of 3 tokens of width 8, want at most 8 of width 9, as the backbone takes"
    with pytest.raises(InputError, match=said):
        Guidance(GuidanceSpec(text=files[0]), (8, 9))
    with pytest.raises(InputError, match=r"negative\.safetensors: got a text of 3 tokens of width 8, want at most 2"):
        Guidance(GuidanceSpec(negative=files[1]), (2, 8))
    with pytest.raises(InputError, match=r"umt5\.pth: got a text of 2 tokens of width 32, want at most 8 of width 8"):
        Guidance(GuidanceSpec(encoder=encoder, prompt="two"), *SMALL).arguments(("a",), torch.device("cpu"))
    with pytest.raises(InputError, match=r"clip\.pth: got an image encoder for a backbone that looks at no image"):
        Guidance(GuidanceSpec(image_encoder=write_clip_weights(tmp_path / "clip.pth")), *SMALL)
