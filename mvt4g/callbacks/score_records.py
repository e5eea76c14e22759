"""Scores that test and validate keep while they run, so that a killed one goes on where it stopped."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.outcome import Outcome
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.systems.scored_batches import ScoredBatches

FOLDER = "scored"


class ScoreRecords(Callback):
    """Keeps ``<run>/<command>/scored/``, a file a batch, until the command is done and no item has failed.

    What the file of a batch depends on: all of its content (clips, cameras, names), the model's options and the files
    that they name, precision, the SHA-256 of the checkpoint, and the code of this package.

    Args:
        outcome: Knows which items failed.
        facts: What scores depend on beside the data.

    Attributes:
        scored_batches: The files; None before the command begins.
    """

    def __init__(self, outcome: Outcome, facts: RunFacts) -> None:
        super().__init__()
        self.outcome = outcome
        self.facts = facts
        self.scored_batches: ScoredBatches | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See what is there."""
        inputs = {**self.facts.inputs(pl_module), "code": code_digest(), "torch": torch.__version__}
        self.scored_batches = ScoredBatches(self.facts.run / self.outcome.command / FOLDER, inputs)

    on_validation_start = on_test_start

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Write what the batch has added, the last thing it leaves."""
        self._write()

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Write what the batch has added, the last thing it leaves."""
        self._write()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the batches, now that the scores of all are written."""
        if self.scored_batches is not None and trainer.is_global_zero and not self.outcome.failed:
            self.scored_batches.remove()

    on_validation_end = on_test_end

    def _write(self) -> None:
        assert self.scored_batches is not None, "a batch comes after the start"
        self.scored_batches.write()


@cache
def code_digest() -> str:
    """Return the SHA-256 of this package's sources: a score that is computed otherwise is another."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
