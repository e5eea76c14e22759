"""Depth made wrong on purpose: each kind of error that estimators make, alone and by a stated amount.

A kind draws the same pattern for every amount, so that a ladder of amounts differs by the amount alone. No kind makes
depth where there is none.
"""

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mvt4g.geometry.reprojection import smooth_depth
from mvt4g.types import InputError

CELLS = 16
"""Smooth draws have one number for each 16th of the picture's height and width, with bicubic interpolation between."""


@dataclass(frozen=True)
class DepthDamage(ABC):
    """One kind of error.

    Attributes:
        amount: How much; in the unit that the kind states, 0 = nothing is changed.
    """

    amount: float

    name: ClassVar[str]
    """What options call the kind."""
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 100.0

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            InputError: If the amount is out of it.
        """
        if not self.least <= self.amount <= self.most:
            want = f"an amount from {self.least:g} to {self.most:g}"
            raise InputError(f"damage: got {self.name}:{self.amount:g}, want {want}")

    def __str__(self) -> str:
        """Return the kind as options write it."""
        return f"{self.name}:{self.amount:g}"

    @abstractmethod
    def __call__(
        self,
        depth: Float[Tensor, "t h w"],
        generator: torch.Generator,
        dynamic: Bool[Tensor, "t h w"] | None = None,
    ) -> Float[Tensor, "t h w"]:
        """Return damaged depth.

        Args:
            depth: z-depth, scene units; 0 or non-finite = none, and it stays so.
            generator: On the CPU, of all draws.
            dynamic: True on what moves; None = not known.
        """


class DepthFactor(DepthDamage):
    """A kind that multiplies depth."""

    @abstractmethod
    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by: a number for each pixel, for each frame or for all.

        Args:
            shape: Of the depth.
            generator: On the CPU, of all draws.
        """

    def __call__(
        self,
        depth: Float[Tensor, "t h w"],
        generator: torch.Generator,
        dynamic: Bool[Tensor, "t h w"] | None = None,
    ) -> Float[Tensor, "t h w"]:
        """Return damaged depth."""
        return depth * self.factor(depth.shape, generator).to(depth)


class Noise(DepthFactor):
    """Smooth relative error, drawn anew for each frame: in per cent, the standard deviation of log depth in a frame.

    Its mean over a frame is 0: an error that a whole frame has is ``flicker``.
    """

    name = "noise"

    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by."""
        field = _standardised(_smooth_field(shape, generator))
        return (self.amount / 100 * field).exp()


class Grain(DepthFactor):
    """Relative error of each pixel by itself: in per cent, the standard deviation of log depth in a frame."""

    name = "grain"

    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by."""
        field = _standardised(torch.randn(shape, generator=generator))
        return (self.amount / 100 * field).exp()


class Bias(DepthFactor):
    """All depth too large by so many per cent; negative = too small: a wrong scale beside that of the cameras."""

    name = "bias"
    least = -90.0
    most = 1000.0

    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by."""
        return torch.tensor(1 + self.amount / 100, dtype=torch.float64)


class ScaleDrift(DepthFactor):
    """Scale that drifts over the frames: right in the first, too large by so many per cent in the last.

    Log scale is linear in the frame; a negative amount makes depth too small.
    """

    name = "drift"
    least = -90.0
    most = 1000.0

    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by."""
        # A scale that drifts grows by the same share from each frame to the next.
        way = torch.linspace(0, 1, shape[0], dtype=torch.float64)
        return rearrange((math.log1p(self.amount / 100) * way).exp(), "t -> t 1 1")


class Flicker(DepthFactor):
    """Scale of each frame by itself: in per cent, the standard deviation of its logarithm."""

    name = "flicker"

    def factor(self, shape: torch.Size, generator: torch.Generator) -> Float[Tensor, "..."]:
        """Return what depth (t h w) is multiplied by."""
        draws = torch.randn(shape[0], 1, 1, generator=generator)
        return (self.amount / 100 * draws).exp()


class EdgeBlur(DepthDamage):
    """Inverse depth blurred near depth edges, by a Gaussian of so many pixels: points fly between two surfaces."""

    name = "edge_blur"
    most = 64.0

    def __call__(
        self,
        depth: Float[Tensor, "t h w"],
        generator: torch.Generator,
        dynamic: Bool[Tensor, "t h w"] | None = None,
    ) -> Float[Tensor, "t h w"]:
        """Return damaged depth."""
        if not self.amount:
            return depth
        reach = math.ceil(2 * self.amount)
        return torch.stack([self._blur(each, reach) for each in depth])

    def _blur(self, depth: Float[Tensor, "h w"], reach: int) -> Float[Tensor, "h w"]:
        known = depth.isfinite() & (depth > 0)
        # Beyond its reach the kernel sees no edge, and a slope would be left as it is but for rounding.
        near_edge = known & ~smooth_depth(depth, 2 * reach + 1)
        inverse = torch.where(known, torch.where(known, depth, 1.0).reciprocal(), 0.0)
        offsets = torch.arange(-reach, reach + 1, device=depth.device)
        weights = (-0.5 * (offsets / self.amount).square()).exp().to(depth)
        # Weights of pixels without a depth are left out of the mean.
        maps = rearrange([inverse, known.to(depth)], "maps h w -> maps 1 h w")
        along = F.conv2d(maps, weights[None, None, None], padding=(0, reach))
        total, weight = F.conv2d(along, weights[None, None, :, None], padding=(reach, 0))[:, 0]
        return torch.where(near_edge, weight / torch.where(near_edge, total, 1.0), depth)


class Holes(DepthDamage):
    """No depth on so many per cent of the pixels, in blotches drawn anew for each frame."""

    name = "holes"

    def __call__(
        self,
        depth: Float[Tensor, "t h w"],
        generator: torch.Generator,
        dynamic: Bool[Tensor, "t h w"] | None = None,
    ) -> Float[Tensor, "t h w"]:
        """Return damaged depth."""
        field = _smooth_field(depth.shape, generator)
        count = round(self.amount / 100 * field[0].numel())
        # The lowest of the field: the holes of a smaller amount lie within those of a larger one.
        order = rearrange(field, "t h w -> t (h w)").argsort(dim=-1)
        hole = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :count], True)
        hole = rearrange(hole, "t (h w) -> t h w", h=depth.shape[1])
        return depth.masked_fill(hole.to(depth.device), 0.0)


class MovingObjects(DepthDamage):
    """What moves is too far by so many per cent; negative = too near: reconstructions fit what stands still."""

    name = "moving"
    least = -90.0
    most = 1000.0

    def __call__(
        self,
        depth: Float[Tensor, "t h w"],
        generator: torch.Generator,
        dynamic: Bool[Tensor, "t h w"] | None = None,
    ) -> Float[Tensor, "t h w"]:
        """Return damaged depth.

        Raises:
            InputError: If nobody says what moves.
        """
        if dynamic is None:
            raise InputError(f"damage: got {self} for a clip without masks of what moves, want a clip that has them")
        return torch.where(dynamic, depth * (1 + self.amount / 100), depth)


_KINDS: tuple[type[DepthDamage], ...] = (
    Noise,
    Grain,
    Bias,
    ScaleDrift,
    Flicker,
    EdgeBlur,
    Holes,
    MovingObjects,
)
DAMAGES = {kind.name: kind for kind in _KINDS}
"""All kinds by name."""


def parse_damage(texts: Iterable[str]) -> tuple[DepthDamage, ...]:
    """Understand options such as ``["noise:5", "holes:2"]``.

    Raises:
        InputError: If one is no kind and amount, or a kind is named twice.

    Example:
        >>> [str(damage) for damage in parse_damage(["noise:5", "edge_blur:1.5"])]
        ['noise:5', 'edge_blur:1.5']
    """
    found: dict[str, DepthDamage] = {}
    for text in texts:
        name, _, amount = text.partition(":")
        if name not in DAMAGES:
            raise InputError(f"damage: got {text!r:.40}, want KIND:AMOUNT with a kind of {', '.join(DAMAGES)}")
        if name in found:
            raise InputError(f"damage: got {name} twice, want each kind once")
        try:
            number = float(amount)
        except ValueError as error:
            raise InputError(f"damage: got {text!r:.40}, want a number after the colon, such as {name}:5") from error
        found[name] = DAMAGES[name](number)
    return tuple(found.values())


def damage_depth(
    depth: Float[Tensor, "t h w"],
    damages: Sequence[DepthDamage],
    generator: torch.Generator,
    dynamic: Bool[Tensor, "t h w"] | None = None,
) -> Float[Tensor, "t h w"]:
    """Return depth after one damage and then the next.

    Every kind draws from a stream of its own, so that adding one changes the pattern of no other.

    Args:
        depth: z-depth, scene units; 0 or non-finite = none.
        damages: In order.
        generator: On the CPU; it gives one number, whatever ``damages`` are.
        dynamic: True on what moves; None = not known.

    Raises:
        InputError: If a kind needs masks and there are none.
    """
    root = int(torch.randint(2**62, (), generator=generator))
    for damage in damages:
        own = torch.Generator().manual_seed(root ^ zlib.crc32(damage.name.encode()))
        depth = damage(depth, own, dynamic)
    return depth


def _smooth_field(shape: Sequence[int], generator: torch.Generator) -> Float[Tensor, "t h w"]:
    # As many cells for every size: a picture at half the size has the same errors.
    cells = torch.randn(shape[0], 1, CELLS, CELLS, generator=generator)
    return F.interpolate(cells, size=tuple(shape[1:]), mode="bicubic", align_corners=False)[:, 0]


def _standardised(field: Float[Tensor, "t h w"]) -> Float[Tensor, "t h w"]:
    """Return numbers whose mean is 0 and whose standard deviation is 1 in each frame; 0 for frames of one pixel."""
    spread, mean = torch.std_mean(field.double(), dim=(1, 2), correction=0, keepdim=True)
    return ((field - mean) / spread.clamp(min=1e-12)).float()
