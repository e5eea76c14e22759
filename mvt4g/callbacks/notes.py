"""Lines that a run says of its own configuration."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.types import InputError


class Notes(Callback):
    """Prints lines once, when the first batch has come: a command that fails before it says its error alone.

    Args:
        lines: What to print.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self.lines = list(lines)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Print, once."""
        self._print(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Print, once."""
        self._print(trainer)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Print, once."""
        if not isinstance(batch, InputError):
            self._print(trainer)

    on_predict_batch_start = on_test_batch_start

    def _print(self, trainer: Trainer) -> None:
        while self.lines:
            trainer.print(f"mvt4g: {self.lines.pop(0)}", flush=True)
