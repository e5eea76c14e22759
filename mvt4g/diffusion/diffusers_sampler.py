"""The flow-matching schedulers of diffusers as a sampler; needs the extra ``wan``."""

from collections.abc import Iterator
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from mvt4g.diffusion.flow_matching import FlowMatching
from mvt4g.diffusion.samplers import Sampler, Velocity, level
from mvt4g.types import InputError


class DiffusersSampler(Sampler):
    """UniPC or DPM-Solver++, both of which remember earlier steps.

    Noise levels are those of the scheduler for the flow's shift; it starts a little below sigma 1, on which the network
    is asked at the level that the scheduler says.

    Args:
        steps: At least 1.
        scheduler: ``unipc`` or ``dpmpp``.
        order: Of the solver.

    Raises:
        InputError: If diffusers is not installed, or an argument is none of those.
    """

    def __init__(self, steps: int, scheduler: Literal["unipc", "dpmpp"] = "unipc", order: int = 2) -> None:
        super().__init__(steps)
        if scheduler not in ("unipc", "dpmpp"):
            raise InputError(f"sampler.scheduler: got {scheduler!r}, want 'unipc' or 'dpmpp'")
        if not 1 <= order <= 3:
            raise InputError(f"sampler.order: got {order}, want 1 to 3")
        self.scheduler = scheduler
        self.order = order

    def sigmas(self, flow: FlowMatching) -> Float[Tensor, " n"]:
        """Return the scheduler's noise levels."""
        scheduler = self._made(flow.shift)
        levels: Tensor = scheduler.sigmas.float().clone()
        return levels

    def walk(
        self,
        velocity: Velocity,
        noise: Float[Tensor, " b *shape"],
        sigmas: Float[Tensor, " n"],
    ) -> Iterator[Float[Tensor, " b *shape"]]:
        """Yield the latents after every step."""
        # Made for a shift of 1: the noise levels come shifted already.
        scheduler = self._made(1.0)
        scheduler.sigmas = sigmas.cpu()
        latents = noise
        for step, (time, sigma) in enumerate(zip(scheduler.timesteps, sigmas[:-1].tolist(), strict=True)):
            found = velocity(latents, level(latents, sigma), step)
            latents = scheduler.step(found, time, latents, return_dict=False)[0]
            yield latents

    def _made(self, shift: float) -> Any:
        try:
            from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler
        except ImportError as error:
            raise InputError(
                "sampler: got DiffusersSampler without diffusers, want the extra 'wan' installed"
            ) from error
        flow: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
        if self.scheduler == "unipc":
            made: Any = UniPCMultistepScheduler(solver_order=self.order, **flow)
        else:
            made = DPMSolverMultistepScheduler(solver_order=self.order, algorithm_type="dpmsolver++", **flow)
        made.set_timesteps(self.steps)
        return made
