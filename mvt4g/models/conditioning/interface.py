"""What a way of telling a backbone its cameras consists of."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import nn

from mvt4g.models.video_dit import VideoDiTConfig
from mvt4g.types import LatentGrid

Place = Literal["block_input", "attention_bias"]
"""Where a conditioning acts: on the tokens that self-attention gets, or on its logits."""


class CameraConditioning(ABC):
    """Builds the modules of one way that cameras enter.

    The encoder, shared by all blocks, belongs to the backbone: it maps cameras ``(b v t)`` and the latents' height and
    width to features ``(b v f h w c)`` on the token grid, view 0 the reference; an axis h or w may be 1. The input, one
    a block and living in it as attribute ``name``, says what the block makes of the features. By ``place`` it is

    - ``block_input``: an update of the tokens (b f h w d) that self-attention gets, zero at first.
    - ``attention_bias``: a bias (b k f h w n) for every head k on the logits between each token and the n = h * w
      tokens of the other view's same latent frame, row by row. It is added to q k / sqrt(d) inside attention alone:
      taps, L_corr and the probe see queries and keys without it.
    """

    name: ClassVar[str]
    place: ClassVar[Place] = "block_input"

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
