"""MUSIQ, the network that predicts people's opinion of an image's quality, and its weights from local files.

Written from the paper and from the description in google-research (Apache-2.0). Two ports of it are in use, and they
score the same weights slightly differently: ``PYIQA``, whose numbers VBench prints, and ``GOOGLE``, the original.

What has been checked without real weights: sizes and the number of parameters (27.1 M), every step against an
independent slow implementation, and the names of pyiqa's weights against three public programs that read the file.
What has not: that a real file loads, and the value of any score. The layout of google's ``.npz`` is inferred from its
code and from ViT's files, which the same library wrote; a wrong guess is refused by name, never scored.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from mvt4g.formats.npz import read_arrays
from mvt4g.formats.parsing.files import check_regular
from mvt4g.metrics.networks.musiq_patches import PatchRule, multiscale_patches
from mvt4g.metrics.networks.weights import check_sha256, load_strict, read_state_dict


@dataclass(frozen=True)
class Musiq:
    """Sizes of MUSIQ, and what its two ports do differently.

    Attributes:
        patches: How images are cut.
        stem: Channels of the first convolution; the block after it gives four times as many.
        groups: Of every group norm.
        width: Features of a token.
        layers: Transformer blocks.
        heads: Of every attention.
        mlp: Hidden features of every MLP.
        std: Divisor of the standard deviation by which convolution weights are standardised: n - 1 (``unbiased``,
            torch) or n (``biased``, JAX). A group norm follows every convolution, so that it hardly matters.
        gelu: ``none`` = exact, ``tanh`` = JAX's default approximation.
    """

    patches: PatchRule = PatchRule()
    stem: int = 64
    groups: int = 32
    width: int = 384
    layers: int = 14
    heads: int = 6
    mlp: int = 1152
    std: Literal["unbiased", "biased"] = "unbiased"
    gelu: Literal["none", "tanh"] = "none"


PYIQA = Musiq()
GOOGLE = Musiq(patches=PatchRule(resize="gaussian"), std="biased", gelu="tanh")


class MusiqNet(nn.Module):
    """Scores images of any size; modules are named as in pyiqa's weights.

    Args:
        config: Sizes and port.

    Source:
        MUSIQ (arXiv 2108.05997); google-research/musiq for sizes and epsilons.
    """

    def __init__(self, config: Musiq = PYIQA) -> None:
        super().__init__()
        self.rule = config.patches
        unbiased = config.std == "unbiased"
        self.conv_root = StandardisedConv(3, config.stem, 7, stride=2, unbiased=unbiased)
        self.gn_root = nn.GroupNorm(config.groups, config.stem, eps=1e-6)
        self.block1 = Bottleneck(config.stem, config.groups, unbiased)
        cells = (config.patches.patch // 4) ** 2
        self.embedding = nn.Linear(4 * config.stem * cells, config.width)
        self.transformer_encoder = Encoder(config)
        self.head = nn.Linear(config.width, 1)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, " n"]:
        """Return the predicted opinion of images in [0, 1], on the scale of the training set: for SPAQ 0 to 100."""
        patches, places, scales = multiscale_patches(2 * images - 1, self.rule)
        tokens = self.embed(rearrange(patches, "n l c y x -> (n l) c y x"))
        tokens = rearrange(tokens, "(n l) d -> n l d", n=len(images))
        encoded = self.transformer_encoder(tokens, places, scales)
        return self.head(encoded[:, 0])[:, 0]

    def embed(self, patches: Float[Tensor, "n 3 p p"]) -> Float[Tensor, "n d"]:
        """Return one token a patch: a small convolutional net, flattened by row, column, channel."""
        features = F.relu(self.gn_root(self.conv_root(patches)))
        features = F.max_pool2d(F.pad(features, same_padding(features, 3, 2)), 3, 2)
        return self.embedding(rearrange(self.block1(features), "n c y x -> n (y x c)"))


class StandardisedConv(nn.Conv2d):
    """Convolution whose weights are brought to mean 0 and deviation 1 per output channel; TensorFlow's SAME padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, unbiased: bool) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)
        self.unbiased = unbiased

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d y x"]:
        """Return the features."""
        # torch and JAX divide the variance by n - 1 and by n: see ``Musiq.std``.
        correction = int(self.unbiased)
        std, mean = torch.std_mean(self.weight, dim=(1, 2, 3), correction=correction, keepdim=True)
        padded = F.pad(images, same_padding(images, self.kernel_size[0], self.stride[0]))
        return F.conv2d(padded, (self.weight - mean) / (std + 1e-5), stride=self.stride)


class Bottleneck(nn.Module):
    """Residual block of three convolutions that makes four channels of one."""

    def __init__(self, channels: int, groups: int, unbiased: bool) -> None:
        super().__init__()
        self.conv1 = StandardisedConv(channels, channels, 1, unbiased=unbiased)
        self.gn1 = nn.GroupNorm(groups, channels, eps=1e-4)
        self.conv2 = StandardisedConv(channels, channels, 3, unbiased=unbiased)
        self.gn2 = nn.GroupNorm(groups, channels, eps=1e-4)
        self.conv3 = StandardisedConv(channels, 4 * channels, 1, unbiased=unbiased)
        self.gn3 = nn.GroupNorm(groups, 4 * channels, eps=1e-4)
        self.conv_proj = StandardisedConv(channels, 4 * channels, 1, unbiased=unbiased)
        self.gn_proj = nn.GroupNorm(groups, 4 * channels, eps=1e-4)

    def forward(self, features: Float[Tensor, "n c y x"]) -> Float[Tensor, "n d y x"]:
        """Return the features after the block."""
        hidden = F.relu(self.gn1(self.conv1(features)))
        hidden = F.relu(self.gn2(self.conv2(hidden)))
        shortcut = self.gn_proj(self.conv_proj(features))
        return F.relu(self.gn3(self.conv3(hidden)) + shortcut)


class Encoder(nn.Module):
    """Adds place and scale to tokens, puts a class token before them and runs the transformer."""

    def __init__(self, config: Musiq) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(1, 1, config.width))
        places = config.patches.grid**2
        scales = config.patches.num_scales
        # Parameters lie in dictionaries, so that their names are those of pyiqa's weights.
        self.posembed_input = nn.ParameterDict({"position_emb": 0.02 * torch.randn(1, places, config.width)})
        self.scaleembed_input = nn.ParameterDict({"scale_emb": 0.02 * torch.randn(1, scales, config.width)})
        self.transformer = nn.ModuleDict()
        for index in range(config.layers):
            self.transformer[f"encoderblock_{index}"] = Block(config)
        self.encoder_norm = nn.LayerNorm(config.width, eps=1e-6)

    def forward(
        self, tokens: Float[Tensor, "n l d"], places: Int[Tensor, " l"], scales: Int[Tensor, " l"]
    ) -> Float[Tensor, "n l+1 d"]:
        """Return the class token and the tokens, encoded."""
        of_place = self.posembed_input["position_emb"][:, places]
        tokens = tokens + of_place + self.scaleembed_input["scale_emb"][:, scales]
        class_token = self.cls.expand(len(tokens), -1, -1)
        tokens = torch.cat([class_token, tokens], dim=1)
        for block in self.transformer.values():
            tokens = block(tokens)
        return self.encoder_norm(tokens)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: Musiq) -> None:
        super().__init__()
        self.heads = config.heads
        self.gelu = config.gelu
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attention = nn.ModuleDict()
        for name in ("query", "key", "value", "out"):
            self.attention[name] = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        fc1 = nn.Linear(config.width, config.mlp)
        fc2 = nn.Linear(config.mlp, config.width)
        self.mlp = nn.ModuleDict({"fc1": fc1, "fc2": fc2})

    def forward(self, tokens: Float[Tensor, "n l d"]) -> Float[Tensor, "n l d"]:
        """Return the tokens after attention and MLP."""
        tokens = tokens + self.attend(self.norm1(tokens))
        hidden = F.gelu(self.mlp["fc1"](self.norm2(tokens)), approximate=self.gelu)
        return tokens + self.mlp["fc2"](hidden)

    def attend(self, tokens: Float[Tensor, "n l d"]) -> Float[Tensor, "n l d"]:
        """Return what each token reads from all."""
        query = self._split_heads("query", tokens)
        key = self._split_heads("key", tokens)
        read = F.scaled_dot_product_attention(query, key, self._split_heads("value", tokens))
        return self.attention["out"](rearrange(read, "n k l d -> n l (k d)"))

    def _split_heads(self, name: str, tokens: Float[Tensor, "n l d"]) -> Float[Tensor, "n k l head_d"]:
        return rearrange(self.attention[name](tokens), "n l (k d) -> n k l d", k=self.heads)


def same_padding(images: Float[Tensor, "n c h w"], kernel: int, stride: int) -> tuple[int, int, int, int]:
    """Return TensorFlow's SAME padding (left, right, top, bottom): ceil(side / stride) outputs, the odd pixel after."""
    # -(-a // b) is a / b rounded up.
    height, width = images.shape[-2:]
    extra_y = max(0, (-(-height // stride) - 1) * stride + kernel - height)
    extra_x = max(0, (-(-width // stride) - 1) * stride + kernel - width)
    return extra_x // 2, extra_x - extra_x // 2, extra_y // 2, extra_y - extra_y // 2


def load_musiq(path: str | Path, config: Musiq | None = None, sha256: str | None = None) -> MusiqNet:
    """Build MUSIQ from pyiqa's ``.pth`` (``musiq_spaq_ckpt-358bb6af.pth`` for VBench) or google's ``.npz``.

    Args:
        path: A local file of a model with one score (not AVA's, which has ten).
        config: Sizes and port; None = ``GOOGLE`` for an ``.npz`` and ``PYIQA`` for anything else.
        sha256: Its checksum, where the caller insists on these very weights.

    Raises:
        InputError: Naming the file, if it is missing, unreadable, or its weights do not fit.
    """
    path = Path(path)
    foreign = path.suffix == ".npz"
    state_dict = _read_npz(path, sha256) if foreign else read_state_dict(path, sha256)
    net = MusiqNet(config or (GOOGLE if foreign else PYIQA))
    scale_emb = "transformer_encoder.scaleembed_input.scale_emb"
    if scale_emb in state_dict and state_dict[scale_emb].ndim == 2:  # some files hold it without a leading 1
        state_dict[scale_emb] = state_dict[scale_emb][None]
    load_strict(net, state_dict, path)
    return net.eval()


NPZ_ROOT = "opt/target/"
NPZ_NAMES = (
    (r"^Transformer/encoderblock_", "transformer_encoder/transformer/encoderblock_"),
    (r"^Transformer/", "transformer_encoder/"),
    (r"/unit1/", "/"),
    (r"/pos_embedding$", "/position_emb"),
    (r"/scale_embedding$", "/scale_emb"),
    (r"/LayerNorm_0/", "/norm1/"),
    (r"/MultiHeadDotProductAttention_1/", "/attention/"),
    (r"/LayerNorm_2/", "/norm2/"),
    (r"/MlpBlock_3/Dense_0/", "/mlp/fc1/"),
    (r"/MlpBlock_3/Dense_1/", "/mlp/fc2/"),
    (r"/(kernel|scale)$", "/weight"),
    (r"/", "."),
)
"""From google's names of weights to ours, applied in this order."""


def _read_npz(path: Path, sha256: str | None) -> dict[str, Float[Tensor, "..."]]:
    """Read google's file: the weights below ``opt/target``, renamed and turned to torch's layout."""
    check_regular(path, "an .npz of weights")
    if sha256 is not None:
        check_sha256(path, sha256)
    state_dict = {}
    for name, array in read_arrays(path, lambda name: name.startswith(NPZ_ROOT)).items():
        renamed = name.removeprefix(NPZ_ROOT)
        for pattern, replacement in NPZ_NAMES:
            renamed = re.sub(pattern, replacement, renamed)
        state_dict[renamed] = torch.from_numpy(_to_torch(name, array)).float()
    return state_dict


def _to_torch(name: str, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Bring an array to torch's layout: output features first, heads flattened, no leading ones of norms."""
    if name.endswith(("/pos_embedding", "/scale_embedding", "/cls")):
        return array
    if not name.endswith("/kernel"):
        return array.reshape(-1)
    # Flax keeps kernels as (..., in, out), torch as (out, in, ...).
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(3, 2, 0, 1))
    # Attention's kernels have an axis of heads, which belongs to the outputs but in the last layer.
    outputs = array.shape[-1] if name.endswith("/out/kernel") else array[0].size
    return np.ascontiguousarray(array.reshape(-1, outputs).T)
