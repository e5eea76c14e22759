"""The control adapter of Wan2.1-Fun-Control-Camera: packed camera rays to one feature a token."""

from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, kernel_size=3, padding=1)

    def forward(self, features: Float[Tensor, "n d h w"]) -> Float[Tensor, "n d h w"]:
        """Add the residual."""
        return features + self.conv2(self.conv1(features).relu())


class ControlAdapter(nn.Module):
    """A convolution over the DiT's patches and one residual block, frame by frame."""

    def __init__(self, in_channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, dim, kernel_size=patch, stride=patch)
        self.residual_blocks = nn.Sequential(ResidualBlock(dim))

    def forward(self, control: Float[Tensor, "b c f h w"]) -> Float[Tensor, "b f th tw d"]:
        """Return features on the token grid, of controls that lie on the latents' grid."""
        frames = rearrange(control, "b c f h w -> (b f) c h w").to(self.conv.weight.dtype)
        features = self.residual_blocks(self.conv(frames))
        return rearrange(features, "(b f) d h w -> b f h w d", b=len(control))
