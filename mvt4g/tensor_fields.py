"""Dataclasses of tensors that move to a device as one."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

_Fields = TypeVar("_Fields", bound="TensorFields")  # typing.Self is refused by beartype under the test hook


class TensorFields:
    """Moves every tensor of a frozen dataclass, at any depth, and leaves the rest as it is."""

    def _map(self: _Fields, move: Any) -> _Fields:
        moved: dict[str, Any] = {}
        own = fields(self)  # type: ignore[arg-type]  # mixed into dataclasses only
        for field in own:
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = move(value)
            elif isinstance(value, TensorFields):
                moved[field.name] = value._map(move)
        return replace(self, **moved)  # type: ignore[type-var]  # mixed into dataclasses only

    def to(self: _Fields, device: torch.device | str, non_blocking: bool = False) -> _Fields:
        """Return a copy on ``device``; dtypes stay, since cameras and tracks are fp32 under any precision."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self: _Fields) -> _Fields:
        """Return a copy in pinned host memory."""
        return self._map(lambda tensor: tensor.pin_memory())
