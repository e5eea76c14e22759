"""The record of a run beside its logs and checkpoints: configuration, metrics, the mark of a finished fit."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mvt4g.callbacks.checkpoints import last_checkpoint, say
from mvt4g.formats.atomic import appearing
from mvt4g.formats.parsing.moved_classes import with_moved_classes
from mvt4g.formats.parsing.yaml_files import parse_yaml, read_yaml
from mvt4g.types import InputError

_NAMED = 5
"""Most options that a message names."""


class RunRecord(Callback):
    """Writes ``<run>/config.yaml`` for fit, ``<run>/<command>/config.yaml`` for others, ``metrics.json`` after test.

    ``fit.done`` says that a fit came to its own end, which neither an exit code nor a checkpoint does.

    The configuration is written when the first step is done (of other commands, when the first batch has come), and a
    run that ends before leaves nothing: what fails at once must not turn an empty folder into one that "holds a fit".

    Args:
        run: The run folder.
        command: fit, validate, test or predict.
        config: The whole configuration as YAML.
        may_change: Dotted keys that a resumed fit may change.
    """

    def __init__(self, run: Path, command: str, config: str, may_change: Sequence[str] = ()) -> None:
        super().__init__()
        self.run = run
        self.command = command
        self.config = config
        self.may_change = tuple(may_change)
        self.folder = run if command == "fit" else run / command
        self.started = False
        self._began_at = 0
        self._logged_before = set(self._logged())

    def check_resume(self) -> None:
        """Compare a resumed fit's configuration with the one that the run folder holds.

        Raises:
            InputError: If the folder holds another run, naming the keys that differ, or one that is not resumed.
        """
        path = self.run / "config.yaml"
        if self.command != "fit" or not path.exists():
            return
        wanted = dict(flat_items(parse_yaml(self.config, "config", "options")))
        if not wanted.get("ckpt_path"):
            raise InputError(
                f"--run: {path} holds a fit already; want --ckpt_path last to resume it, or another folder"
            )
        found = {}
        for key, value in flat_items(read_yaml(path, "the configuration of a run")):
            found[key] = with_moved_classes(value) if isinstance(value, str) else value
        for key in found.keys() | wanted.keys():
            if key.startswith(self.may_change):
                found.pop(key, None)
                wanted.pop(key, None)
        differing = ", ".join(differences(found, wanted)[:_NAMED])
        if differing:
            told = f"a resumed fit must match it but for checkpoint and length; differing: {differing}"
            raise InputError(f"{path}: {told}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep which step the fit starts from."""
        self._began_at = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the configuration when the first step is done."""
        if trainer.global_step > self._began_at:
            self._start(trainer)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write the configuration of ``validate``, once; of a fit, validation before its first step is no step."""
        if self.command != "fit":
            self._start(trainer)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Write the configuration, once."""
        # An InputError stands for a bad item of a list.
        if not isinstance(batch, InputError):
            self._start(trainer)

    on_predict_batch_start = on_test_batch_start

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take away what Lightning's logger opened, if no step was done (of other commands, if no batch came)."""
        if self.started or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.finalize("failed")
        for path in set(self._logged()) - self._logged_before:
            path.unlink()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Mark the fit as finished and say so, also where it was and there was nothing left to do."""
        if trainer.is_global_zero:
            fit_marker(self.run).touch()
            last = last_checkpoint(self.run)
            how = "is finished" if self.started else "was finished before, with nothing left to do,"
            say(f"fit {how} at step {trainer.global_step}: {self.run if last is None else last}")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the metrics: a flat {key: number or null}."""
        if trainer.is_global_zero:
            metrics = {}
            for key, value in sorted(trainer.callback_metrics.items()):
                metrics[key] = finite_or_none(float(value))
            text = json.dumps(metrics, indent=2, allow_nan=False)
            _write(self.run / "test" / "metrics.json", text + "\n")

    def _start(self, trainer: Trainer) -> None:
        if not self.started and trainer.is_global_zero:
            _write(self.folder / "config.yaml", self.config)
            if self.command == "fit":
                fit_marker(self.run).unlink(missing_ok=True)
        self.started = True

    def _logged(self) -> list[Path]:
        return [*self.folder.glob("events.out.tfevents.*"), *self.folder.glob("hparams.yaml")]


def fit_marker(run: Path) -> Path:
    """Return the file that is there once a run's fit has come to its end."""
    return run / "fit.done"


def finite_or_none(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def flat_items(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, leaf) of nested mappings and lists."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from flat_items(value, f"{prefix}{key}.")
    elif isinstance(tree, list) and tree:
        for index, value in enumerate(tree):
            yield from flat_items(value, f"{prefix}{index}.")
    else:
        yield prefix.removesuffix("."), tree


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a text for every key that is not the same in two mappings, in the order of the keys."""
    absent = object()  # null is a value, and no option is another thing
    texts = []
    for key in sorted(before.keys() | now.keys()):
        if before.get(key, absent) != now.get(key, absent):
            texts.append(f"{key} (was {before.get(key, 'not set')!r}, got {now.get(key, 'not set')!r})")
    return texts


def _write(path: Path, text: str) -> None:
    with appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
