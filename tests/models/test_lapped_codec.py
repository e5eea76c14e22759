import math

import pytest
import torch

from mvt4g.models.codec import PatchCodec
from mvt4g.models.lapped_codec import LappedCodec, border_filters
from mvt4g.types import InputError, LatentGrid
from tests.reference import slow_lapped_codec


def test_grid_and_shapes():
    codec = LappedCodec()
    assert codec.grid == LatentGrid(temporal_stride=1, spatial_stride=8, channels=64)
    latents = codec.encode(torch.rand(2, 3, 5, 3, 16, 24))
    assert latents.shape == (2, 3, 64, 5, 2, 3)
    assert codec.decode(latents).shape == (2, 3, 5, 3, 16, 24)
    assert list(codec.parameters()) == []
    assert codec.state_dict() == {}
    assert codec.identity != PatchCodec(8, 64).identity


@pytest.mark.parametrize("block", [2, 4, 8])
def test_keeping_all_is_lossless(block):
    codec, video = LappedCodec(block, keep=3 * block**2), torch.rand(1, 3, 16, 24)
    assert (codec.decode(codec.encode(video)) - video).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(8, 24), (16, 8), (24, 16)])
def test_latents_equal_a_transform_written_pixel_by_pixel(size):
    video = torch.rand(2, 3, *size)
    torch.testing.assert_close(
        LappedCodec(8, 20).encode(video), slow_lapped_codec.encode(video, 8, 20), rtol=1e-4, atol=1e-5
    )


def test_one_block_alone_is_the_patch_codec():
    video = torch.rand(1, 3, 8, 8)
    patch, lapped = PatchCodec(8, 64).encode(video), LappedCodec().encode(video)
    torch.testing.assert_close(lapped / lapped[0], patch / patch[0], rtol=1e-4, atol=1e-5)


def test_a_grey_video_has_means_only():
    latents = LappedCodec().encode(torch.full((1, 3, 16, 24), 0.75))
    assert (latents[0] > 0.1).all()
    assert latents[1:].abs().max() < 1e-5


def test_the_border_step_is_shrunk_by_the_filter_after():
    before, after = border_filters(8)
    torch.testing.assert_close(after @ before, torch.eye(8, dtype=torch.float64))
    step = torch.cat([-torch.ones(4), torch.ones(4)]).double()
    shown = after @ step
    want = [math.sin(math.pi / 2 * share) for share in (1 / 8, 3 / 8, 5 / 8, 7 / 8)]
    torch.testing.assert_close(shown[4:], torch.tensor(want).double())
    torch.testing.assert_close(shown[:4], -shown[4:].flip(0))


def test_a_wrong_mean_shows_no_edge_where_the_patch_codec_shows_one():
    def largest_step(codec):
        latents = codec.encode(torch.full((1, 3, 24, 24), 0.3))
        latents[0, 0, 1, 1] *= 0.5  # one block's mean is wrong
        row = codec.decode(latents)[0, 0, 12]
        return (row.diff().abs().max() / (row.max() - row.min())).item()

    assert largest_step(PatchCodec(8, 64)) > 0.99
    assert largest_step(LappedCodec()) < 0.25


def test_decoded_video_stays_in_range():
    video = LappedCodec().decode(10 * torch.randn(64, 2, 2, 2))
    assert video.min() == 0
    assert video.max() == 1


def test_low_precision_is_encoded_in_fp32():
    with torch.autocast("cpu", torch.bfloat16):
        latents = LappedCodec().encode(torch.rand(1, 3, 16, 16))
        assert latents.dtype == LappedCodec().decode(latents).dtype == torch.float32


def test_bad_settings_and_sizes_are_named():
    with pytest.raises(InputError, match="block: got 5, want an even number"):
        LappedCodec(block=5)
    with pytest.raises(InputError, match="keep: got 193, want 1 to 192"):
        LappedCodec(keep=193)
    with pytest.raises(InputError, match=r"video size: got \(12, 16\) .* want multiples of 8"):
        LappedCodec().encode(torch.rand(1, 3, 12, 16))
