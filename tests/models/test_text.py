import sys

import numpy as np
import pytest
import torch
from transformers import UMT5EncoderModel

from mvt4g.models.text import (
    NEGATIVE_PROMPT,
    TIED,
    TextEncoderSpec,
    build_umt5,
    clean_prompt,
    encode_prompts,
    encode_tokens,
    load_tokenizer,
    load_umt5,
    original_name,
)
from mvt4g.types import InputError
from tests.models.test_wan_codec import fingerprint
from tests.models.tiny_umt5 import SIZES, original_weights, random_umt5, write_tokenizer, write_umt5
from tests.reference import umt5

TOLERANCE = 5e-5
IDS = np.random.default_rng(0).integers(3, 40, 200)
"""Long enough for every bucket of distance."""


def slow(weights, ids=IDS):
    return torch.from_numpy(umt5.encode(weights, ids, SIZES.num_heads))


def distance(got, want):
    return ((got.double() - want.double()).abs().max() / want.double().std()).item()


@pytest.fixture(scope="module")
def weights():
    return {name: value.double().numpy() for name, value in original_weights(random_umt5()).items()}


@pytest.fixture
def spec(tmp_path):
    return TextEncoderSpec(
        write_umt5(tmp_path / "umt5.pth"), write_tokenizer(tmp_path / "tokenizer.json"), length=6, dtype="float32"
    )


def test_full_size_has_the_fingerprint_of_the_released_file():
    with torch.device("meta"):
        original = original_weights(build_umt5())
    assert len(original) == 242
    assert sum(value.numel() for value in original.values()) == 5_680_910_336
    assert fingerprint(original) == "9c8818c2cbea55eca56c7b447df170da"


def test_it_equals_the_slow_twin(spec, weights):
    encoder = load_umt5(spec.weights, torch.float32)
    got = encode_tokens(encoder, torch.from_numpy(IDS)[None])[0]
    assert got.shape == (200, 32)
    assert distance(got, slow(weights)) < TOLERANCE


def test_padding_and_a_mask_change_nothing(spec):
    encoder = load_umt5(spec.weights, torch.float32)
    ids = torch.from_numpy(IDS[:20])[None]
    padded, mask = torch.zeros(1, 32, dtype=torch.long), torch.arange(32)[None] < 20
    padded[:, :20] = ids
    with torch.no_grad():
        masked = encoder(input_ids=padded, attention_mask=mask.long()).last_hidden_state[:, :20]
        unmasked = encoder(input_ids=padded).last_hidden_state[:, :20]
    assert distance(encode_tokens(encoder, ids), masked) < TOLERANCE
    assert distance(unmasked, masked) > 0.1


@pytest.mark.parametrize("change", ["one bias for all blocks", "scaled", "directions alike", "one order"])
def test_what_the_twin_checks_shows(weights, change, monkeypatch):
    want, other, ids = slow(weights), dict(weights), IDS
    if change == "one bias for all blocks":
        for layer in (1, 2):
            other[f"blocks.{layer}.pos_embedding.embedding.weight"] = weights["blocks.0.pos_embedding.embedding.weight"]
    elif change == "scaled":
        other |= {name: value / 8**0.5 for name, value in weights.items() if name.endswith("attn.q.weight")}
    elif change == "directions alike":
        bucket = umt5.bucket
        monkeypatch.setattr(umt5, "bucket", lambda offset, *rest: bucket(-abs(offset), *rest))
    else:
        ids = IDS[::-1]
        want = want.flip(0)
    assert distance(slow(other, ids), want) > 0.1


def test_every_kind_of_file_gives_the_same_encoder(spec, tmp_path):
    encoder, ids = random_umt5(), torch.from_numpy(IDS)[None]
    want = encode_tokens(load_umt5(spec.weights, torch.float32), ids)
    encoder.save_pretrained(tmp_path / "text_encoder")
    torch.save(encoder.state_dict(), tmp_path / "tied.pth")
    for path in (tmp_path / "text_encoder", tmp_path / "tied.pth"):
        assert torch.equal(encode_tokens(load_umt5(path, torch.float32), ids), want)
    theirs = UMT5EncoderModel.from_pretrained(tmp_path / "text_encoder", dtype=torch.float32)
    assert torch.equal(encode_tokens(theirs, ids), want)
    assert {original_name(name) for name in encoder.state_dict() if name != TIED} == set(original_weights(encoder))


def test_prompts_are_encoded_once_each_and_cut(spec):
    long = "a red ball falls on two one a"
    found = encode_prompts(["a red ball", long, "", "a red ball"], spec)
    assert [*found] == ["a red ball", long, ""]
    assert [len(rows) for rows in found.values()] == [4, 6, 1]
    assert all(rows.dtype == torch.float32 and rows.device.type == "cpu" for rows in found.values())
    encoder = load_umt5(spec.weights, torch.float32)
    assert torch.equal(found["a red ball"], encode_tokens(encoder, torch.tensor([[3, 4, 5, 1]]))[0])
    assert torch.equal(found[long], encode_tokens(encoder, torch.tensor([[3, 4, 5, 6, 7, 1]]))[0])
    assert distance(found[""], found["a red ball"][-1:]) > 0.1


def test_the_encoder_is_gone_after_the_call(spec, monkeypatch):
    import gc
    import weakref

    alive = []
    monkeypatch.setattr(
        "mvt4g.models.text.load_umt5", lambda *given: (net := load_umt5(*given), alive.append(weakref.ref(net)))[0]
    )
    encode_prompts(["a"], spec)
    gc.collect()
    assert [reference() for reference in alive] == [None]


def test_bf16_is_close(spec):
    low = encode_prompts(["a red ball"], TextEncoderSpec(spec.weights, spec.tokenizer))["a red ball"]
    high = encode_prompts(["a red ball"], spec)["a red ball"]
    assert 1e-4 < (low - high).norm() / high.norm() < 0.05


def test_prompts_are_cleaned():
    assert clean_prompt("  a\tred\n\n ball ") == "a red ball"
    assert clean_prompt("cafÃ© &amp;amp; tea &lt;3") == "café & tea <3"
    assert clean_prompt("") == ""
    assert clean_prompt(NEGATIVE_PROMPT).endswith("三条腿,背景人很多,倒着走"), (
        "as Wan's own cleaning, which narrows commas"
    )


def test_bad_files_are_named(spec, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"tokenizer\.json: no such file"):
        load_tokenizer(tmp_path / "empty", 512)
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(InputError, match=r"odd\.json: cannot be read"):
        load_tokenizer(tmp_path / "odd.json", 512)
    with pytest.raises(InputError, match="got no end mark after a prompt"):
        load_tokenizer(write_tokenizer(tmp_path / "endless.json", end_mark=False), 512)
    weights = original_weights(random_umt5())
    del weights["blocks.1.pos_embedding.embedding.weight"]
    torch.save(weights, tmp_path / "shared.pth")
    with pytest.raises(InputError, match=r"1 missing: encoder\.block\.1\.layer\.0\.SelfAttention"):
        load_umt5(tmp_path / "shared.pth", torch.float32)
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "vae.pth")
    with pytest.raises(InputError, match=r"vae\.pth: got weights of another network .*: 242 missing"):
        load_umt5(tmp_path / "vae.pth", torch.float32)
    (tmp_path / "short.pth").write_bytes(spec.weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"short\.pth: got .*want a file of tensors"):
        load_umt5(tmp_path / "short.pth", torch.float32)
    with pytest.raises(InputError, match=r"encoder\.length: got 1, want at least 2"):
        TextEncoderSpec(spec.weights, spec.tokenizer, length=1)


@pytest.mark.parametrize("package", ["transformers", "tokenizers", "ftfy"])
def test_without_its_packages_it_says_what_to_install(package, spec, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"text: .*{package} .*pip install mvt4g\[wan\]"):
        encode_prompts(["a"], spec)
