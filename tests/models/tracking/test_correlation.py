import numpy as np
import pytest
import torch
from einops import rearrange
from torch.profiler import ProfilerActivity, profile

from mvt4g.models.tracking import correlation
from mvt4g.models.tracking.correlation import batched_correlation, local_correlation, local_patches
from tests.reference.correlation import local_correlation as slow_correlation
from tests.reference.correlation import patch


def make_case(seed=0, points=5, frames=3, dim=4, height=6, width=7, radius=2):
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(points, (2 * radius + 1) ** 2, dim, generator=generator, dtype=torch.float64)
    keys = torch.randn(frames, dim, height, width, generator=generator, dtype=torch.float64)
    spread = torch.rand(frames, points, 2, generator=generator, dtype=torch.float64)
    xy = (spread * 1.6 - 0.3) * torch.tensor([width, height])  # some outside the map
    return query, keys, xy


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_equals_the_slow_twin(radius):
    query, keys, xy = make_case(radius=radius)
    got = local_correlation(query, keys, xy, radius)
    np.testing.assert_allclose(got, slow_correlation(query.numpy(), keys.numpy(), xy.numpy(), radius), rtol=1e-6)


def test_gradients_equal_those_of_the_slow_twin():
    """The twin is linear in each input, so its gradient along a direction is its value at that direction."""
    query, keys, xy = (values.requires_grad_() for values in make_case())
    weight = torch.randn(3, 5, 25, 25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (local_correlation(query, keys, xy, 2) * weight).sum().backward()
    rng = np.random.default_rng(0)
    towards_query, towards_keys = rng.standard_normal(query.shape), rng.standard_normal(keys.shape)
    arrays = query.detach().numpy(), keys.detach().numpy(), xy.detach().numpy()
    by_query = (slow_correlation(towards_query, *arrays[1:], 2) * weight.numpy()).sum()
    by_keys = (slow_correlation(arrays[0], towards_keys, arrays[2], 2) * weight.numpy()).sum()
    assert (query.grad.numpy() * towards_query).sum() == pytest.approx(by_query, rel=1e-6)
    assert (keys.grad.numpy() * towards_keys).sum() == pytest.approx(by_keys, rel=1e-6)
    assert xy.grad is None


def test_gradients_to_positions_equal_differences_of_the_slow_twin():
    query, keys, xy = make_case()
    weight = torch.randn(3, 5, 25, 25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moving = xy.clone().requires_grad_()
    (local_correlation(query, keys, moving, 2, xy_gradient=True) * weight).sum().backward()
    direction = np.random.default_rng(0).standard_normal(xy.shape)
    ahead, behind = (
        (slow_correlation(query.numpy(), keys.numpy(), xy.numpy() + step * direction, 2) * weight.numpy()).sum()
        for step in (1e-6, -1e-6)
    )
    assert (moving.grad.numpy() * direction).sum() == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)
    assert (moving.grad.abs() > 0.1).double().mean() > 0.5


def test_axes_by_hand():
    """A single bright key one cell right of the position is found at offset (dy 0, dx +1), scaled by nothing."""
    query = torch.zeros(1, 9, 1)
    query[0, 4] = 3.0
    keys = torch.zeros(1, 1, 5, 5)
    keys[0, 0, 2, 3] = 7.0
    got = local_correlation(query, keys, torch.tensor([[[2.5, 2.5]]]), 1)
    expected = torch.zeros(1, 1, 9, 9)
    expected[0, 0, 4, 5] = 21.0
    assert torch.equal(got, expected)
    half = local_correlation(query, keys, torch.tensor([[[3.0, 2.5]]]), 1)[0, 0, 4]
    assert half.tolist() == [0, 0, 0, 0, 10.5, 10.5, 0, 0, 0]


def test_swaps_and_shifts_are_seen():
    """Negative controls: x and y swapped, half a cell off, frames in the wrong order."""
    query, keys, xy = make_case(height=7, width=7)
    right = local_correlation(query, keys, xy, 2)
    for wrong in (
        local_correlation(query, keys, xy.flip(-1), 2),
        local_correlation(query, keys, xy + 0.5, 2),
        local_correlation(query, keys.flip(0), xy, 2),
        local_correlation(query, keys.mT.contiguous(), xy, 2),
    ):
        assert (wrong - right).abs().mean() > 0.3 * right.abs().mean()


def test_a_batch_is_its_clips_whatever_the_chunk():
    cases = [make_case(seed) for seed in range(3)]
    query, keys, xy = (torch.stack(values) for values in zip(*cases, strict=True))
    keys, xy = keys.permute(0, 1, 3, 4, 2).contiguous(), xy.transpose(1, 2)
    expected = torch.stack([local_correlation(*case, 2) for case in cases])
    grads = []
    for min_gathered in (1, 3 * 36 * 4 * 2, 2**23, None):
        leaves = query.clone().requires_grad_(), keys.clone().requires_grad_(), xy.clone().requires_grad_()
        got = batched_correlation(*leaves, 2, min_gathered, xy_gradient=True)
        torch.testing.assert_close(got.permute(0, 2, 1, 4, 3), expected, rtol=1e-12, atol=1e-12)
        grads.append(torch.autograd.grad(got.square().sum(), leaves))
    for other in grads[1:]:
        for grad, first in zip(other, grads[0], strict=True):
            torch.testing.assert_close(grad, first, rtol=1e-12, atol=1e-12)


def test_gradcheck_on_one_cell_and_far_outside():
    query = torch.randn(2, 9, 2, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(2, 2, 1, 1, dtype=torch.float64, requires_grad=True)
    xy = torch.tensor([[[0.6, 0.7], [1e6, -1e6]], [[-3.2, 0.1], [0.0, 1.0]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda q, k: local_correlation(q, k, xy, 1), (query, keys), fast_mode=True)
    assert torch.autograd.gradcheck(
        lambda *args: local_correlation(*args, 1, xy_gradient=True), (query, keys, xy), fast_mode=True
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_near(dtype):
    query, keys, xy = make_case()
    exact = local_correlation(query, keys, xy, 2)
    near = local_correlation(query.to(dtype), keys.to(dtype), xy.float(), 2)
    assert near.dtype == dtype
    assert (near.double() - exact).abs().max() < 12 * torch.finfo(dtype).eps * exact.abs().max()


def test_no_points_and_no_frames():
    assert local_correlation(torch.zeros(0, 9, 2), torch.zeros(3, 2, 4, 4), torch.zeros(3, 0, 2), 1).shape == (
        3,
        0,
        9,
        9,
    )


def test_patches_are_read_from_each_points_own_map():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(4, 5, 6, 3, generator=generator, dtype=torch.float64)
    index, xy = torch.tensor([3, 0, 3]), torch.tensor([[2.2, 3.1], [-1.0, 0.7], [5.9, 4.9]], dtype=torch.float64)
    got = local_patches(maps, index, xy, 1)
    for point in range(3):
        slow = patch(maps[index[point]].permute(2, 0, 1).numpy(), *xy[point].numpy(), 1)
        np.testing.assert_allclose(got[point], slow, rtol=1e-9)


def test_bfloat16_autocast_leaves_it_in_fp32():
    query, keys, xy = (values.float() for values in make_case())
    leaves = query.requires_grad_(), keys.requires_grad_()
    expected = torch.autograd.grad(local_correlation(*leaves, xy, 2).square().sum(), leaves)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        grads = torch.autograd.grad(local_correlation(*leaves, xy, 2).square().sum(), leaves)
    assert all(torch.equal(grad, other) for grad, other in zip(grads, expected, strict=True))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(local_correlation(query, keys, xy, 2), local_correlation(query, keys, xy, 2).float())
        got = local_correlation(query, keys, xy, 2)
    assert torch.equal(got, local_correlation(query, keys, xy, 2))


def test_operators_grow_with_neither_points_nor_frames(monkeypatch):
    """Threads wait for one another after every operator: 4 times the points and frames take no more of them."""
    monkeypatch.setattr(correlation, "MAX_BLOCKS", 4)

    def count(points, frames):
        query, keys, xy = make_case(points=points, frames=frames, radius=1)
        leaves = query[None].requires_grad_(), rearrange(keys, "f d h w -> 1 f h w d").contiguous().requires_grad_()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            got = batched_correlation(*leaves, rearrange(xy, "f p xy -> 1 p f xy"), 1, min_gathered)
            got.sum().backward()
        return sum(event.count for event in seen.key_averages() if event.key.startswith("aten::"))

    min_gathered = 1
    few = count(8, 2)
    assert count(32, 8) == few
    monkeypatch.setattr(correlation, "MAX_BLOCKS", 10**6)
    assert count(32, 8) > 4 * few, "negative control: one point a block"
    min_gathered = None
    assert count(32, 8) < few, "of few points one block"
