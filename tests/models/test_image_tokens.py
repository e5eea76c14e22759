import pytest
import torch

from mvt4g.models.image_tokens import IMAGE_MEAN, IMAGE_STD, ImageEncoder, VisionSizes, VisionTower
from mvt4g.types import InputError
from tests.models.tiny_clip import BLOCKS, SIZE, original_weights, random_clip, write_clip_weights

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return ImageEncoder(write_clip_weights(tmp_path_factory.mktemp("clip") / "clip.pth"))


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def theirs(images, layer=BLOCKS - 1):
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGE_MEAN, IMAGE_STD))
    with torch.no_grad():
        return random_clip()(pixel_values=(images - mean) / std, output_hidden_states=True).hidden_states[layer]


def distance(got, want):
    return ((got - want).abs().max() / want.std()).item()


def test_tokens_are_those_before_transformers_last_block(encoder, images):
    got = encoder(images)
    assert got.shape == (2, 17, 160)
    assert distance(got, theirs(images)) < TOLERANCE
    assert distance(got, theirs(images, BLOCKS)) > 0.1, "the last block would show"
    assert distance(got, theirs(images, BLOCKS - 2)) > 0.1, "and so would one less"
    assert distance(got, theirs(images.flip(1))) > 0.1


def test_other_shapes_are_squeezed_by_the_bicubic_kernel(encoder):
    image = torch.rand(1, 3, 40, 70)
    square = torch.nn.functional.interpolate(image, (SIZE, SIZE), mode="bicubic", align_corners=False)
    assert distance(encoder(image), theirs(square)) < TOLERANCE
    smoothed = torch.nn.functional.interpolate(image, (SIZE, SIZE), mode="bicubic", antialias=True)
    assert distance(theirs(smoothed), theirs(square)) > 0.1


def test_full_size():
    with torch.device("meta"):
        tower = VisionTower(VisionSizes())
        assert tower(torch.zeros(1, 3, 224, 224)).shape == (1, 257, 1280)
    assert len(tower.state_dict()) == 5 + 31 * 12
    left_out = 19_677_440 + 2 * 1280 + 1280 * 1024  # the last block, the norm after it, the head
    assert sum(value.numel() for value in tower.parameters()) + left_out == 632_076_800, "OpenCLIP's ViT-H/14"


def test_bf16_is_close_and_comes_as_fp32(encoder, images, tmp_path):
    low = ImageEncoder(write_clip_weights(tmp_path / "clip.pth"), dtype="bfloat16")(images)
    assert low.dtype == torch.float32
    assert 1e-4 < (low - encoder(images)).norm() / low.norm() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("visual.transformer.1.mlp.0.bias"), r"1 missing: transformer\.1\.mlp\.0\.bias$"),
        (lambda w: w.update({"visual.extra": torch.zeros(1)}), r"1 unexpected: extra$"),
        (lambda w: w.update({"visual.cls_embedding": torch.zeros(2)}), r"1 mis-shaped: cls_embedding \(2,\) for"),
        (lambda w: w["visual.pos_embedding"].fill_(torch.nan), r"not finite in pos_embedding"),
        (lambda w: [w.pop(name) for name in [*w] if name.startswith("visual.")], r"\d+ missing: cls_embedding"),
    ],
    ids=["missing", "unexpected", "mis-shaped", "nan", "text alone"],
)
def test_weights_that_do_not_fit_are_named(change, message, tmp_path):
    weights = original_weights(random_clip())
    change(weights)
    torch.save(weights, tmp_path / "clip.pth")
    with pytest.raises(InputError, match=rf"clip\.pth: got .*{message}"):
        ImageEncoder(tmp_path / "clip.pth")
