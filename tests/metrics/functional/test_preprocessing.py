"""Frames are made ready by the numbers of the protocol, as torchvision's transforms would."""

import pytest
import torch
from torchvision.transforms import CenterCrop, InterpolationMode, Normalize, Resize

from mvt4g.metrics.functional.preprocessing import (
    CLIP_FRAMES,
    CLIP_MEAN,
    CLIP_STD,
    DINO_FRAMES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    crop_to_multiple,
    preprocess,
    resized_size,
)
from mvt4g.types import InputError

SIZES = [(480, 832), (480, 720), (64, 64), (301, 203), (225, 1001), (224, 224)]


def images(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_goldens_of_vbenchs_frames():
    """480x832 becomes 224x388, of which DINO sees 384 columns."""
    assert resized_size(480, 832, 224) == (224, 388)
    assert resized_size(832, 480, 224) == (388, 224)
    assert preprocess(images(480, 832), DINO_FRAMES).shape == (2, 3, 224, 384)
    assert preprocess(images(480, 832), CLIP_FRAMES).shape == (2, 3, 224, 224)


@pytest.mark.parametrize("size", SIZES)
def test_dino_frames_are_torchvisions(size):
    """VBench: Resize(224), bilinear and without antialiasing, of values to 255; then /255 and ImageNet's numbers."""
    resized = Resize(224, InterpolationMode.BILINEAR, antialias=False)(images(*size) * 255) / 255
    wanted = Normalize(IMAGENET_MEAN, IMAGENET_STD)(resized)
    height, width = (side // 16 * 16 for side in wanted.shape[-2:])
    found = preprocess(images(*size), DINO_FRAMES)
    torch.testing.assert_close(found, wanted[..., :height, :width], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_clip_frames_are_torchvisions(size):
    resized = CenterCrop(224)(Resize(224, InterpolationMode.BICUBIC, antialias=False)(images(*size) * 255))
    wanted = Normalize(CLIP_MEAN, CLIP_STD)(resized / 255)
    torch.testing.assert_close(preprocess(images(*size), CLIP_FRAMES), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change", [{"antialias": True}, {"interpolation": "bilinear"}, {"mean": IMAGENET_MEAN}], ids=str
)
def test_every_number_is_to_be_seen(change):
    fields = {name: getattr(CLIP_FRAMES, name) for name in CLIP_FRAMES.__dataclass_fields__}
    found, other = (preprocess(images(480, 720), how) for how in (CLIP_FRAMES, Preprocessing(**(fields | change))))
    assert float((found - other).abs().max()) > 0.01


def test_bicubic_overshoots_and_is_not_clamped():
    edge = torch.zeros(1, 3, 64, 64)
    edge[..., 32:] = 1
    found = preprocess(edge, Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), shorter_side=224, interpolation="bicubic"))
    assert found.min() < -0.01
    assert found.max() > 1.01


def test_without_numbers_only_the_normalisation_happens():
    found = preprocess(images(30, 50), Preprocessing((0.5, 0.5, 0.5), (0.5, 0.25, 1.0)))
    torch.testing.assert_close(found[:, 1], (images(30, 50)[:, 1] - 0.5) * 4)
    assert found.shape == (2, 3, 30, 50)


def test_cuts_fall_at_the_right_and_bottom():
    assert torch.equal(crop_to_multiple(images(33, 47), 16), images(33, 47)[..., :32, :32])


def test_images_too_small_to_crop_are_refused():
    with pytest.raises(InputError, match="images: got 8x40, want at least 16x16"):
        crop_to_multiple(images(8, 40), 16)
    with pytest.raises(InputError, match="images: got 200x300, want at least 224x224"):
        preprocess(images(200, 300), Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), center_crop=224))
