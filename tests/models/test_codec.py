import math

import pytest
import torch

from mvt4g.models.codec import PatchCodec, coefficient_order
from mvt4g.types import InputError, LatentGrid


def smooth_video(batch=2, frames=3, size=32):
    """Colours that change slowly over the image."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch * frames, 3, 4, 4, generator=generator)
    video = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    return video.unflatten(0, (batch, frames))


def slow_coefficient(block_of_pixels, v, u):
    """One coefficient of the orthonormal cosine transform, term by term."""
    size = len(block_of_pixels)
    factor = [math.sqrt(1 / size)] + [math.sqrt(2 / size)] * (size - 1)
    return sum(
        factor[v] * factor[u] * block_of_pixels[y][x]
        * math.cos(math.pi * (y + 0.5) * v / size) * math.cos(math.pi * (x + 0.5) * u / size)
        for y in range(size) for x in range(size)
    )  # fmt: skip


def test_grid_and_shapes():
    codec = PatchCodec()
    assert codec.grid == LatentGrid(temporal_stride=1, spatial_stride=4, channels=16)
    latents = codec.encode(torch.rand(2, 3, 5, 3, 16, 24))
    assert latents.shape == (2, 3, 16, 5, 4, 6)
    assert codec.decode(latents).shape == (2, 3, 5, 3, 16, 24)
    assert codec.encode(torch.rand(5, 3, 16, 24)).shape == (16, 5, 4, 6)
    assert list(codec.parameters()) == []
    assert codec.state_dict() == {}


@pytest.mark.parametrize("scale", ["natural", "whitened"])
def test_keeping_all_is_lossless(scale):
    codec, video = PatchCodec(keep=48, scale=scale), torch.rand(2, 3, 3, 16, 24)
    assert (codec.decode(codec.encode(video)) - video).abs().max() < 1e-5


@pytest.mark.parametrize("block", [2, 8])
def test_other_blocks_are_lossless_too(block):
    codec, video = PatchCodec(block=block, keep=3 * block**2), torch.rand(1, 3, 16, 24)
    assert (codec.decode(codec.encode(video)) - video).abs().max() < 1e-5


def test_coefficients_equal_the_sum_of_their_definition():
    codec, video = PatchCodec(), torch.rand(1, 3, 4, 4)
    latents, scale = codec.encode(video)[:, 0, 0, 0], None
    red, green, blue = (2 * video[0] - 1).double()
    luma = (0.299 * red + 0.587 * green + 0.114 * blue).tolist()
    chroma = (0.564 * (blue - torch.tensor(luma))).tolist()
    want = {0: (luma, 0, 0), 1: (luma, 0, 1), 2: (luma, 1, 0), 5: (luma, 2, 0), 6: (chroma, 0, 0), 13: (chroma, 1, 0)}
    for channel, (plane, v, u) in want.items():
        ratio = slow_coefficient(plane, v, u) / latents[channel].item()
        scale = scale or ratio
        assert ratio == pytest.approx(scale, rel=1e-3)


def test_a_grey_video_has_luma_means_only():
    latents = PatchCodec().encode(torch.full((2, 3, 8, 8), 0.75))
    assert (latents[0] > 0.1).all()
    assert latents[1:].abs().max() < 1e-5


def test_sixteen_are_ten_of_luma_and_three_of_each_chroma():
    kept = coefficient_order(4)[:16]
    assert [sum(index // 16 == channel for index in kept) for channel in range(3)] == [10, 3, 3]
    assert kept[:3] == [0, 1, 4]
    assert sorted(coefficient_order(4)) == list(range(48))


def test_smooth_video_survives_and_hard_edges_do_not():
    codec, video = PatchCodec(), smooth_video()
    assert (codec.decode(codec.encode(video)) - video).square().mean() < 1e-3
    noise = torch.rand(1, 3, 32, 32)
    assert (codec.decode(codec.encode(noise)) - noise).square().mean() > 1e-2


def test_scales_differ_by_a_factor_a_channel():
    video = smooth_video()
    natural, whitened = (PatchCodec(scale=scale).encode(video) for scale in ("natural", "whitened"))
    ratio = (whitened / natural).movedim(1, 0).flatten(1).nanmedian(dim=1).values
    torch.testing.assert_close(whitened, natural * ratio[None, :, None, None, None], rtol=1e-3, atol=1e-4)
    assert ratio.max() / ratio.min() > 10
    decoded = [PatchCodec(scale=scale).decode(part) for scale, part in (("natural", natural), ("whitened", whitened))]
    torch.testing.assert_close(*decoded)


def test_decoded_video_stays_in_range():
    video = PatchCodec().decode(10 * torch.randn(16, 2, 4, 4))
    assert video.min() == 0
    assert video.max() == 1


def test_low_precision_is_encoded_in_fp32():
    with torch.autocast("cpu", torch.bfloat16):
        latents = PatchCodec().encode(torch.rand(1, 3, 8, 8))
        assert latents.dtype == PatchCodec().decode(latents).dtype == torch.float32


@pytest.mark.parametrize("size", [(6, 8), (8, 6), (3, 3)])
def test_sizes_that_do_not_fit_are_named(size):
    with pytest.raises(InputError, match=r"video size: got .* want multiples of 4"):
        PatchCodec().encode(torch.rand(1, 3, *size))


def test_bad_settings_are_named():
    for keep in (0, 49):
        with pytest.raises(InputError, match=f"keep: got {keep}, want 1 to 48"):
            PatchCodec(keep=keep)
    with pytest.raises(InputError, match="block: got 8, want 4"):
        PatchCodec(block=8, keep=48, scale="whitened")
