import math

import pytest
import torch
from torch.autograd import gradcheck

from mvt4g.geometry.rotary import rotate_pairs


def test_by_hand():
    x = torch.tensor([1.0, 0.0, 0.0, 2.0])
    got = rotate_pairs(x, torch.tensor([math.pi / 2, math.pi]))
    torch.testing.assert_close(got, torch.tensor([0.0, 1.0, 0.0, -2.0]))


def test_equals_complex_multiplication():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, 8, generator=generator, dtype=torch.float64)
    angles = torch.randn(5, 1, 4, generator=generator, dtype=torch.float64)
    turned = torch.view_as_complex(x.reshape(2, 5, 3, 4, 2)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotate_pairs(x, angles), torch.view_as_real(turned).reshape(x.shape))


def test_products_depend_on_the_difference_of_angles_only():
    generator = torch.Generator().manual_seed(0)
    q, k, a, b, shift = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    a, b, shift = a[:4], b[:4], shift[:4]
    product = rotate_pairs(q, a) @ rotate_pairs(k, b)
    torch.testing.assert_close(rotate_pairs(q, a + shift) @ rotate_pairs(k, b + shift), product)
    assert not torch.isclose(rotate_pairs(q, a + shift) @ rotate_pairs(k, b), product)


def test_half_precision_is_rotated_in_single_and_rounded_once():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(100, 8, generator=generator).bfloat16()
    angles = 500 * torch.rand(100, 4, generator=generator)
    got = rotate_pairs(x, angles)
    assert got.dtype == torch.bfloat16
    assert torch.equal(got, rotate_pairs(x.float(), angles).bfloat16())


def test_gradient_and_wrong_size():
    x = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    angles = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(rotate_pairs, (x, angles))
    with pytest.raises(AssertionError, match="half as many angles"):
        rotate_pairs(x, angles[:1])
