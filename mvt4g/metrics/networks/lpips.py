"""LPIPS from local weights: AlexNet's or VGG16's ImageNet features, with the linear heads that torchmetrics ships."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mvt4g.metrics.networks.weights import load_strict, read_state_dict
from mvt4g.types import InputError


@dataclass(frozen=True)
class Backbone:
    """Where LPIPS reads a torchvision network.

    Attributes:
        torchvision_name: The model whose ``features`` are read.
        taps: Index of each ReLU that is read.
        channels: Channels there.
        min_size: Smallest side of an image that reaches the last of them, pixels.
    """

    torchvision_name: str
    taps: tuple[int, ...]
    channels: tuple[int, ...]
    min_size: int


BACKBONES = {
    "alex": Backbone("alexnet", taps=(1, 4, 7, 9, 11), channels=(64, 192, 384, 256, 256), min_size=31),
    "vgg": Backbone("vgg16", taps=(3, 8, 15, 22, 29), channels=(64, 128, 256, 512, 512), min_size=16),
}


class LPIPS(nn.Module):
    """Distance of images by the features of a network; no gradient to its weights is meant.

    At every tap, features are scaled to unit length, and the squares of their differences are weighted by channel.

    Args:
        net: ``alex`` or ``vgg``.
        spatial: Return a distance for every pixel (layers brought to the image's size bilinearly, then added), instead
            of the sum of the layers' means. The mean of the map is close to that sum and not equal to it.

    Raises:
        InputError: For another net.

    Source: Zhang et al. 2018, Eq. 1, version 0.1 of its code.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Literal["alex", "vgg"] = "alex", spatial: bool = False) -> None:
        import torchvision

        super().__init__()
        if net not in BACKBONES:
            raise InputError(f"net: got {net!r}, want one of {', '.join(BACKBONES)}")
        self.backbone = BACKBONES[net]
        self.spatial = spatial
        with torch.device("meta"):  # a classifier of 60 million weights is not drawn only to be dropped
            features = getattr(torchvision.models, self.backbone.torchvision_name)(weights=None).features
        self.features = features[: self.backbone.taps[-1] + 1].to_empty(device="cpu")
        self.heads = nn.ModuleList(nn.Conv2d(channels, 1, 1, bias=False) for channels in self.backbone.channels)
        # Mean and deviation of ImageNet's colours, for values in [-1, 1].
        for name, per_channel in (("shift", [-0.030, -0.088, -0.188]), ("scale", [0.458, 0.448, 0.450])):
            self.register_buffer(name, rearrange(torch.tensor(per_channel), "c -> c 1 1"), persistent=False)

    def forward(
        self, images_a: Float[Tensor, "n 3 h w"], images_b: Float[Tensor, "n 3 h w"]
    ) -> Float[Tensor, " n"] | Float[Tensor, "n h w"]:
        """Return the distances of pairs of images in [0, 1].

        Raises:
            InputError: If the images are too small for the network.
        """
        size = images_a.shape[-2:]
        if min(size) < self.backbone.min_size:
            raise InputError(
                f"images: got {size[0]} x {size[1]}, want at least {self.backbone.min_size} pixels a side "
                f"({self.backbone.torchvision_name})"
            )
        distance = images_a.new_zeros((len(images_a), *(size if self.spatial else ())))
        for head, a, b in zip(self.heads, self._layers(images_a), self._layers(images_b), strict=True):
            weighted = head((a - b).square())
            if self.spatial:
                whole = F.interpolate(weighted, size=size, mode="bilinear", align_corners=False)
                distance = distance + rearrange(whole, "n 1 h w -> n h w")
            else:
                distance = distance + weighted.mean(dim=(1, 2, 3))
        return distance

    def _layers(self, images: Float[Tensor, "n 3 h w"]) -> list[Float[Tensor, "n _ _ _"]]:
        """Return the features of every tap at unit length."""
        layers = []
        values = (2 * images - 1 - self.shift) / self.scale
        for index, layer in enumerate(self.features):
            values = layer(values)
            if index in self.backbone.taps:
                # 1e-8 keeps the root's gradient finite where all features are 0.
                length = (values.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()
                layers.append(values / length)
        return layers


def load_lpips(
    weights: str | Path,
    net: Literal["alex", "vgg"] = "alex",
    spatial: bool = False,
    heads: str | Path | None = None,
) -> LPIPS:
    """Build LPIPS from local files.

    Args:
        weights: torchvision's ``alexnet-owt-7be5be79.pth`` or ``vgg16-397923af.pth``; its classifier is not used.
        net: Which of the two.
        spatial: As in ``LPIPS``.
        heads: The weights of the channels, by default the files that lie in torchmetrics.

    Raises:
        InputError: Naming the file that is missing or does not fit.
    """
    lpips = LPIPS(net, spatial)
    state = read_state_dict(weights)
    used = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    load_strict(nn.ModuleDict({"features": lpips.features}), used, weights)
    heads = _torchmetrics_heads(net) if heads is None else heads
    head_state = read_state_dict(heads)
    for index in range(len(lpips.heads)):
        # torchmetrics' files name each head after a Dropout that stood before it.
        name = f"lin{index}.model.1.weight"
        if name in head_state:
            head_state[f"{index}.weight"] = head_state.pop(name)
    load_strict(lpips.heads, head_state, heads)
    return lpips.eval().requires_grad_(False)


def _torchmetrics_heads(net: str) -> Path:
    """Find the heads in the installed package, without importing it."""
    package = find_spec("torchmetrics")
    assert package is not None, "torchmetrics is a dependency"
    assert package.origin is not None, "it is a package of files"
    return Path(package.origin).parent / "functional" / "image" / "lpips_models" / f"{net}.pth"
