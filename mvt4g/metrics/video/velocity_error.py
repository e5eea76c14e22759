"""How far predicted velocities are from the true ones: the denoising loss, measured."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from mvt4g.metrics.compute_groups import keep_apart
from mvt4g.metrics.functional.checks import check_shape


class VelocityError(Metric):
    """Mean squared error of the predicted velocity of the target's latents, without weights; the mean over clips.

    Args:
        key: What the score is called.

    Example:
        >>> import torch
        >>> metric = VelocityError()
        >>> velocity = torch.full((2, 4, 1, 2, 2), 0.5)
        >>> metric.update(velocity, torch.zeros_like(velocity))
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)

    Source: MVTrack4Gen (arXiv 2606.26087), Eq. 17, at one noise level.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = False
    plot_lower_bound = 0.0
    total: Tensor
    num_clips: Tensor

    def __init__(self, key: str = "loss_diff") -> None:
        super().__init__()
        self.key = key
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("num_clips", torch.tensor(0), dist_reduce_fx="sum")
        keep_apart(self)

    @torch.no_grad()
    def update(self, velocity: Float[Tensor, "b d f h w"], true_velocity: Float[Tensor, "b d f h w"]) -> None:
        """Add clips.

        Raises:
            InputError: If shapes differ.
        """
        sizes = check_shape("velocity", velocity, "b d f h w")
        check_shape("true_velocity", true_velocity, "b d f h w", **sizes)
        error = (velocity.float() - true_velocity.float()).square().mean()
        self.total += sizes["b"] * error.double()
        self.num_clips += sizes["b"]

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean, or NaN."""
        return self.total / self.num_clips
