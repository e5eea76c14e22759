"""What a way of telling a backbone its cameras consists of."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import LatentGrid


class CameraConditioning(ABC):
    """Builds the modules of one way that cameras enter.

    The encoder, shared by all blocks, belongs to the backbone: it maps cameras ``(b v t)`` and the latents' height and
    width to features ``(b v f h w c)`` on the token grid, view 0 the reference; an axis h or w may be 1. The input, one
    a block and living in it as attribute ``name``, maps features to an update of the tokens and starts at zero.
    """

    name: ClassVar[str]

    @abstractmethod
    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module:
        """Build what all blocks share."""

    @abstractmethod
    def build_input(self, dit: VideoDiTConfig) -> nn.Module:
        """Build what one block owns."""


def zero_linear(in_dim: int, out_dim: int) -> nn.Linear:
    """Return a Linear that starts as zero, so that what it is added to starts unchanged."""
    linear = nn.Linear(in_dim, out_dim)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def identity_linear(dim: int) -> nn.Linear:
    """Return a Linear that starts as the identity."""
    linear = nn.Linear(dim, dim)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
