"""Sizes of the video DiT, and how its blocks are run."""

from dataclasses import dataclass, replace
from typing import Literal

from mvt4g.ranges import Depth, Positive, Side, Width, check_ranges
from mvt4g.types import InputError


@dataclass(frozen=True)
class VideoDiTConfig:
    """Sizes of the network; the defaults are the tiny ones.

    Attributes:
        freq_dim: Width of the sinusoid that embeds diffusion time.
        text_dim: Width of a text token as it comes in.
        text_len: Text tokens the network sees; shorter texts are padded with zeros before the text MLP.
        patch_size: Latent frames, rows and columns of a token.
        eps: Of all norms.
        query_gain: What the scale of the self-attention's query norm starts from. At Wan's 1 no logit can exceed
            sqrt(head_dim): a small model trained from scratch takes long to learn to look at one token.
        image_dim: Width of an image token as it comes in; None = a network that sees no image.
        control_channels: Channels of the camera control, which lies on the latents' grid; None = a network without.
        activation_checkpointing: Keep each block's input alone for the backward pass and run the block again: saves
            most of the memory of training for a third more time.
        compile: Run every block as it is written (``none``), or what ``torch.compile`` makes of it (``blocks``).
    """

    in_channels: Width = 16
    out_channels: Width = 16
    dim: Width = 128
    ffn_dim: Width = 512
    freq_dim: Width = 256
    text_dim: Width = 64
    text_len: Width = 8
    num_heads: Depth = 4
    num_layers: Depth = 6
    patch_size: tuple[Side, Side, Side] = (1, 2, 2)
    eps: Positive = 1e-6
    query_gain: float = 1.0
    image_dim: Width | None = None
    control_channels: Width | None = None
    activation_checkpointing: bool = False
    compile: Literal["none", "blocks"] = "none"

    def __post_init__(self) -> None:
        check_ranges(self, "dit")
        if self.dim % self.num_heads:
            raise InputError(f"dit.num_heads: got {self.num_heads}, want a divisor of dim {self.dim}")

    @property
    def head_dim(self) -> int:
        """Features of one attention head."""
        return self.dim // self.num_heads

    @classmethod
    def nano(cls) -> "VideoDiTConfig":
        """Return 4 layers x 96: screening on a CPU."""
        return cls(dim=96, ffn_dim=384, num_layers=4)

    @classmethod
    def tiny(cls) -> "VideoDiTConfig":
        """Return 6 layers x 128: tests and the demo on a CPU."""
        return cls()

    @classmethod
    def small(cls) -> "VideoDiTConfig":
        """Return 12 layers x 384: one GPU."""
        return cls(dim=384, ffn_dim=1536, num_heads=6, num_layers=12)

    @classmethod
    def wan_1_3b(cls) -> "VideoDiTConfig":
        """Return Wan2.1 T2V 1.3B, whose released weights fit."""
        return cls(dim=1536, ffn_dim=8960, text_dim=4096, text_len=512, num_heads=12, num_layers=30)

    @classmethod
    def wan_14b(cls) -> "VideoDiTConfig":
        """Return Wan2.1 T2V 14B."""
        return cls(dim=5120, ffn_dim=13824, text_dim=4096, text_len=512, num_heads=40, num_layers=40)

    @classmethod
    def wan_fun_camera_1_3b(cls) -> "VideoDiTConfig":
        """Return Wan2.1-Fun-V1.1 1.3B Control-Camera, the base of ReDirector."""
        return replace(cls.wan_1_3b(), in_channels=32, image_dim=1280, control_channels=1536)
