"""From noise to a sample along a velocity: samplers, each an object that a configuration names."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.errors import check_finished
from mvt4g.ranges import Depth, Range, check_ranges
from mvt4g.types import InputError

Velocity = Callable[[Float[Tensor, " b *shape"], Float[Tensor, " b"], int], Float[Tensor, " b *shape"]]
"""Latents (b ...), sigma (b) and the sampling step, from 0, to the velocity (b ...); any number of calls a step."""
OnStep = Callable[[int, Float[Tensor, " b *shape"]], None]
"""Takes (steps done, latents) after every step."""


@dataclass(frozen=True)
class BlockReuse:
    """Late blocks of the network that run in some evaluations only: what they added to the tokens is added again.

    Neighbouring evaluations of a sampling differ little, and late blocks cost as much as early ones. The result is
    another one than without.

    Attributes:
        first: 0-based; the blocks before it run in every evaluation.
        every: Of so many evaluations the first runs all blocks. One whose taps are wanted does, too.
    """

    first: Depth
    every: Annotated[int, Range(2, 1000)] = 2

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: If a value is out of range.
        """
        check_ranges(self, "evaluation.reuse")


class Sampler(ABC):
    """Goes from noise to a sample in a number of steps; build one of your own on this class.

    Its first argument is the number of steps. It keeps nothing between two runs.

    Args:
        steps: At least 1.

    Attributes:
        reuse: Which evaluations run the network's late blocks; None = all do.

    Raises:
        InputError: If there is no step, or the class lacks ``walk``.
    """

    reuse: BlockReuse | None = None

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


class AdamsSampler(Sampler):
    """One evaluation a step, at its start; the velocity goes on as it has changed since the step before.

    The change is taken for linear in sigma (Adams and Bashforth's method of second order, for steps of any length). The
    first step, which has none before it, is Euler's.

    Source: Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, chapter III.
    """

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step."""
        latents = noise
        before: tuple[Float[Tensor, " b *shape"], float] | None = None
        for step, (sigma, after) in enumerate(pairwise(sigmas.tolist())):
            here = velocity(latents, level(latents, sigma), step)
            middle = here
            if before is not None:
                velocity_before, length_before = before
                # At the middle of the step, along the line through both velocities.
                middle = here + (after - sigma) / (2 * length_before) * (here - velocity_before)
            latents = latents + (after - sigma) * middle
            before = (here, after - sigma)
            yield latents


def level(latents: Float[Tensor, " b *shape"], sigma: float) -> Float[Tensor, " b"]:
    """Return a noise level for every clip."""
    return torch.full((len(latents),), sigma, device=latents.device)
