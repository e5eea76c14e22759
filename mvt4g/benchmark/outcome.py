"""What ``mvt4g benchmark generate`` ends with: how many videos it made, and what became of the others."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer

from mvt4g.benchmark.manifest import MANIFEST
from mvt4g.callbacks.checkpoints import say
from mvt4g.callbacks.outcome import Outcome


class BenchmarkOutcome(Outcome):
    """Keeps what became of the videos of a benchmark.

    Args:
        folder: Of the method.

    Attributes:
        elsewhere: Videos that another job was making when their turn came.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "predict")
        self.elsewhere = 0

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Say what was made and where."""
        if not trainer.is_global_zero:
            return
        counts = {
            "made": self.made,
            "there and whole before": self.skipped,
            "left to other jobs": self.elsewhere,
            "failed": len(self.failed),
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "made")
        say(f"benchmark generate: {told}")
        say(f"benchmark generate: wrote {self.run / MANIFEST}")
