"""The door by which cameras and other conditions of every token enter a video DiT."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from mvt4g.models.video_dit import Place, VideoDiTConfig
from mvt4g.types import LatentGrid


class CameraConditioning(ABC):
    """Builds the modules of one way that cameras, or what else is known of every token, enter a video DiT.

    The encoder, shared by all blocks, belongs to the backbone: it maps cameras ``(b v t)`` and the latents' height and
    width to features ``(b v f h w c)`` on the token grid, view 0 the reference; an axis h or w may be 1. The input, one
    a block, says what the block makes of them. By ``place`` it is

    - ``block_input``: an update of the tokens (b f h w d) that self-attention gets, zero at first.
    - ``attention_phase``: angles (b f h w k half_d), radians, made of the camera control's features; by its name it
      turns queries and keys on top of where they sit (``rope_phase_qk``), or values and output (``rope_phase_vo``).
    - ``attention_bias``: a bias (b k f h w n) for every head k on the logits between each token and tokens of the other
      view: the h * w of its same latent frame, row by row, or those of an odd number of frames about that one, frame
      by frame. Or, in place of a map, a ``ScoreMod``, which FlexAttention calls. It is added to q k / sqrt(d) inside
      attention alone: taps, L_corr and the probe see queries and keys without it.
    - ``after_attention``: what self-attention's output (b f h w d) passes before its gate; it has no features.
    - ``latent_channels``: nothing a block owns; ``channels`` more of every view's latents, which come in
      ``Conditions.channels`` and are zero where nothing is given. They are the last that the patch embedding takes; its
      weights of them start at zero, and stay so where a checkpoint lacks them.

    It lives in its block, or in its self-attention, as attribute ``name``.

    Attributes:
        channels: Of the latents, beyond the codec's.
    """

    name: ClassVar[str]
    place: ClassVar[Place] = "block_input"
    channels: int = 0

    def build_encoder(self, dit: VideoDiTConfig, grid: LatentGrid) -> nn.Module | None:
        """Build what all blocks share; None = there is nothing to encode."""
        return None

    def num_channels(self, grid: LatentGrid) -> int:
        """Return ``channels``, where they depend on the codec's latents."""
        return self.channels

    @abstractmethod
    def build_input(self, dit: VideoDiTConfig) -> nn.Module | None:
        """Build what one block owns; None = nothing."""

    def build_block(self, dit: VideoDiTConfig, layer: int) -> nn.Module | None:
        """Build what block ``layer`` (0-based) owns; None = nothing. By default all blocks own the same kind."""
        return self.build_input(dit)


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
