"""What a command did: the lines it ends with, and the items of its list that failed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.checkpoints import say
from mvt4g.systems.across_ranks import agree_on_updates, gathered
from mvt4g.systems.bad_items import Repeated
from mvt4g.systems.scored_batches import Scored
from mvt4g.types import InputError

SHOWN = 5
"""Names that a line shows of many."""


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
        self.run, self.command = run, command
        self.failed: dict[str, str] = {}
        self.made, self.skipped = 0, 0
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
        total, reasons = len(self.failed) + self.made + self.skipped, list(self.failed.values())
        if len(set(reasons)) == 1 and len(self.failed) == total:
            return InputError(reasons[0])
        told = "; ".join(f"{item} ({reason})" for item, reason in list(self.failed.items())[:SHOWN])
        more = f" and {len(self.failed) - SHOWN} more" if len(self.failed) > SHOWN else ""
        return InputError(f"{len(self.failed)} of {total} items failed, the others are done: {told}{more}")

    def failed_everywhere(self, trainer: Trainer) -> dict[str, str]:
        """Return the bad items of all ranks, by name; all ranks must call it."""
        datamodule = getattr(trainer, "datamodule", None)
        while bad_items := getattr(datamodule, "bad_items", None):
            self.fail(bad_items.pop(0))
        together = [failed for rank in gathered(self.failed) for failed in rank.items()]
        return dict(sorted(together))

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
        """Let a rank whose items all failed, or that has none, compute what the others do."""
        agree_on_updates(pl_module)

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
            for line in nan_lines({key: float(value) for key, value in trainer.callback_metrics.items()}, self.remarks):
                say(line)
        if self.command in ("test", "predict"):
            counts = [f"{self.made} {'scored' if self.command == 'test' else 'made'}"]
            before = "scored before" if self.command == "test" else "there and whole before"
            counts += [f"{self.skipped} {before}"] if self.skipped else []
            counts += [f"{len(self.failed)} failed"] if self.failed else []
            say(f"{self.command}: {', '.join(counts)}")
        say(f"{self.command}: wrote {self._written()}")

    def _written(self) -> str:
        folder = self.run / self.command
        names = sorted(path.name + "/" * path.is_dir() for path in folder.glob("*") if not path.name.startswith("."))
        shown = [name for name in names if "tfevents" not in name]
        more = f" and {len(shown) - SHOWN} more" if self.command == "predict" and len(shown) > SHOWN else ""
        return f"{folder}: {', '.join(shown[:SHOWN] if more else shown) or 'nothing'}{more}"

    def _put_together(self, trainer: Trainer) -> None:
        self.failed = self.failed_everywhere(trainer)
        self.made = sum(gathered(self.made))


def nan_lines(metrics: Mapping[str, float], remarks: Mapping[str, str]) -> list[str]:
    """Return why scores are NaN, a line a reason.

    Args:
        metrics: By logged key, ``test/...``.
        remarks: By the beginning of a key without ``test/``: what a metric lacked. A score without a remark had
            nothing to count in any clip.
    """
    by_reason: dict[str, list[str]] = {}
    for key, value in metrics.items():
        if math.isnan(value):
            plain = key.partition("/")[2]
            reason = next((text for name, text in remarks.items() if f"{plain}/".startswith(f"{name}/")), "")
            by_reason.setdefault(reason or "no clip has anything that it counts", []).append(key)
    return [f"nan: {_some(keys)}: {reason}" for reason, keys in by_reason.items()]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _num_items(batch: Any) -> int:
    names = getattr(batch, "names", getattr(getattr(batch, "clip", batch), "name", ""))
    return len(names) if isinstance(names, tuple | list) else 1
