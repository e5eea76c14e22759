"""Which parameters train: chosen by name, counted by group."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from torch import nn

from mvt4g.types import InputError

BACKBONE_DEPTH = 5
"""Parts of a name that tell groups of the backbone apart: ``backbone.dit.blocks.*.self_attn``."""


class Count(NamedTuple):
    """How many tensors, and how many numbers in them."""

    tensors: int
    numbers: int


class GroupCount(NamedTuple):
    """How much of one group of parameters trains."""

    trainable: Count
    frozen: Count


def matches(name: str, pattern: str) -> bool:
    """Return whether ``pattern`` is part of ``name``; ``*``, ``?`` and ``[...]`` are wild as in a shell."""
    return fnmatchcase(name, f"*{pattern}*")


def freeze_others(module: nn.Module, patterns: Sequence[str], option: str) -> None:
    """Freeze every parameter that no pattern matches; what is frozen already (a codec) stays so, matched or not.

    Args:
        module: Changed in place.
        patterns: As ``matches`` reads them.
        option: What the patterns are called where they were given.

    Raises:
        InputError: If there is no pattern, or one that matches nothing that could train.
    """
    if not patterns:
        raise InputError(f"{option}: got an empty list, want null (all train) or parts of parameters' names")
    candidates = {name: value for name, value in module.named_parameters() if value.requires_grad}
    trained: set[str] = set()
    for pattern in patterns:
        matched = {name for name in candidates if matches(name, pattern)}
        if not matched:
            groups = ", ".join(dict.fromkeys(map(group_of, candidates)))
            raise InputError(f"{option}: got {pattern!r}, which is part of no parameter's name, want part of {groups}")
        trained |= matched
    for name, value in candidates.items():
        value.requires_grad_(name in trained)


def group_of(name: str) -> str:
    """Return the group of one of ``NovelViewSystem``'s parameters: a part of all blocks, or the whole tracking head."""
    parts = ["*" if part.isdigit() else part for part in name.removeprefix("model.").split(".")]
    if parts[-1] in ("weight", "bias"):
        parts.pop()
    kept = parts[: BACKBONE_DEPTH if parts[0] == "backbone" else 1]
    return ".".join(kept[:-1] if kept[-1] == "*" else kept)


def count_groups(module: nn.Module) -> dict[str, GroupCount]:
    """Count what trains and what is frozen, by group in the order of the modules."""
    counts: dict[str, GroupCount] = {}
    for name, value in module.named_parameters():
        group = group_of(name)
        trainable, frozen = counts.get(group, GroupCount(Count(0, 0), Count(0, 0)))
        if value.requires_grad:
            trainable = _add(trainable, Count(1, value.numel()))
        else:
            frozen = _add(frozen, Count(1, value.numel()))
        counts[group] = GroupCount(trainable, frozen)
    return counts


def total_count(counts: dict[str, GroupCount]) -> GroupCount:
    """Add the groups up."""
    trainable = Count(0, 0)
    frozen = Count(0, 0)
    for group in counts.values():
        trainable = _add(trainable, group.trainable)
        frozen = _add(frozen, group.frozen)
    return GroupCount(trainable, frozen)


def _add(one: Count, other: Count) -> Count:
    return Count(one.tensors + other.tensors, one.numbers + other.numbers)


def trainable_table(counts: dict[str, GroupCount]) -> str:
    """Return the counts as a Markdown table: tensors and numbers that train and that are frozen, by group."""
    rows: list[tuple[str, ...]] = [
        ("parameters", "trainable", "", "frozen", ""),
        ("---", "---:", "---:", "---:", "---:"),
    ]
    for name, count in {**counts, "all": total_count(counts)}.items():
        # Nothing stands for 0, so that what trains is seen at once.
        numbers = (*count.trainable, *count.frozen)
        rows.append((name, *(f"{number:,}" if number else "" for number in numbers)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
