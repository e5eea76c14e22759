"""MUSIQ against a slow one that pads and masks, its sizes, and its weights by both layouts' names."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mvt4g.metrics.networks.musiq import GOOGLE, PYIQA, Musiq, MusiqNet, load_musiq
from mvt4g.metrics.networks.musiq_patches import PatchRule, hashed_places, multiscale_patches, resize, scaled_size
from mvt4g.metrics.video.imaging_quality import ImagingQuality
from mvt4g.types import InputError
from tests.reference import musiq as slow

TINY = Musiq(PatchRule(patch=8, grid=3, longer_sides=(12, 20)), stem=8, groups=4, width=12, layers=2, heads=3, mlp=20)
TINY_GOOGLE = replace(TINY, patches=replace(TINY.patches, resize="gaussian"), std="biased", gelu="tanh")


def tiny_net(config: Musiq = TINY) -> MusiqNet:
    """Weights large enough that every step shows in the score."""
    net = MusiqNet(config).eval()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in net.named_parameters():
        is_scale = re.search(r"(norm\d?|gn\w*)\.weight$", name) is not None
        parameter.data = is_scale + 0.3 * torch.randn(parameter.shape, generator=generator)
    return net


def images(*size: int) -> torch.Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))


def slow_scores(net: MusiqNet, config: Musiq, batch: torch.Tensor, **options) -> list[float]:
    weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
    return [
        slow.score(
            image.double().permute(1, 2, 0).numpy(), weights, patch=config.patches.patch, grid=config.patches.grid,
            longer_sides=config.patches.longer_sides, how=config.patches.resize, groups=config.groups,
            layers=config.layers, heads=config.heads, biased=config.std == "biased", gelu_rule=config.gelu, **options,
        )
        for image in batch
    ]  # fmt: skip


def test_it_has_27_million_parameters():
    with torch.device("meta"):
        net = MusiqNet()
    assert sum(parameter.numel() for parameter in net.parameters()) == 27_125_825
    assert net.embedding.weight.shape == (384, 64 * 256)


@pytest.mark.parametrize("size", [(18, 29), (40, 17), (8, 8)], ids=str)
@pytest.mark.parametrize("config", [TINY, TINY_GOOGLE], ids=["pyiqa", "google"])
def test_scores_are_those_of_the_slow_one_that_pads_and_masks(size, config):
    """The slow one pads every resized image to its most patches and masks them; ours has no padding at all."""
    net, batch = tiny_net(config), images(*size)
    with torch.no_grad():
        found = net(batch)
    assert found.tolist() == pytest.approx(slow_scores(net, config, batch), abs=2e-5)
    assert abs(found[0] - found[1]) > 1e-3


def test_padding_that_is_read_changes_the_score():
    net, batch = tiny_net(), images(18, 29)
    masked, read = slow_scores(net, TINY, batch), slow_scores(net, TINY, batch, masked=False)
    assert min(abs(one - other) for one, other in zip(masked, read, strict=True)) > 1e-2


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        ({"patches": TINY_GOOGLE.patches}, 1e-2, 1e1),
        ({"gelu": "tanh"}, 1e-5, 1e-2),
        ({"std": "biased"}, 1e-7, 1e-4),  # a group norm follows every convolution and undoes its scale
    ],
    ids=["resize", "gelu", "std"],
)
def test_what_the_ports_do_differently_shows(change, least, most):
    net, other, batch = tiny_net(), tiny_net(replace(TINY, **change)), images(18, 29)
    assert all(torch.equal(one, same) for one, same in zip(net.parameters(), other.parameters(), strict=True))
    with torch.no_grad():
        assert least < (net(batch).double() - other(batch).double()).abs().max() < most


@pytest.mark.parametrize("size", [(20, 33), (33, 20), (64, 64), (480, 832)], ids=str)
@pytest.mark.parametrize("how", ["bicubic", "gaussian"])
def test_patches_places_and_scales_are_the_slow_ones(size, how):
    rule = replace(PatchRule(resize=how), longer_sides=(96, 160) if max(size) > 100 else (40, 70))
    picture = 2 * images(*size)[:1] - 1
    patches, places, scales = multiscale_patches(picture, rule)
    slow_image = picture[0].double().permute(1, 2, 0).numpy()
    wanted, slow_places, slow_scales, mask = slow.tokens_of(slow_image, 32, 10, rule.longer_sides, how)
    there = mask.astype(bool)
    np.testing.assert_allclose(patches[0].permute(0, 2, 3, 1).numpy(), wanted[there], atol=3e-4)  # positions are fp32
    assert places.tolist() == slow_places[there].tolist()
    assert scales.tolist() == slow_scales[there].tolist()
    assert there.sum() < len(mask) or size == (64, 64)  # otherwise nothing was padded


def test_places_are_those_of_nearest_resizing():
    table = torch.arange(10.0)
    for count in range(1, 205):
        nearest = F.interpolate(table[None, None], size=count, mode="nearest")[0, 0].long()
        assert torch.equal(hashed_places(1, count, 10), nearest), count
        assert torch.equal(hashed_places(count, 1, 10), 10 * nearest), count


def test_480p_has_so_many_patches():
    _, _, scales = multiscale_patches(torch.zeros(1, 3, 295, 512), PatchRule())
    assert torch.bincount(scales).tolist() == [5 * 7, 7 * 12, 10 * 16]


@pytest.mark.parametrize(("size", "scaled"), [((480, 832), (129, 224)), ((4, 1000), (1, 224)), ((1, 1000), (1, 224))])
def test_sizes_keep_the_aspect_and_a_pixel(size, scaled):
    assert scaled_size(*size, 224) == scaled


@pytest.mark.parametrize("how", ["bicubic", "gaussian"])
def test_resizing_keeps_a_plain_picture(how):
    plain = torch.full((1, 3, 13, 21), 0.3)
    torch.testing.assert_close(resize(plain, (7, 40), how), torch.full((1, 3, 7, 40), 0.3))


def test_it_scores_a_batch_as_one_by_one_and_passes_gradients():
    net, batch = tiny_net(), images(18, 29).requires_grad_()
    together = net(batch)
    torch.testing.assert_close(together, torch.cat([net(one[None]) for one in batch]), rtol=0, atol=1e-5)
    together.sum().backward()
    assert batch.grad.abs().max() > 0


def test_imaging_quality_runs_it():
    metric = ImagingQuality(tiny_net())
    metric.update(images(18, 29)[None])
    with torch.no_grad():
        assert float(metric.compute()) == pytest.approx(float(tiny_net()(images(18, 29)).mean()) / 100, abs=1e-6)


PYIQA_NAMES = {
    "conv_root.weight",
    "gn_root.weight",
    "gn_root.bias",
    "block1.conv1.weight",
    "block1.gn1.weight",
    "block1.gn1.bias",
    "block1.conv2.weight",
    "block1.gn2.weight",
    "block1.gn2.bias",
    "block1.conv3.weight",
    "block1.gn3.weight",
    "block1.gn3.bias",
    "block1.conv_proj.weight",
    "block1.gn_proj.weight",
    "block1.gn_proj.bias",
    "embedding.weight",
    "embedding.bias",
    "transformer_encoder.cls",
    "transformer_encoder.posembed_input.position_emb",
    "transformer_encoder.scaleembed_input.scale_emb",
    "transformer_encoder.encoder_norm.weight",
    "transformer_encoder.encoder_norm.bias",
    "head.weight",
    "head.bias",
}
BLOCK_NAMES = {
    "norm1.weight",
    "norm1.bias",
    "attention.query.weight",
    "attention.query.bias",
    "attention.key.weight",
    "attention.key.bias",
    "attention.value.weight",
    "attention.value.bias",
    "attention.out.weight",
    "attention.out.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
}


def test_names_are_those_that_programs_read_from_pyiqas_file():
    with torch.device("meta"):
        found = set(MusiqNet(PYIQA).state_dict())
    blocks = {f"transformer_encoder.transformer.encoderblock_{i}.{name}" for i in range(14) for name in BLOCK_NAMES}
    assert found == blocks | PYIQA_NAMES


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_state_dict_loads(tmp_path, wrapped):
    weights = tiny_net().state_dict()
    scale_emb = "transformer_encoder.scaleembed_input.scale_emb"
    weights[scale_emb] = weights[scale_emb][0]
    torch.save({"params": weights} if wrapped else weights, tmp_path / "musiq.pth")
    loaded = load_musiq(tmp_path / "musiq.pth", TINY)
    assert torch.equal(loaded(images(18, 29)), tiny_net()(images(18, 29)))


FLAX_NAMES = {
    "norm1": "LayerNorm_0", "norm2": "LayerNorm_2", "attention": "MultiHeadDotProductAttention_1",
    "mlp.fc1": "MlpBlock_3.Dense_0", "mlp.fc2": "MlpBlock_3.Dense_1", "block1.": "block1.unit1.",
    "position_emb": "pos_embedding", "scale_emb": "scale_embedding",
}  # fmt: skip


def flax_arrays(net: MusiqNet, heads: int) -> dict[str, np.ndarray]:
    """Name and lay out weights as google's file does, written from its code."""
    arrays = {}
    for name, value in net.state_dict().items():
        array = value.numpy()
        path = name.replace("transformer_encoder.transformer.", "Transformer.").replace(
            "transformer_encoder.", "Transformer."
        )
        for ours, theirs in FLAX_NAMES.items():
            path = re.sub(rf"(?<![a-z]){re.escape(ours)}(?![a-z]*_input)", theirs, path)
        if "gn" in path:
            array = array.reshape(1, 1, 1, -1)
        if path.endswith("weight") and array.ndim == 4 and "gn" not in path:
            array = array.transpose(2, 3, 1, 0)
        elif path.endswith("weight") and array.ndim == 2:
            array = array.T
            if "Attention" in path:
                d = array.shape[0]
                array = array.reshape((heads, d // heads, d) if ".out." in path else (d, heads, d // heads))
        elif "Attention" in path and ".out." not in path:
            array = array.reshape(heads, -1)
        kind = "scale" if re.search(r"norm|Norm|gn", path) else "kernel"
        arrays["opt/target/" + re.sub(r"weight$", kind, path).replace(".", "/")] = array
    return arrays


def test_googles_layout_loads(tmp_path):
    net = tiny_net(TINY_GOOGLE)
    arrays = flax_arrays(net, TINY.heads)
    assert arrays["opt/target/Transformer/encoderblock_1/MultiHeadDotProductAttention_1/query/kernel"].shape == (
        12,
        3,
        4,
    )
    assert arrays["opt/target/block1/unit1/gn_proj/scale"].shape == (1, 1, 1, 32)
    np.savez(tmp_path / "musiq.npz", **arrays, **{"opt/state/step": np.array(5)})
    loaded = load_musiq(tmp_path / "musiq.npz", TINY_GOOGLE)
    assert torch.equal(loaded(images(18, 29)), net(images(18, 29)))


def test_missing_and_unexpected_weights_are_named(tmp_path):
    weights = tiny_net().state_dict()
    weights["head.0.weight"] = weights.pop("head.weight")
    torch.save(weights, tmp_path / "musiq.pth")
    with pytest.raises(
        InputError, match=r"musiq\.pth: got weights .*1 missing: head\.weight; 1 unexpected: head\.0\.weight"
    ):
        load_musiq(tmp_path / "musiq.pth", TINY)


def test_files_that_are_none_are_named(tmp_path):
    (tmp_path / "text.npz").write_text("no array")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(InputError, match=r"text\.npz: cannot be read .*want a whole \.npz of arrays"):
        load_musiq(tmp_path / "text.npz", TINY)
    with pytest.raises(InputError, match=r"other\.npz: got weights that do not fit MusiqNet: 56 missing: conv_root"):
        load_musiq(tmp_path / "other.npz", TINY)
    with pytest.raises(InputError, match=r"absent\.npz: no such file"):
        load_musiq(tmp_path / "absent.npz", TINY)
    with pytest.raises(InputError, match=r"other\.npz: got sha256"):
        load_musiq(tmp_path / "other.npz", TINY, sha256="0" * 64)


def test_ports_are_chosen_by_the_file():
    assert (PYIQA.patches.resize, PYIQA.std, PYIQA.gelu) == ("bicubic", "unbiased", "none")
    assert (GOOGLE.patches.resize, GOOGLE.std, GOOGLE.gelu) == ("gaussian", "biased", "tanh")
