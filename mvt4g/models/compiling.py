"""Parts of a network that ``torch.compile`` turns into few fused kernels, one graph for all modules of a kind."""

import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from mvt4g.types import InputError

BACKEND = "inductor"
"""What turns a graph into code."""
MAX_GRAPHS = 64
"""Graphs of one function: of every size, with gradients and without, of the last block. PyTorch gives up after 8."""


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what ``torch.compile`` makes of a method, called as ``Class.method`` with the module first.

    Weights are inputs of its graphs, so that all modules of one structure run the same one, and no module changes: its
    state dict keeps its names. A graph is made at the first call with new sizes, which takes a minute or so.
    """
    torch._dynamo.config.recompile_limit = MAX_GRAPHS
    return torch.compile(function, backend=BACKEND, options=_options())


def _options() -> dict[str, Any] | None:
    """Return what Inductor is asked for beyond its defaults."""
    if BACKEND != "inductor":
        return None
    # Here, since it loads Inductor, which takes a second that no other use of the models needs.
    from mvt4g.models.onednn_linear import LinearsByOneDNN, onednn_is_faster

    return {"post_grad_custom_post_pass": LinearsByOneDNN()} if onednn_is_faster() else None


def check_compiler(option: str) -> None:
    """Check that there is a C++ compiler, which every target of ``torch.compile`` needs, a GPU as well.

    Args:
        option: What asks for it, for the message.

    Raises:
        InputError: If there is none.
    """
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        want = "one on PATH or in CXX, or compile none"
        raise InputError(f"{option}: got blocks and no C++ compiler {compiler!r}, want {want}")
