"""Batches that a test has scored: what each has added to the metrics lies in a file, so that a killed test goes on.

The scores of a test are sums over batches, added up in their order. Taking some of the batches from files adds the same
numbers in the same order, so that the scores are those of a test that ran through, to the last digit.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.array_headers import BROKEN
from mvt4g.formats.weights import read_pickle
from mvt4g.systems.across_ranks import gathered
from mvt4g.systems.metric_shares import MetricShare, added_alone, are_mergeable, undone
from mvt4g.types import InputError


class Scored:
    """Output of a batch that an earlier start of the same command has scored."""


class ScoredBatches:
    """The batches that a command has scored, a file each.

    A batch is known by its content and by the facts: other clips, options or weights make it another one. A file that
    is damaged is as one that is not there.

    Args:
        folder: Holds nothing else.
        facts: All that scores depend on beside the batch, as JSON holds it.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self._facts = json.dumps(facts, sort_keys=True, default=str)
        self._held: tuple[Path, MetricShare] | None = None

    def place(self, batch: Any, batch_idx: int) -> Path:
        """Return the file of a batch; the first one is apart, since pictures are of it."""
        digest = hashlib.sha256(f"{self._facts} {batch_idx == 0}".encode())
        _add_content(digest, batch)
        return self.folder / f"{digest.hexdigest()[:32]}.pt"

    def find(self, place: Path, module: nn.Module) -> MetricShare | None:
        """Return what a batch has added to a module; None if that is not there."""
        if not place.is_file():
            return None
        try:
            with zipfile.ZipFile(place) as archive:
                damaged = archive.testzip()  # what torch reads, it reads without a look at checksums
            share = MetricShare(**read_pickle(place))
            return share if damaged is None and share.fits(module) else None
        except (InputError, *BROKEN):
            return None

    def hold(self, place: Path, share: MetricShare) -> None:
        """Keep what a batch has added until ``write``."""
        self._held = (place, share)

    def write(self) -> None:
        """Write what is held, once all is written that the batch leaves elsewhere.

        Raises:
            InputError: If it cannot be written there.
            RunStopped: If the disk is full.
        """
        if self._held is None:
            return
        place, share = self._held
        self._held = None
        with appearing(place) as temporary, temporary.open("wb") as file:
            torch.save(share.as_content(), file)

    def remove(self) -> None:
        """Remove the files of all batches."""
        shutil.rmtree(self.folder, ignore_errors=True)


def scored_batches(trainer: Any) -> ScoredBatches | None:
    """Return what a callback of the trainer keeps as its ``scored_batches``; None if none does."""
    for callback in getattr(trainer, "callbacks", ()):
        batches = getattr(callback, "scored_batches", None)
        if isinstance(batches, ScoredBatches):
            return batches
    return None


def score_once(
    module: LightningModule, batch: Any, batch_idx: int, step: Callable[[], Any], in_step: bool = False
) -> Any:
    """Run a step that adds a batch to metrics, unless it was run before; one that raises leaves them as they were.

    Args:
        module: Whose metrics, at any depth.
        batch: Of the step.
        batch_idx: Its number.
        step: Adds it.
        in_step: Ranks wait for one another in every step: it is left out by all of them or by none.

    Returns:
        The step's output, or ``Scored``.
    """
    batches = scored_batches(module.trainer)
    if batches is None or not are_mergeable(module):
        with undone(module, only_if_it_fails=True):
            return step()
    place = batches.place(batch, batch_idx)
    share = batches.find(place, module)
    found = share is not None
    if in_step:
        found = all(gathered(found))
    if found and share is not None:
        share.add_to(module)
        return Scored()
    output, share = added_alone(module, step)
    batches.hold(place, share)
    return output


def _add_content(digest: Any, value: Any) -> None:
    """Feed a batch to a digest, with types, shapes and names, so that other content is other bytes."""
    add = digest.update
    add(f"<{type(value).__qualname__}".encode())
    if isinstance(value, Tensor):
        add(f" {value.dtype} {tuple(value.shape)}".encode())
        add(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif is_dataclass(value):
        for field in fields(value):
            add(field.name.encode())
            _add_content(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            _add_content(digest, key)
            _add_content(digest, entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            _add_content(digest, entry)
    else:
        add(repr(value).encode())  # an object that is told by its address alone is never found again
    add(b">")
