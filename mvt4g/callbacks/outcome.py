"""The outcome of a command: the lines it ends with, and the items of its list that failed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsFloat

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.checkpoints import say
from mvt4g.systems.across_ranks import agree_on_updates, gathered
from mvt4g.systems.bad_items import Repeated
from mvt4g.systems.scored_batches import Scored
from mvt4g.types import InputError

MOST_NAMED = 5
"""Most names in a line."""


class Outcome(Callback):
    """Keeps what became of the items of a list, and ends validate, test and predict with what was written and where.

    A bad item is told of as soon as it is met, and again at the end by ``error``.

    Args:
        run: The run folder.
        command: fit, validate, test or predict.

    Attributes:
        failed: Reason by item, of this process; of all of them once the command has ended.
        made: Items whose results were written now, likewise.
        skipped: Items that were there and whole before, or scored; of predict all processes see all of them.
        several: False where the list has one item, which needs no lines of its own.
        remarks: Why scores are missing, by the beginning of their keys.
    """

    def __init__(self, run: Path, command: str) -> None:
        super().__init__()
        self.run = run
        self.command = command
        self.failed: dict[str, str] = {}
        self.made = 0
        self.skipped = 0
        self.several = True
        self.remarks: Mapping[str, str] = {}

    def fail(self, error: InputError, tell: bool = True) -> None:
        """Note a bad item, and say so where there are others."""
        item = error.item or f"item {len(self.failed) + 1}"
        self.failed[item] = " ".join(str(error).split())
        if tell and self.several:
            say(f"failed {item}: {self.failed[item]}")

    def error(self) -> InputError | None:
        """Return what the command is to end with: nothing if no item failed."""
        if not self.failed:
            return None
        count = len(self.failed)
        total = count + self.made + self.skipped
        reasons = set(self.failed.values())
        if len(reasons) == 1 and count == total:
            return InputError(reasons.pop())
        items = "; ".join(f"{item} ({reason})" for item, reason in list(self.failed.items())[:MOST_NAMED])
        more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
        return InputError(f"{count} of {total} items failed, the others are done: {items}{more}")

    def failed_everywhere(self, trainer: Trainer) -> dict[str, str]:
        """Return the bad items of all ranks, by name; all ranks must call it."""
        datamodule = getattr(trainer, "datamodule", None)
        while bad_items := getattr(datamodule, "bad_items", None):
            self.fail(bad_items.pop(0))
        of_all: dict[str, str] = {}
        for of_a_rank in gathered(self.failed):
            of_all |= of_a_rank
        return dict(sorted(of_all.items()))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See whether there are several items."""
        self.several = sum(trainer.num_test_batches) > 1

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Note what became of a batch; nothing of one that only repeats what another rank has."""
        if isinstance(outputs, InputError):
            self.fail(outputs)
        elif isinstance(outputs, Scored):
            self.skipped += _num_items(batch)
        elif not isinstance(outputs, Repeated):
            self.made += _num_items(batch)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Note a bad item; what was made is noted by who wrote it."""
        if isinstance(outputs, InputError):
            self.fail(outputs)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let a rank whose items all failed, or that has none, compute what the others do.

        Raises:
            InputError: If items failed and none was scored: metrics of nothing would pass for those of a finished test.
        """
        agree_on_updates(pl_module)
        scored = sum(gathered(self.made + self.skipped))
        failed = self.failed_everywhere(trainer)
        if failed and not scored:
            self.failed = failed
            error = self.error()
            assert error is not None
            raise error

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what the ranks know."""
        self._put_together(trainer)
        self.skipped = sum(gathered(self.skipped))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put together what the ranks know."""
        self._put_together(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say what was written and where, and why scores are missing."""
        nothing = self.failed and not self.several and not self.made and not self.skipped
        if nothing or self.command == "fit" or not trainer.is_global_zero:
            return  # a fit's last line is ``RunRecord``'s
        if self.command == "test":
            for line in nan_lines(trainer.callback_metrics, self.remarks):
                say(line)
            self._say_counts("scored", "scored before")
        if self.command == "predict":
            self._say_counts("made", "there and whole before")
        say(f"{self.command}: wrote {self._written_files()}")

    def _say_counts(self, made: str, skipped: str) -> None:
        counts = [f"{self.made} {made}"]
        if self.skipped:
            counts.append(f"{self.skipped} {skipped}")
        if self.failed:
            counts.append(f"{len(self.failed)} failed")
        say(f"{self.command}: {', '.join(counts)}")

    def _written_files(self) -> str:
        folder = self.run / self.command
        names = []
        for path in folder.glob("*"):
            if not path.name.startswith(".") and "tfevents" not in path.name:
                names.append(f"{path.name}/" if path.is_dir() else path.name)
        names.sort()
        # A test's files are few; predict has a folder for every video.
        listed = _first(names) if self.command == "predict" else ", ".join(names)
        return f"{folder}: {listed or 'nothing'}"

    def _put_together(self, trainer: Trainer) -> None:
        self.failed = self.failed_everywhere(trainer)
        self.made = sum(gathered(self.made))


def nan_lines(metrics: Mapping[str, SupportsFloat], remarks: Mapping[str, str]) -> list[str]:
    """Return why scores are NaN, a line a reason.

    Args:
        metrics: By logged key, ``test/...``.
        remarks: By the beginning of a key without ``test/``: what a metric lacked. A score without a remark had
            nothing to count in any clip.
    """
    by_reason: dict[str, list[str]] = {}
    for key, value in metrics.items():
        if math.isnan(float(value)):
            reason = remarks.get(remarked_family(key.partition("/")[2], remarks), "")
            by_reason.setdefault(reason or "no clip has anything that it counts", []).append(key)
    return [f"nan: {_first(keys)}: {reason}" for reason, keys in by_reason.items()]


def remarked_family(key: str, remarks: Mapping[str, str]) -> str:
    """Return the beginning of a score's key, whole words alone, that there is a remark on; empty if there is none."""
    for name in remarks:
        if f"{key}/".startswith(f"{name}/"):
            return name
    return ""


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _num_items(batch: Any) -> int:
    names = getattr(batch, "names", getattr(getattr(batch, "clip", batch), "name", ""))
    return len(names) if isinstance(names, tuple | list) else 1
