"""Sigmas and Euler steps against diffusers' scheduler, set as ReCamMaster samples."""

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.sampler import sample


def scheduler(**timesteps):
    theirs = FlowMatchEulerDiscreteScheduler(shift=5.0)
    theirs.set_timesteps(**timesteps)
    return theirs


def a_velocity(latents, sigma):
    """Bends the path, so that a step from another level would show."""
    return latents * (1 + sigma.reshape(-1, 1)) + torch.arange(6.0)


def test_sigmas():
    ours = FlowMatching(shift=5.0).sampling_sigmas(50)
    assert (ours - scheduler(sigmas=np.linspace(1, 0, 51)[:-1]).sigmas).abs().max() < 1e-6
    assert (ours - scheduler(num_inference_steps=50).sigmas).abs().max() > 0.05, "their own spacing is shifted twice"


def test_every_euler_step():
    theirs, seen = scheduler(sigmas=np.linspace(1, 0, 51)[:-1]), []
    noise = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    sample(
        a_velocity, noise, FlowMatching(shift=5.0).sampling_sigmas(50), on_step=lambda _, latents: seen.append(latents)
    )
    latents, steps = noise, []
    for step, timestep in enumerate(theirs.timesteps):
        level = theirs.sigmas[step].expand(2)
        latents = theirs.step(a_velocity(latents, level), timestep, latents, return_dict=False)[0]
        steps.append(latents)
    assert torch.stack(seen).sub(torch.stack(steps)).abs().max() < 1e-5
    assert (seen[0] - steps[0]).abs().max() < 1e-6
    assert (seen[1] - seen[0]).abs().max() > 0.01
    backwards = sample(a_velocity, noise, FlowMatching(shift=1.0).sampling_sigmas(50))
    assert (backwards - seen[-1]).abs().max() > 1e-3
