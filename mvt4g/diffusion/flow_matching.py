"""Rectified flow: noise levels, what the network is asked for, and how much each level counts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mvt4g.ranges import Positive, Range, ShareBelowOne, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class FlowMatching:
    """The straight path ``x_sigma = (1 - sigma) x_0 + sigma noise`` and its velocity ``noise - x_0``.

    Attributes:
        shift: s of ``sigma = s u / (1 + (s - 1) u)``: above 1, more of training and sampling happens at high noise.
        num_train_timesteps: Training draws from this many levels, evenly spaced in u from 1 down to 1 / this.
        weighting: "gaussian" counts levels near sigma 0.5 most, and pure noise not at all.
        prediction: What the network's output is: the velocity, or the clean sample.
        sigma_floor: Least sigma that a predicted sample is divided by to get its velocity.
        bf16_timestep: Tell the network 1000 sigma rounded to bf16, as DiffSynth's trainer and sampler do, and train on
            the level nearest to what it is told: 1000 levels become 294. Weights trained so know no others.

    Source: ReCamMaster's (DiffSynth's) ``FlowMatchScheduler``; sample prediction as in arXiv 2511.13720.
    """

    shift: Positive = 5.0
    num_train_timesteps: Annotated[int, Range(2, 2**24)] = 1000
    weighting: Literal["gaussian", "uniform"] = "gaussian"
    prediction: Literal["velocity", "sample"] = "velocity"
    sigma_floor: ShareBelowOne = 0.05
    bf16_timestep: bool = False

    def __post_init__(self) -> None:
        check_ranges(self, "flow")

    def shifted(self, u: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Map u in [0, 1] to sigma in [0, 1]."""
        return self.shift * u / (1 + (self.shift - 1) * u)

    def sampling_sigmas(self, num_steps: int) -> Float[Tensor, " n"]:
        """Return ``num_steps + 1`` falling noise levels, from 1 to 0 (fp32, CPU)."""
        if num_steps < 1:
            raise InputError(f"num_steps: got {num_steps}, want at least 1")
        return self.shifted(torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)).float()

    def draw_sigmas(self, count: int, generator: torch.Generator) -> Float[Tensor, " {count}"]:
        """Draw training noise levels, on the generator's device."""
        index = torch.randint(self.num_train_timesteps, (count,), generator=generator, device=generator.device)
        return self._train_sigmas.to(index.device)[index].float()

    def timestep(self, sigma: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Return the noise level that the network is told of."""
        return (1000 * sigma).bfloat16().float() / 1000 if self.bf16_timestep else sigma

    def weight(self, sigma: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """Return how much a loss at ``sigma`` counts; its mean over the training levels is 1."""
        if self.weighting == "uniform":
            return torch.ones_like(sigma)
        return (_bell(sigma) - _bell_at_noise()) / self._mean_bell

    def add_noise(
        self,
        sample: Float[Tensor, " b *shape"],
        noise: Float[Tensor, " b *shape"],
        sigma: Float[Tensor, " b"],
    ) -> Float[Tensor, " b *shape"]:
        """Return ``x_sigma``."""
        return torch.lerp(sample, noise, _per_clip(sigma, sample))

    def velocity(
        self,
        output: Float[Tensor, " b *shape"],
        noisy: Float[Tensor, " b *shape"],
        sigma: Float[Tensor, " b"],
    ) -> Float[Tensor, " b *shape"]:
        """Turn the network's output at ``noisy`` into the velocity it stands for."""
        if self.prediction == "velocity":
            return output
        return (noisy - output) / _per_clip(sigma, output).clamp_min(self.sigma_floor)

    def sample(
        self,
        output: Float[Tensor, " b *shape"],
        noisy: Float[Tensor, " b *shape"],
        sigma: Float[Tensor, " b"],
    ) -> Float[Tensor, " b *shape"]:
        """Turn the network's output at ``noisy`` into the clean sample it stands for."""
        if self.prediction == "sample":
            return output
        return clean_sample(output, noisy, sigma)

    @cached_property
    def _train_sigmas(self) -> Float[Tensor, " n"]:
        levels = self.shifted(torch.linspace(1, 0, self.num_train_timesteps + 1, dtype=torch.float64)[:-1])
        if not self.bf16_timestep:
            return levels
        # Each level of the table becomes the one that is nearest to what the network is told of it.
        return levels[(levels - self.timestep(levels)[:, None]).abs().argmin(dim=1)]

    @cached_property
    def _mean_bell(self) -> float:
        return (_bell(self._train_sigmas) - _bell_at_noise()).mean().item()


def velocity_target(sample: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the velocity of the path from ``sample`` to ``noise``, the same at every noise level."""
    return noise - sample


def clean_sample(
    velocity: Float[Tensor, " b *shape"],
    noisy: Float[Tensor, " b *shape"],
    sigma: Float[Tensor, " b"],
) -> Float[Tensor, " b *shape"]:
    """Return the sample that ``noisy`` comes from, if ``velocity`` is that of its path."""
    return noisy - _per_clip(sigma, velocity) * velocity


def _bell(sigma: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    return torch.exp(-2 * (sigma - 0.5) ** 2)


def _bell_at_noise() -> float:
    """The table's least value, which lies at sigma 1."""
    return _bell(torch.ones((), dtype=torch.float64)).item()


def _per_clip(sigma: Float[Tensor, " b"], like: Float[Tensor, " b *shape"]) -> Float[Tensor, " b *_"]:
    return sigma.to(like).reshape(-1, *[1] * (like.ndim - 1))
