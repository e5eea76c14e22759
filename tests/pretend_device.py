"""A second device where there is none: tensors "on" it lie on the CPU, and mixing the two fails as on a GPU.

    with second_device():
        metric.to(SECOND).update(sent(video))

Under its name, ``meta``, torch asks for no driver. What a GPU allows is allowed: scalars of the CPU in pointwise
operations, index tensors of the CPU, copies. What it cannot show: kernels that a GPU lacks, and its rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

SECOND = torch.device("meta")
aten = torch.ops.aten
COPIES = {aten.copy_, aten._to_copy}
INDEXING = {aten.index, aten._unsafe_index, aten.index_put_, aten.index_put, aten._index_put_impl_}


class Elsewhere(Tensor):
    """A tensor that says it is on the second device; ``held`` is where its numbers are."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Elsewhere":
        made = Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=SECOND
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with _Dispatch():
            return func(*args, **(kwargs or {}))

    def __getitem__(self, index: Any) -> Tensor:
        """Index; torch turns lists into tensors of the tensor's own device, where they have no numbers."""
        parts = index if isinstance(index, tuple) else (index,)
        return super().__getitem__(tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts))

    def __repr__(self) -> str:
        return f"Elsewhere({self.held!r})"

    # torch reads numbers of any tensor from memory of its own
    def tolist(self) -> list:
        return self.held.tolist()

    def item(self) -> Any:
        return self.held.item()

    def __bool__(self) -> bool:
        return bool(self.held)

    def __int__(self) -> int:
        return int(self.held)

    def __index__(self) -> int:
        return int(self.held)

    def __float__(self) -> float:
        return float(self.held)


def sent(value: Any) -> Any:
    """Return a tensor as one on the second device; anything else as it is."""
    return Elsewhere(value.detach()) if isinstance(value, Tensor) else value


def brought_back(value: Tensor) -> Tensor:
    """Return the numbers of a tensor, which must be on the second device."""
    assert isinstance(value, Elsewhere), f"got {value} on {value.device}, want it on the other device"
    return value.held


@contextmanager
def second_device() -> Iterator[None]:
    """Let there be a second device for the length of a block."""
    autocast = torch.autocast

    def on_cpu(device_type: str, **options: Any) -> torch.autocast:
        return autocast("cpu" if device_type == SECOND.type else device_type, **options)

    with patch("torch.autocast", on_cpu), _Literals(), _Dispatch():
        yield


class _Literals(TorchFunctionMode):
    """Makes the tensors of numbers of Python, which are made below the dispatcher."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.tensor:
            device = kwargs.pop("device", None)
            made = func(*args, **kwargs)
            return Elsewhere(made) if device is not None and torch.device(device) == SECOND else made
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return Elsewhere(torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)))
        return func(*args, **kwargs)


class _Dispatch(TorchDispatchMode):
    """Runs every operation on the CPU, after a look at where its tensors say they are."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, packet = dict(kwargs or {}), func.overloadpacket
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = {id(leaf.held): leaf for leaf in given if isinstance(leaf, Elsewhere)}
        here = [leaf for leaf in given if not isinstance(leaf, Elsewhere)]
        if there and packet in INDEXING:
            mixed = not isinstance(args[0], Elsewhere)
        else:
            pointwise = torch.Tag.pointwise in func.tags
            mixed = bool(there) and packet not in COPIES and any(leaf.ndim > 0 or not pointwise for leaf in here)
        if mixed:
            raise RuntimeError(f"{func}: got tensors of two devices")
        wanted = kwargs.get("device")
        is_there = bool(there) if wanted is None else torch.device(wanted) == SECOND
        is_there = isinstance(args[0], Elsewhere) if packet is aten.copy_ else is_there
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        args, kwargs = tree_map(lambda leaf: leaf.held if isinstance(leaf, Elsewhere) else leaf, (args, kwargs))
        found = func(*args, **kwargs)

        def wrapped(leaf: Any) -> Any:
            known = there.get(id(leaf))  # written in place
            return known if known is not None else Elsewhere(leaf) if isinstance(leaf, Tensor) else leaf

        return tree_map(wrapped, found) if is_there else found
