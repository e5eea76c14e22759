"""Sigmas and Euler steps against diffusers' scheduler, set as ReCamMaster samples."""

import math

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mvt4g.diffusion.diffusers_sampler import DiffusersSampler
from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import EulerSampler


def scheduler(**timesteps):
    theirs = FlowMatchEulerDiscreteScheduler(shift=5.0)
    theirs.set_timesteps(**timesteps)
    return theirs


def a_velocity(latents, sigma):
    """Bends the path, so that a step from another level would show."""
    return latents * (1 + sigma.reshape(-1, 1)) + torch.arange(6.0)


def by_step(latents, sigma, step):
    return a_velocity(latents, sigma)


def test_sigmas():
    ours = FlowMatching(shift=5.0).sampling_sigmas(50)
    assert (ours - scheduler(sigmas=np.linspace(1, 0, 51)[:-1]).sigmas).abs().max() < 1e-6
    assert (ours - scheduler(num_inference_steps=50).sigmas).abs().max() > 0.05, "their own spacing is shifted twice"


def test_every_euler_step():
    theirs, seen = scheduler(sigmas=np.linspace(1, 0, 51)[:-1]), []
    noise = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    sigmas = FlowMatching(shift=5.0).sampling_sigmas(50)
    EulerSampler(50).run(by_step, noise, sigmas, on_step=lambda _, latents: seen.append(latents))
    latents, steps = noise, []
    for step, timestep in enumerate(theirs.timesteps):
        level = theirs.sigmas[step].expand(2)
        latents = theirs.step(a_velocity(latents, level), timestep, latents, return_dict=False)[0]
        steps.append(latents)
    assert torch.stack(seen).sub(torch.stack(steps)).abs().max() < 1e-5
    assert (seen[0] - steps[0]).abs().max() < 1e-6
    assert (seen[1] - seen[0]).abs().max() > 0.01
    backwards = EulerSampler(50).run(by_step, noise, FlowMatching(shift=1.0).sampling_sigmas(50))
    assert (backwards - seen[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("scheduler", ["unipc", "dpmpp"])
def test_schedulers_with_memory_arrive_nearer_than_euler(scheduler):
    """dx/dsigma = x / 2 + 1 from 3 at sigma 1: at 0 it is (3 + 2) exp(-1 / 2) - 2."""

    def velocity(latents, sigma, step):
        return latents / 2 + 1

    truth, errors = 5 * math.exp(-0.5) - 2, []
    for sampler in (EulerSampler(20), DiffusersSampler(20, scheduler)):
        sigmas = sampler.sigmas(FlowMatching(shift=3.0))
        assert len(sigmas) == 21
        assert sigmas[-1] == 0
        errors.append(abs(sampler.run(velocity, torch.full((1, 1), 3.0), sigmas).item() - truth))
    assert errors[1] < errors[0] / 5


def test_a_scheduler_forgets_between_runs():
    sampler, noise = DiffusersSampler(4), torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    sigmas = sampler.sigmas(FlowMatching())
    assert torch.equal(*(sampler.run(by_step, noise, sigmas) for _ in range(2)))
