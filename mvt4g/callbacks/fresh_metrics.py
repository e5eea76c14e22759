"""A callback by which a training step logs its own metrics alone."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class FreshMetrics(Callback):
    """Forgets a step's metrics before the next one begins.

    Lightning logs a metric that a step did not log with its value of an earlier step. Some terms have no value in every
    step (L_corr at noise levels that no clip drew): their curves would hold points that were never measured, and of a
    resumed fit, which cannot know the earlier value, other points than of one that ran through.
    """

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Forget, at the first micro-batch of a step."""
        if batch_idx % trainer.accumulate_grad_batches:
            return
        for metric in trainer.fit_loop.epoch_loop._results.values():
            metric._forward_cache = None
        for name in list(trainer.callback_metrics):
            if name.startswith("train/"):
                del trainer.callback_metrics[name]
