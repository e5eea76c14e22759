"""A sampler with memory: third-order Adams-Bashforth over uneven steps, started by lower orders."""

from itertools import pairwise

import torch

from mvt4g.diffusion.samplers import Sampler, level


class AdamsBashforth(Sampler):
    """Integrates the polynomial through the last three velocities; one evaluation a step."""

    def walk(self, velocity, noise, sigmas):
        latents, levels, found = noise, [], []
        for step, (sigma, after) in enumerate(pairwise(sigmas.tolist())):
            found = [*found, velocity(latents, level(latents, sigma), step)][-3:]
            levels = [*levels, sigma][-3:]
            for weight, past in zip(weights(levels, sigma, after), found, strict=True):
                latents = latents + weight * past
            yield latents


def weights(levels, start, end):
    """Return by how much each velocity counts: they integrate every polynomial of their number exactly."""
    known = torch.tensor(levels, dtype=torch.float64) - start
    powers = torch.arange(len(levels), dtype=torch.float64)
    moments = (end - start) ** (powers + 1) / (powers + 1)
    return torch.linalg.solve(known[None] ** powers[:, None], moments).tolist()
