"""From noise to a sample along a velocity: samplers, each an object that a configuration names."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.errors import check_finished
from mvt4g.types import InputError

Velocity = Callable[[Float[Tensor, " b *shape"], Float[Tensor, " b"], int], Float[Tensor, " b *shape"]]
"""Latents (b ...), sigma (b) and the sampling step, from 0, to the velocity (b ...); any number of calls a step."""
OnStep = Callable[[int, Float[Tensor, " b *shape"]], None]
"""Takes (steps done, latents) after every step."""


class Sampler(ABC):
    """Goes from noise to a sample in a number of steps; build one of your own on this class.

    Its first argument is the number of steps. It keeps nothing between two runs.

    Args:
        steps: At least 1.

    Raises:
        InputError: If there is no step, or the class lacks ``walk``.
    """

    def __new__(cls, *args: Any, **options: Any) -> "Sampler":
        """Refuse an unfinished class by one line."""
        check_finished(cls)
        return super().__new__(cls)

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise InputError(f"sampler.steps: got {steps}, want at least 1")
        self.steps = steps

    def sigmas(self, flow: FlowMatching) -> Float[Tensor, " n"]:
        """Return the noise levels of the steps, ``steps + 1`` falling from 1 to 0: those of the flow."""
        return flow.sampling_sigmas(self.steps)

    @torch.no_grad()
    def run(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
        on_step: OnStep | None = None,
    ) -> Float[Tensor, " b *shape"]:
        """Return the sample.

        Args:
            velocity: Of the path from sample to noise.
            noise: Standard normal, at ``sigmas[0]`` = 1.
            sigmas: Falling noise levels; the last, 0, is where the sample is.
            on_step: Told of every step.

        Raises:
            InputError: If ``walk`` yields nothing, latents of another shape, or at the end some that are not finite.
        """
        latents = None
        for step, latents in enumerate(self.walk(velocity, noise, sigmas)):
            if on_step is not None:
                on_step(step + 1, latents)
        name = type(self).__name__
        if latents is None:
            raise InputError(f"sampler: got no step from {name}, want {len(sigmas) - 1}")
        if latents.shape != noise.shape:
            raise InputError(f"sampler: got {tuple(latents.shape)} from {name}, want the noise's {tuple(noise.shape)}")
        if not bool(latents.isfinite().all()):  # once a sample: a device is waited for
            raise InputError(f"sampler: got NaN or infinity from {name}, by its steps or by the network; want numbers")
        return latents

    @abstractmethod
    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step; arguments as in ``run``, which traces no gradient."""


class EulerSampler(Sampler):
    """One evaluation a step, at its start."""

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step."""
        latents = noise
        for step, (sigma, after) in enumerate(pairwise(sigmas.tolist())):
            latents = latents + (after - sigma) * velocity(latents, level(latents, sigma), step)
            yield latents


class HeunSampler(Sampler):
    """Two evaluations a step, at its start and at where Euler would arrive; one in the last, which arrives at sigma 0.

    Source: Karras et al. (arXiv 2206.00364), Algorithm 1, whose time is this sigma.
    """

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step."""
        latents = noise
        for step, (sigma, after) in enumerate(pairwise(sigmas.tolist())):
            here = velocity(latents, level(latents, sigma), step)
            arrived = latents + (after - sigma) * here
            # The last step arrives at sigma 0, where a velocity has no meaning.
            if after > 0:
                there = velocity(arrived, level(latents, after), step)
                arrived = latents + (after - sigma) * (here + there) / 2
            latents = arrived
            yield latents


def level(latents: Float[Tensor, " b *shape"], sigma: float) -> Float[Tensor, " b"]:
    """Return a noise level for every clip."""
    return torch.full((len(latents),), sigma, device=latents.device)
