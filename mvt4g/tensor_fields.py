"""Dataclasses of tensors that move to a device as one, and are stacked to batches."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from mvt4g.errors import InputError

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

    @property
    def nbytes(self) -> int:
        """Memory of all tensors, bytes."""
        total = 0
        for field in fields(self):  # type: ignore[arg-type]  # mixed into dataclasses only
            value = getattr(self, field.name)
            if isinstance(value, Tensor | TensorFields):
                total += value.nbytes
        return total

    def to(self: _Fields, device: torch.device | str, non_blocking: bool = False) -> _Fields:
        """Return a copy on ``device``; dtypes stay, since cameras and tracks are fp32 under any precision."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self: _Fields) -> _Fields:
        """Return a copy in pinned host memory."""
        return self._map(lambda tensor: tensor.pin_memory())


def stack_fields(clips: Sequence[Any]) -> dict[str, Any]:
    """Return every field of dataclasses stacked along a new leading axis; what is no tensor becomes a tuple.

    Args:
        clips: Of one class, which has a ``name``.

    Raises:
        InputError: If there are none, or a field is there (or has a shape) in one and not in another.
    """
    if not clips:
        raise InputError("clips: got an empty list, want at least one clip")
    return {field.name: _stack_field(field.name, clips) for field in fields(clips[0])}


def _stack_field(name: str, clips: Sequence[Any]) -> Any:
    values = [getattr(clip, name) for clip in clips]
    missing = []
    for clip, value in zip(clips, values, strict=True):
        if value is None:
            missing.append(clip.name)
    if len(missing) == len(clips):
        return None
    if missing:
        got = f"missing in clip {missing[0]!r} but present in others of its batch"
        raise InputError(f"{name}: {got}; want all or none")
    if isinstance(values[0], TensorFields):
        stacked = {}
        for field in fields(values[0]):  # type: ignore[arg-type]  # mixed into dataclasses only
            parts = [getattr(value, field.name) for value in values]
            stacked[field.name] = _stack_tensors(f"{name}.{field.name}", clips, parts)
        return type(values[0])(**stacked)
    return _stack_tensors(name, clips, values) if isinstance(values[0], Tensor) else tuple(values)


def _stack_tensors(
    name: str,
    clips: Sequence[Any],
    values: Sequence[Shaped[Tensor, "..."]],
) -> Shaped[Tensor, "b ..."]:
    shapes: dict[tuple[int, ...], str] = {}
    for clip, value in zip(clips, values, strict=True):
        shapes[tuple(value.shape)] = clip.name
    if len(shapes) > 1:
        got = f"clips of one batch have different shapes, got {shapes}"
        raise InputError(f"{name}: {got}, want one shape")
    # One clip is not copied: 81 frames of 480x832 would stand in memory twice.
    return torch.stack(list(values)) if len(values) > 1 else values[0][None]
