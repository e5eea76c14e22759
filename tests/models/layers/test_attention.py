import pytest
import torch
from torch.nn.attention import SDPBackend

from mvt4g.models.layers import attention
from mvt4g.models.layers.rope import rotary_angles
from mvt4g.models.video_dit import VideoDiT
from mvt4g.types import InputError
from tests.models.small_backbones import make_loud, small_config


def run(dit):
    generator = torch.Generator().manual_seed(0)
    latents, text = torch.randn(2, 5, 2, 4, 6, generator=generator), torch.randn(2, 3, 6, generator=generator)
    angles = rotary_angles(24, torch.arange(2), 2, 3)[None, :, :, :, None]
    return dit(latents, torch.tensor([0.2, 0.9]), text, angles, {}).latents


@pytest.fixture
def dit():
    torch.manual_seed(0)
    return make_loud(VideoDiT(small_config()))


def test_a_large_map_goes_to_fused_kernels_alone(dit, monkeypatch):
    plain = run(dit)
    plain.sum().backward()
    gradient = dit.blocks[0].self_attn.q.weight.grad.clone()
    dit.zero_grad()
    asked = []
    monkeypatch.setattr(attention, "MAX_MAP_BYTES", 0)
    kernel = attention.sdpa_kernel
    monkeypatch.setattr(attention, "sdpa_kernel", lambda kernels: asked.append(kernels) or kernel(kernels))
    fused = run(dit)
    fused.sum().backward()
    assert asked
    assert SDPBackend.MATH not in asked[0]
    torch.testing.assert_close(fused, plain)
    torch.testing.assert_close(dit.blocks[0].self_attn.q.weight.grad, gradient)


def test_a_large_map_that_no_fused_kernel_spares_is_refused(dit, monkeypatch):
    monkeypatch.setattr(attention, "FUSED", [SDPBackend.EFFICIENT_ATTENTION])  # which this device has not
    assert run(dit).isfinite().all(), "a small one is built"
    monkeypatch.setattr(attention, "MAX_MAP_BYTES", 0)
    with pytest.raises(InputError, match=r"attention: got inputs that no fused kernel takes .* want a device"):
        run(dit)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="something else"), attention.map_refused():
        raise RuntimeError("something else")


def test_the_limit_lies_between_a_demo_and_full_size():
    """Bytes of fp32 maps: 8 clips of 640 tokens and 4 heads; one of 65,520 tokens and 12 heads."""
    assert 8 * 4 * 640**2 * 4 < attention.MAX_MAP_BYTES < 12 * 65_520**2 * 4
    assert pytest.approx(191.9, abs=0.05) == 12 * 65_520**2 * 4 / 2**30
