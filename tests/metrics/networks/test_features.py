"""timm's networks compute what the files' authors compute, from local files alone."""

import functools
import pickle
import sys

import numpy as np
import pytest
import timm
import torch
from torch import nn

from mvt4g.metrics.functional.preprocessing import DINO_FRAMES, preprocess
from mvt4g.metrics.networks.features import (
    ImageFeatures,
    PatchFeatures,
    aesthetic_head,
    dino_position_embedding,
    load_timm,
)
from mvt4g.metrics.video.subject_consistency import SubjectConsistency
from mvt4g.types import InputError
from tests.pretend_device import SECOND, brought_back, second_device, sent
from tests.reference import temporal_consistency as consistency
from tests.reference import vision_transformer as twin

DINO_S, DINO_B = "vit_small_patch16_224.dino", "vit_base_patch16_224.dino"
CLIP_B, CLIP_L = "vit_base_patch32_clip_quickgelu_224.openai", "vit_large_patch14_clip_quickgelu_224.openai"
DINO_V2, DINO_V3 = "vit_small_patch14_dinov2.lvd142m", "vit_small_patch16_dinov3.lvd1689m"
IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))


@pytest.fixture
def narrow(monkeypatch):
    """Build every architecture two blocks deep and 32 wide: the same code and names, a hundredth of the time."""
    build = functools.partial(timm.create_model, depth=2, embed_dim=32, num_heads=4)
    monkeypatch.setattr(timm, "create_model", build)
    return build


def randomised(net: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """Draw weights none of which is 0 or 1: a fresh network has zero biases, which hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    return {
        key: torch.randn(value.shape, generator=generator) * 0.2 + (0.8 if "norm" in key else 0)
        for key, value in net.state_dict().items()
    }


def saved(weights: dict[str, torch.Tensor], folder) -> str:
    torch.save(weights, folder / "weights.pth")
    return str(folder / "weights.pth")


def images(height: int, width: int, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def as_numpy(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {key: value.double().numpy() for key, value in weights.items()}


def imagenet(image: torch.Tensor) -> np.ndarray:
    return (image.double().numpy() - IMAGENET[0][:, None, None]) / IMAGENET[1][:, None, None]


@pytest.mark.parametrize(
    ("architecture", "count", "width"), [(DINO_S, 150, 384), (DINO_B, 150, 768), (CLIP_B, 153, 512), (CLIP_L, 297, 768)]
)
def test_key_layout(architecture, count, width):
    with torch.device("meta"):
        net = timm.create_model(architecture, pretrained=False, dynamic_img_size=True).eval()
        assert len(net.state_dict()) == count
        assert net.forward_head(net.forward_features(torch.zeros(1, 3, 224, 224))).shape == (1, width)


@pytest.mark.parametrize(("architecture", "activation"), [(CLIP_B, "QuickGELU"), (CLIP_L, "QuickGELU")])
def test_clip_has_its_own_activation(architecture, activation):
    with torch.device("meta"):
        right, wrong = (
            timm.create_model(name, depth=1).blocks[0].mlp.act
            for name in (architecture, architecture.replace("quickgelu_", ""))
        )
    assert type(right).__name__ == activation
    assert type(wrong).__name__ == "GELU", "the name without quickgelu gives other embeddings of the same weights"


def test_a_file_of_dino_gives_what_the_network_gives(tmp_path):
    """At full size: timm's own network, its weights through a file."""
    net = timm.create_model(DINO_S, dynamic_img_size=True).eval()
    weights = randomised(net)
    net.load_state_dict(weights)
    found = ImageFeatures(saved(weights, tmp_path), DINO_S)
    batch = images(224, 224, count=1)
    with torch.no_grad():
        assert torch.equal(found(batch), net(batch))
        assert not torch.allclose(found(images(224, 208, count=1)), net(images(224, 208, count=1)), rtol=1e-3)


@pytest.mark.parametrize("size", [(224, 224), (64, 80), (224, 384)])
def test_image_features_are_dinos_class_token(narrow, tmp_path, size):
    weights = randomised(narrow(DINO_B))
    batch = images(*size, count=1)
    found = ImageFeatures(saved(weights, tmp_path), DINO_B)(batch)
    wanted = twin.dino(as_numpy(weights), batch[0].double().numpy(), 4, (14, 14))[0]
    np.testing.assert_allclose(found[0].numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_patch_features_are_dinos_tokens_normalised_once_more(narrow, tmp_path):
    weights = randomised(narrow(DINO_S))
    path, batch = saved(weights, tmp_path), images(64, 80)
    plain, normed = PatchFeatures(path, channel_norm=False)(batch), PatchFeatures(path)(batch)
    assert plain.shape == normed.shape == (2, 4, 5, 32)
    wanted = np.stack([twin.dino(as_numpy(weights), imagenet(image), 4, (14, 14))[1:] for image in batch])
    np.testing.assert_allclose(plain.flatten(1, 2).numpy(), wanted, rtol=1e-4, atol=1e-5)
    wanted = twin.layer_norm(wanted, 1.0, 0.0, 1e-5)
    np.testing.assert_allclose(normed.flatten(1, 2).numpy(), wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain, normed, atol=0.1)


def test_the_map_covers_the_whole_image(narrow, tmp_path):
    """Cut at the right and bottom instead, upsampled features would lie up to a patch beside their pixels."""
    features = PatchFeatures(saved(randomised(narrow(DINO_S)), tmp_path))
    batch = images(70, 90)
    resized = nn.functional.interpolate(batch, (64, 96), mode="bilinear", align_corners=False)
    assert torch.equal(features(batch), features(resized))
    assert features(batch).shape[1:3] == (4, 6)
    assert not torch.allclose(features(batch)[:, :, :5], features(batch[..., :64, :80]), atol=0.1)


@pytest.mark.parametrize("grid", [(14, 24), (5, 4), (14, 13), (30, 52)])
def test_dinos_position_rule(grid):
    embedding = torch.randn(1, 1 + 14 * 14, 6, generator=torch.Generator().manual_seed(0))
    found = dino_position_embedding(embedding, (14, 14), grid)[0].numpy()
    numbers = embedding[0].double().numpy()
    np.testing.assert_allclose(found, twin.dino_positions(numbers, (14, 14), grid), atol=1e-4)
    without = twin.dino_positions(numbers, (14, 14), grid, offset=0.0)
    assert np.linalg.norm(found - without) > 0.02 * np.linalg.norm(without), "the 0.1 is to be seen"


def smooth_embedding() -> torch.Tensor:
    """A random embedding that varies over a few cells, as trained ones do."""
    coarse = torch.randn(1, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    fine = nn.functional.interpolate(coarse, (14, 14), mode="bicubic")
    return torch.cat([torch.zeros(1, 1, 16), fine.flatten(2).transpose(1, 2)], dim=1)


@pytest.mark.parametrize("grid", [(14, 24), (30, 52), (8, 10)])
def test_timms_rule_is_another(grid):
    """By 3 to 13 % of the embedding, as the specification found."""
    embedding = smooth_embedding()
    ours = dino_position_embedding(embedding, (14, 14), grid)
    timms = timm.layers.resample_abs_pos_embed(embedding, list(grid), [14, 14])
    assert 0.01 < float((ours - timms).norm() / timms.norm()) < 0.2


def test_the_trained_grid_is_untouched():
    embedding = torch.randn(1, 1 + 6, 4)
    assert torch.equal(dino_position_embedding(embedding, (2, 3), (2, 3)), embedding)
    assert not torch.equal(dino_position_embedding(embedding, (2, 3), (3, 2)), embedding)


def test_the_rules_agree_at_the_trained_size_alone(narrow, tmp_path):
    path = saved(randomised(narrow(DINO_S)), tmp_path)
    dinos, timms = (PatchFeatures(path, position_rule=rule) for rule in ("dino", "timm"))
    torch.testing.assert_close(dinos(images(224, 224)), timms(images(224, 224)))
    assert float((dinos(images(96, 160)) - timms(images(96, 160))).norm()) > 0.01 * float(timms(images(96, 160)).norm())


def openai_layout(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename timm's weights to OpenAI's, with something of the text tower beside them."""
    names = {
        "blocks.": "transformer.resblocks.", "norm_pre.": "ln_pre.", "attn.qkv.": "attn.in_proj_",
        "attn.proj.": "attn.out_proj.", ".norm1.": ".ln_1.", ".norm2.": ".ln_2.", "fc1": "c_fc", "fc2": "c_proj",
        "patch_embed.proj.": "conv1.",
    }  # fmt: skip
    renamed = {"transformer.resblocks.0.ln_1.weight": torch.zeros(3), "logit_scale": torch.ones(())}
    for key, value in weights.items():
        if key == "head.weight":
            renamed["visual.proj"] = value.T.contiguous()
        elif key in ("cls_token", "pos_embed"):
            name = {"cls_token": "class_embedding", "pos_embed": "positional_embedding"}[key]
            renamed[f"visual.{name}"] = value.flatten() if key == "cls_token" else value[0]
        elif key != "head.bias":
            name = key.replace("norm.", "ln_post.") if key.startswith("norm.") else key
            for timms, theirs in names.items():
                name = name.replace(timms, theirs)
            renamed[f"visual.{name}"] = value
    return renamed


@pytest.mark.parametrize("architecture", [CLIP_B, CLIP_L])
def test_clip_in_either_layout_gives_openais_embedding(narrow, tmp_path, architecture):
    weights = randomised(narrow(architecture)) | {"head.bias": torch.zeros(narrow(architecture).num_classes)}
    theirs, batch = openai_layout(weights), images(224, 224, count=1)
    wanted = twin.clip(as_numpy(theirs), batch[0].double().numpy(), 4)
    for layout in (weights, theirs):
        found = ImageFeatures(saved(layout, tmp_path), architecture)(batch)
        np.testing.assert_allclose(found[0].numpy(), wanted, rtol=1e-4, atol=1e-4)
    other = ImageFeatures(saved(weights, tmp_path), architecture.replace("quickgelu_", ""))(batch)[0].numpy()
    assert np.abs(other - wanted).max() > 1000 * np.abs(found[0].numpy() - wanted).max(), "the activation is to be seen"


def test_dinov2_and_v3_have_patch_tokens(narrow, tmp_path):
    weights = randomised(narrow(DINO_V2))
    meta = weights | {"mask_token": torch.zeros(1, 32)}
    found = [PatchFeatures(saved(some, tmp_path), DINO_V2)(images(64, 90)) for some in (weights, meta)]
    assert found[0].shape == (2, 5, 6, 32)
    assert torch.equal(*found)
    third = PatchFeatures(saved(randomised(narrow(DINO_V3)), tmp_path), DINO_V3, position_rule="timm")
    assert third(images(64, 90)).shape == (2, 4, 6, 32)


def test_dinos_rule_is_refused_where_there_is_nothing_to_resize(narrow, tmp_path):
    path = saved(randomised(narrow(DINO_V3)), tmp_path)
    with pytest.raises(InputError, match=r"position_rule: got dino, want timm: .*dinov3"):
        PatchFeatures(path, DINO_V3)


def test_what_does_not_fit_is_refused_by_name(narrow, tmp_path):
    path = saved(randomised(narrow(DINO_S)), tmp_path)
    with pytest.raises(InputError, match="architecture: got vit_nonsense, want"):
        ImageFeatures(path, "vit_nonsense")
    with pytest.raises(InputError, match=r"weights\.pth: .*missing: .*norm_pre\.weight.*unexpected: .*patch_embed"):
        ImageFeatures(path, CLIP_B)
    with pytest.raises(InputError, match=r"absent\.pth: no such file"):
        PatchFeatures(tmp_path / "absent.pth")
    with pytest.raises(InputError, match=r"weights\.pth: got sha256"):
        PatchFeatures(path, sha256="0" * 64)


@pytest.mark.parametrize("mark", [{}, {"mask_token": torch.zeros(1, 32)}], ids=["timm", "meta"])
def test_weights_of_other_patches_are_refused_not_resampled(narrow, tmp_path, mark):
    weights = randomised(narrow("vit_small_patch8_224.dino")) | mark
    with pytest.raises(InputError, match=r"mis-shaped: .*patch_embed\.proj\.weight"):
        PatchFeatures(saved(weights, tmp_path), DINO_S)


def test_images_of_wrong_size_are_refused(narrow, tmp_path):
    path = saved(randomised(narrow(DINO_S)), tmp_path)
    with pytest.raises(InputError, match="images: got 50x64, want sides that are multiples of 16"):
        ImageFeatures(path, DINO_S)(images(50, 64))
    with pytest.raises(InputError, match=r"images: got \(8, 64\), want sides of at least 16"):
        PatchFeatures(path, DINO_S)(images(8, 64))


def test_loading_draws_nothing_and_freezes(narrow, tmp_path):
    path, before = saved(randomised(narrow(DINO_S)), tmp_path), torch.get_rng_state()
    net = load_timm(DINO_S, path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not net.training
    assert not any(weight.requires_grad for weight in net.parameters())


def test_gradients_reach_the_images(narrow, tmp_path):
    batch = images(32, 32).requires_grad_()
    PatchFeatures(saved(randomised(narrow(DINO_S)), tmp_path))(batch).square().mul(torch.arange(32)).sum().backward()
    assert batch.grad.abs().amax((1, 2, 3)).min() > 0


def test_the_aesthetic_head_is_laions(tmp_path):
    weights = {"weight": torch.randn(1, 768), "bias": torch.randn(1)}
    head, unit = aesthetic_head(saved(weights, tmp_path)), torch.randn(4, 768)
    torch.testing.assert_close(head(unit), unit @ weights["weight"].T + weights["bias"])
    with pytest.raises(InputError, match=r"1 mis-shaped: weight \(1, 768\) for \(1, 512\)"):
        aesthetic_head(saved(weights, tmp_path), embedding_size=512)


def test_subject_consistency_runs_dino_and_survives_a_trip(narrow, tmp_path):
    weights = randomised(narrow(DINO_B))
    video = torch.randint(0, 256, (1, 3, 3, 30, 52), dtype=torch.uint8)
    metric = SubjectConsistency(ImageFeatures(saved(weights, tmp_path)))
    metric.update(video)
    frames = preprocess(video[0] / 255, DINO_FRAMES).double().numpy()
    wanted = consistency.frame_scores([twin.dino(as_numpy(weights), frame, 4, (14, 14))[0] for frame in frames])
    assert float(metric.compute()) == pytest.approx(np.mean(wanted), abs=1e-5)
    assert torch.equal(pickle.loads(pickle.dumps(metric)).compute(), metric.compute())


@pytest.mark.parametrize("rule", ["dino", "timm"])
def test_features_of_another_device_stay_there(narrow, tmp_path, rule):
    features = PatchFeatures(saved(randomised(narrow(DINO_S)), tmp_path), position_rule=rule)
    wanted = features(images(40, 56))
    with second_device(), torch.no_grad():
        found = brought_back(features.to(SECOND)(sent(images(40, 56))))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_timm_is_not_paid_for_before_it_is_used():
    from tests.test_import_budget import packages_loaded_by

    assert "timm" in sys.modules
    assert "timm" not in packages_loaded_by("import mvt4g.metrics.networks.features")
