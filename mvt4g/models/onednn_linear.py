"""Linears of a compiled graph by oneDNN, where that is faster than MKL, which PyTorch's fp32 Linears on a CPU call.

On an AMD EPYC with AVX-512 it takes 0.89 to 0.93 of MKL's time at 2,048 tokens of 384 numbers. Only what compiles for
Inductor loads this module.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, fx
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files

aten = torch.ops.aten
_PROCESSOR = Path("/proc/cpuinfo")
"""What Linux tells of the processor; elsewhere nothing is replaced."""


def onednn_is_faster() -> bool:
    """Say whether PyTorch has both libraries and the processor is AMD's, the only maker whose was measured."""
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available() and _PROCESSOR.exists()):
        return False
    return "AuthenticAMD" in _PROCESSOR.read_text()


@torch.library.custom_op(
    "mvt4g::onednn_linear",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor tokens, Tensor weight, Tensor bias) -> Tensor",
)
def onednn_linear(
    tokens: Float[Tensor, "n i"],
    weight: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"],
) -> Float[Tensor, "n o"]:
    """Return ``F.linear(tokens, weight, bias)``.

    Inductor's own name for oneDNN's Linear takes constant weights alone, which would need a graph for every block.
    """
    return torch.ops.mkldnn._linear_pointwise(tokens, weight, bias, "none", [], "")


@onednn_linear.register_fake
def _(
    tokens: Float[Tensor, "n i"],
    weight: Float[Tensor, "o i"],
    bias: Float[Tensor, " o"],
) -> Float[Tensor, "n o"]:
    return tokens.new_empty(tokens.shape[0], weight.shape[0])


class LinearsByOneDNN(CustomGraphPass):
    """Replaces every fp32 Linear with a bias by ``onednn_linear``, in graphs that are already differentiated."""

    def __call__(self, graph: fx.Graph) -> None:
        """Change the graph."""
        for node in graph.find_nodes(op="call_function", target=aten.addmm.default):
            bias, tokens, turned = (part for part in node.args if isinstance(part, fx.Node))
            if node.kwargs or not _is_linear(bias, tokens, turned):
                continue
            weight = turned.all_input_nodes[0]
            with graph.inserting_before(node):
                linear = torch.ops.mvt4g.onednn_linear.default
                found = graph.call_function(linear, (tokens, weight, bias))
            found.meta.update(node.meta)
            node.replace_all_uses_with(found)
            graph.erase_node(node)

    def uuid(self) -> bytes:
        """Return what changes with this file: compiled code is kept under it."""
        return get_hash_for_files((__file__,))


def _is_linear(bias: fx.Node, tokens: fx.Node, turned: fx.Node) -> bool:
    """Say whether ``addmm`` of these is a Linear in fp32 on a CPU, its weights turned from ``o i``."""
    if turned.target is not aten.permute.default:
        return False
    weight = turned.all_input_nodes[0]
    for value in (bias.meta["val"], tokens.meta["val"], weight.meta["val"]):
        if value.device.type != "cpu" or value.dtype != torch.float32:
            return False
    return bias.meta["val"].ndim == 1 and weight.meta["val"].is_contiguous()
