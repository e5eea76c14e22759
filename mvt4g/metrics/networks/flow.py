"""Optical flow from RAFT with weights on disk."""

from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.optical_flow import raft_large

from mvt4g.metrics.networks.weights import load_strict, read_state_dict
from mvt4g.types import InputError

STRIDE = 8
"""RAFT's features have one cell for as many pixels on a side."""
MIN_SIDE = 128
"""The coarsest of its four correlation levels needs two cells."""


class RaftFlow(nn.Module):
    """Motion of every pixel between two frames, by RAFT (large).

    Sides that are no multiples of 8 are padded by repeating the border, half on each side, as RAFT's own code does,
    and the flow is cut back.

    Args:
        net: A ``torchvision.models.optical_flow.RAFT``, or what is called like it.
        num_updates: Refinements of the flow; VBench takes 20.

    Raises:
        InputError: If ``num_updates`` is under 1.

    Source:
        RAFT (arXiv 2003.12039).
    """

    def __init__(self, net: nn.Module, num_updates: int = 20) -> None:
        super().__init__()
        if num_updates < 1:
            raise InputError(f"num_updates: got {num_updates}, want at least 1")
        self.net = net.eval().requires_grad_(False)
        self.num_updates = num_updates

    def forward(
        self,
        before: Float[Tensor, "n 3 h w"],
        after: Float[Tensor, "n 3 h w"],
    ) -> Float[Tensor, "n 2 h w"]:
        """Return the motion (x, y) in pixels from frames in [0, 1] to those after them.

        Raises:
            InputError: If a side is so small that RAFT cannot be run.
        """
        height, width = before.shape[-2:]
        extra_y = -height % STRIDE
        extra_x = -width % STRIDE
        if min(height + extra_y, width + extra_x) < MIN_SIDE:
            raise InputError(f"video: got frames of {height}x{width}, want at least {MIN_SIDE}x{MIN_SIDE} for RAFT")
        top = extra_y // 2
        left = extra_x // 2
        border = (left, extra_x - left, top, extra_y - top)
        # RAFT was trained on values in [-1, 1].
        padded = [F.pad(2 * frames - 1, border, mode="replicate") for frames in (before, after)]
        flow = self.net(*padded, num_flow_updates=self.num_updates)[-1]
        return flow[..., top : top + height, left : left + width]


def load_raft(path: str | Path, sha256: str | None = None, num_updates: int = 20) -> RaftFlow:
    """Build RAFT (large) from torchvision's state dict, as ``raft_large_C_T_V1-22a6c225.pth``.

    That file is the RAFT that VBench loads: torchvision ported it from the authors' ``raft-things.pth``, whose own
    names of weights are refused. torchvision's default, ``C_T_SKHT_V2``, was trained on more data sets.

    Args:
        path: A local file.
        sha256: Its checksum, where the caller insists on these very weights.

    Raises:
        InputError: Naming the file, if it is missing or its weights do not fit.
    """
    net = raft_large(weights=None, progress=False)
    load_strict(net, read_state_dict(path, sha256), path)
    return RaftFlow(net, num_updates)
