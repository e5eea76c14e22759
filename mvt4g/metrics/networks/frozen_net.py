"""A network inside a metric that is only run: never trained, never rounded, never saved with a checkpoint."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn


class FrozenNet(nn.Module):
    """Runs a network in fp32 without gradients to its weights, hidden from whatever owns the metric.

    The network is not registered as a submodule, so that ``parameters``, ``state_dict``, ``load_state_dict`` and
    ``train`` pass it by; it follows to another device all the same. Gradients to the input flow.

    Args:
        net: An ``nn.Module`` or any callable on tensors. The module itself becomes fp32, frozen and in evaluation mode:
            of one that is trained elsewhere, hand over a copy.
    """

    def __init__(self, net: Callable[..., Any]) -> None:
        super().__init__()
        if isinstance(net, nn.Module):
            net = net.float().eval().requires_grad_(False)
        self.__dict__["net"] = net

    def forward(self, *inputs: Shaped[Tensor, "..."], **options: Any) -> Any:
        """Run the network, outside autocast, on inputs promoted to fp32."""
        with torch.autocast(inputs[0].device.type, enabled=False):
            return self.__dict__["net"](*(value.float() for value in inputs), **options)

    def _apply(
        self, fn: Callable[[Shaped[Tensor, "..."]], Shaped[Tensor, "..."]], *rest: Any, **options: Any
    ) -> "FrozenNet":
        super()._apply(fn, *rest, **options)
        net = self.__dict__["net"]
        if isinstance(net, nn.Module):
            held = next(chain(net.parameters(), net.buffers()), torch.empty(0))
            net.to(fn(held.new_empty(0)).device)  # a change of type alone leaves it where it is
        return self
