import math

import pytest
import torch

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import AdamsSampler, EulerSampler, HeunSampler, Sampler
from mvt4g.types import InputError

SAMPLERS = pytest.mark.parametrize("kind", [EulerSampler, AdamsSampler, HeunSampler])


def sample(velocity, noise, sigmas, on_step=None, kind=EulerSampler):
    return kind(len(sigmas) - 1).run(velocity, noise, sigmas, on_step)


@SAMPLERS
@pytest.mark.parametrize("steps", [1, 7])
def test_straight_paths_arrive_exactly(steps, kind):
    truth, noise = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    sampler = kind(steps)
    arrived = sampler.run(lambda latents, sigma, step: noise - truth, noise, sampler.sigmas(FlowMatching()))
    torch.testing.assert_close(arrived, truth)


def test_steps_by_hand():
    """dx/dsigma = x by Euler: each step multiplies by 1 + (next - sigma)."""
    seen = []
    arrived = sample(
        lambda latents, sigma, step: latents,
        torch.ones(2, 1),
        torch.tensor([1.0, 0.5, 0.25, 0.0]),
        on_step=lambda step, latents: seen.append((step, latents[0].item())),
    )
    assert seen == [(1, 0.5), (2, 0.375), (3, 0.28125)]
    assert arrived.tolist() == [[0.28125], [0.28125]]


def test_every_clip_is_told_its_level():
    levels = []

    def velocity(latents, sigma, step):
        levels.append(sigma)
        return torch.zeros_like(latents)

    sample(velocity, torch.zeros(3, 2), torch.tensor([1.0, 0.25, 0.0]))
    assert [level.tolist() for level in levels] == [[1, 1, 1], [0.25, 0.25, 0.25]]


def test_noise_is_left_alone_and_nothing_is_traced():
    noise = torch.randn(2, 2)
    kept, weight = noise.clone(), torch.ones((), requires_grad=True)
    arrived = sample(lambda latents, sigma, step: weight * latents, noise, torch.tensor([1.0, 0.5, 0.0]))
    assert torch.equal(noise, kept)
    assert not arrived.requires_grad


def test_heun_by_hand():
    """dx/dsigma = x: a step of h multiplies by 1 + h + h^2 / 2, the last, by Euler, by 1 + h."""
    arrived = sample(
        lambda latents, sigma, step: latents, torch.ones(1, 1), torch.tensor([1.0, 0.5, 0.0]), kind=HeunSampler
    )
    assert arrived.item() == (1 - 0.5 + 0.125) * 0.5


def test_adams_by_hand():
    """dx/dsigma = x, steps of 0.5, 0.25 and 0.25; Euler first, then the line through the last two velocities.

    The velocity falls by 0.5 in the first step of 0.5; in the middle of the next, 0.125 further on, it is 0.375, and
    0.5 - 0.25 * 0.375 = 0.40625. It fell by 0.09375 there; half as much further on it is 0.359375.
    """
    seen = []
    sample(
        lambda latents, sigma, step: latents, torch.ones(1, 1), torch.tensor([1.0, 0.5, 0.25, 0.0]),
        on_step=lambda step, latents: seen.append(latents.item()), kind=AdamsSampler,
    )  # fmt: skip
    assert seen == [0.5, 0.40625, 0.31640625]


def test_adams_is_exact_where_the_velocity_changes_evenly():
    """dx/dsigma = 2 sigma, on steps of any length: after Euler's first step no error is added."""
    sigmas = torch.tensor([1.0, 0.7, 0.6, 0.2, 0.0])
    arrived = sample(lambda latents, sigma, step: 2 * sigma[:, None], torch.ones(1, 1), sigmas, kind=AdamsSampler)
    # From 1 to 0.7 Euler goes down by 0.6, the truth by 1 - 0.49.
    assert arrived.item() == pytest.approx(0 + (1 - 0.49) - 0.6, abs=1e-6)


@pytest.mark.parametrize(("kind", "order"), [(EulerSampler, 1), (AdamsSampler, 2), (HeunSampler, 2)])
def test_the_error_falls_with_the_order(kind, order):
    """dx/dsigma = x from sigma 1 to 0 arrives at 1 / e; twice the steps, 2^order times nearer."""
    errors = []
    for steps in (32, 64):
        sigmas = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        arrived = sample(lambda latents, sigma, step: latents, torch.ones(1, 1, dtype=torch.float64), sigmas, kind=kind)
        errors.append(abs(arrived.item() - math.exp(-1)))
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "asked"), [(EulerSampler, [0, 1, 2]), (AdamsSampler, [0, 1, 2]), (HeunSampler, [0, 0, 1, 1, 2])]
)
def test_velocities_are_asked_for_by_step(kind, asked):
    found = []
    sample(
        lambda latents, sigma, step: found.append(step) or latents, torch.ones(1, 1),
        torch.tensor([1.0, 0.5, 0.25, 0.0]), kind=kind,
    )  # fmt: skip
    assert found == asked


@SAMPLERS
def test_no_step_is_refused(kind):
    with pytest.raises(InputError, match=r"sampler\.steps: got 0, want at least 1"):
        kind(0)


class Walked(Sampler):
    """Yields what it is told to."""

    def __init__(self, *latents):
        super().__init__(1)
        self.latents = latents

    def walk(self, velocity, noise, sigmas):
        yield from self.latents


@pytest.mark.parametrize(
    ("latents", "says"),
    [
        ((), "sampler: got no step from Walked, want 2"),
        ((torch.zeros(2, 3),), r"sampler: got \(2, 3\) from Walked, want the noise's \(2, 2\)"),
        ((torch.zeros(2, 2), torch.full((2, 2), torch.nan)), "sampler: got NaN or infinity from Walked"),
        ((torch.full((2, 2), torch.inf),), "sampler: got NaN or infinity from Walked"),
    ],
)
def test_what_is_no_sample_is_named(latents, says):
    with pytest.raises(InputError, match=says):
        Walked(*latents).run(lambda *_: None, torch.zeros(2, 2), torch.tensor([1.0, 0.5, 0.0]))


def test_a_sampler_needs_a_walk():
    class Still(Sampler):
        pass

    with pytest.raises(InputError, match="Still: got a class without walk"):
        Still(4)
