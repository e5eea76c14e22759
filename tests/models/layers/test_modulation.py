import math

import pytest
import torch

from mvt4g.models.layers.attention import RMSNorm
from mvt4g.models.layers.modulation import AffineNorm, gated_add, modulated_norm, sinusoidal_embedding


def test_sinusoid_by_hand():
    embedded = sinusoidal_embedding(torch.tensor([0.0, 3.0]), 4)
    assert embedded[0].tolist() == [1, 1, 0, 0]  # the cosine half first
    want = [math.cos(3), math.cos(0.03), math.sin(3), math.sin(0.03)]
    assert embedded[1].tolist() == pytest.approx(want, abs=1e-7)
    assert embedded.dtype == torch.float32


def test_sinusoid_of_large_times_is_exact():
    value = sinusoidal_embedding(torch.tensor([999.5]), 256)[0, 1].item()
    assert value == pytest.approx(math.cos(999.5 * 10000 ** (-1 / 128)), abs=1e-7)


def test_modulated_norm_by_hand():
    tokens = torch.tensor([[[1.0, 3.0]]])
    shift, scale = torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[1.0, 2.0]]])
    assert modulated_norm(tokens, shift, scale, 0.0).tolist() == [[[8.0, 23.0]]]


def test_gated_add_by_hand():
    tokens, update, gate = torch.ones(1, 2, 2), torch.full((1, 2, 2), 3.0), torch.tensor([[[0.5, -1.0]]])
    assert gated_add(tokens, gate, update).tolist() == [[[2.5, -2.0], [2.5, -2.0]]]


def test_low_precision_tokens_are_modulated_in_fp32():
    tokens = torch.randn(1, 3, 8).bfloat16()
    shift, scale = torch.randn(1, 1, 8), torch.randn(1, 1, 8)
    low = modulated_norm(tokens, shift, scale, 1e-6)
    assert low.dtype == torch.bfloat16
    assert torch.equal(low, modulated_norm(tokens.float(), shift, scale, 1e-6).bfloat16())
    assert torch.equal(gated_add(tokens, scale, tokens), (tokens.float() * (1 + scale)).bfloat16())


def test_norms_by_hand():
    tokens = torch.tensor([[3.0, 4.0]])
    rms = RMSNorm(2, eps=0.0)
    torch.testing.assert_close(rms(tokens), tokens / math.sqrt(12.5))
    affine = AffineNorm(2, eps=0.0)
    with torch.no_grad():
        affine.weight.copy_(torch.tensor([2.0, 3.0]))
        affine.bias.copy_(torch.tensor([10.0, 20.0]))
    torch.testing.assert_close(affine(tokens), torch.tensor([[8.0, 23.0]]))


def test_norm_of_zeros_is_finite():
    assert not RMSNorm(4, eps=1e-6)(torch.zeros(2, 4)).any()
