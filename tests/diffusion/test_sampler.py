import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.sampler import sample


@pytest.mark.parametrize("steps", [1, 7])
def test_straight_paths_arrive_exactly(steps):
    truth, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    arrived = sample(lambda latents, sigma: noise - truth, noise, FlowMatching().sampling_sigmas(steps))
    torch.testing.assert_close(arrived, truth)


def test_steps_by_hand():
    """dx/dsigma = x by Euler: each step multiplies by 1 + (next - sigma)."""
    seen = []
    arrived = sample(
        lambda latents, sigma: latents,
        torch.ones(2, 1),
        torch.tensor([1.0, 0.5, 0.25, 0.0]),
        on_step=lambda step, latents: seen.append((step, latents[0].item())),
    )
    assert seen == [(1, 0.5), (2, 0.375), (3, 0.28125)]
    assert arrived.tolist() == [[0.28125], [0.28125]]


def test_every_clip_is_told_its_level():
    levels = []

    def velocity(latents, sigma):
        levels.append(sigma)
        return torch.zeros_like(latents)

    sample(velocity, torch.zeros(3, 2), torch.tensor([1.0, 0.25, 0.0]))
    assert [level.tolist() for level in levels] == [[1, 1, 1], [0.25, 0.25, 0.25]]


@pytest.mark.parametrize(("scale", "want"), [(1.0, 2.0), (0.0, 1.0), (5.0, 6.0)])
def test_guidance_extrapolates(scale, want):
    """v = unconditional + scale * (conditional - unconditional)."""
    arrived = sample(
        lambda latents, sigma: torch.full_like(latents, -2.0),
        torch.zeros(1, 1),
        torch.tensor([1.0, 0.0]),
        unconditional_fn=lambda latents, sigma: torch.full_like(latents, -1.0),
        guidance_scale=scale,
    )
    assert arrived.item() == pytest.approx(want)


def test_guidance_of_one_spares_the_second_forward():
    def never(latents, sigma):
        raise AssertionError

    sample(lambda latents, sigma: latents, torch.zeros(1, 1), torch.tensor([1.0, 0.0]), unconditional_fn=never)


def test_noise_is_left_alone_and_nothing_is_traced():
    noise = torch.randn(2, 2)
    kept, weight = noise.clone(), torch.ones((), requires_grad=True)
    arrived = sample(lambda latents, sigma: weight * latents, noise, torch.tensor([1.0, 0.5, 0.0]))
    assert torch.equal(noise, kept)
    assert not arrived.requires_grad
