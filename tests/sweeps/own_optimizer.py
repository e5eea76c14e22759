"""An optimizer that is not of the suite."""

import torch


class Own(torch.optim.SGD):
    """As its base."""
