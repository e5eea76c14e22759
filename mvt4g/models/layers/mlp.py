"""The two-layer perceptrons: of the feed-forward, the text path and the time path; of image tokens."""

from collections import OrderedDict

from torch import nn


def two_layer(
    in_dim: int,
    hidden_dim: int,
    out_dim: int,
    activation: nn.Module | None = None,
) -> nn.Sequential:
    """Return Linear, activation (None: GELU by the tanh formula), Linear; so their keys are ``0`` and ``2``."""
    middle = nn.GELU(approximate="tanh") if activation is None else activation
    first = nn.Linear(in_dim, hidden_dim)
    return nn.Sequential(first, middle, nn.Linear(hidden_dim, out_dim))


def image_mlp(in_dim: int, out_dim: int) -> nn.Sequential:
    """Return the perceptron of CLIP's image tokens, a norm before and after it, under the key ``proj``."""
    layers = nn.Sequential(
        nn.LayerNorm(in_dim),
        nn.Linear(in_dim, in_dim),
        nn.GELU(),
        nn.Linear(in_dim, out_dim),
        nn.LayerNorm(out_dim),
    )
    return nn.Sequential(OrderedDict(proj=layers))
