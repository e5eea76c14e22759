"""The two-layer perceptron that the feed-forward, the text path and the time path share."""

from torch import nn


def two_layer(in_dim: int, hidden_dim: int, out_dim: int, activation: nn.Module | None = None) -> nn.Sequential:
    """Return Linear, activation (None: GELU by the tanh formula), Linear; so their keys are ``0`` and ``2``."""
    middle = nn.GELU(approximate="tanh") if activation is None else activation
    return nn.Sequential(nn.Linear(in_dim, hidden_dim), middle, nn.Linear(hidden_dim, out_dim))
