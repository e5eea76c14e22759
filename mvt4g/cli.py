"""``mvt4g fit | validate | test | predict -c CONFIG ... --run FOLDER``: LightningCLI and its one-line errors."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from mvt4g.callbacks.run_record import RunRecord, last_checkpoint
from mvt4g.types import InputError

EXIT_BAD_INPUT = 2
MAY_CHANGE_ON_RESUME = ("ckpt_path", "trainer.max_steps", "trainer.max_time")
"""What a resumed fit may change: where it starts from and how far it goes."""


class OneLineParser(LightningArgumentParser):
    """Parser that reports the innermost line of an error: a misspelt nested key would print 60 lines otherwise."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the error; main prints it.

        Raises:
            InputError: From the parser of a command. Parsers that jsonargparse makes for its own trials keep its error.
        """
        if not self.exit_on_error:
            super().error(message, ex)
        raise InputError(innermost_line(message)) from ex


class SuiteCLI(LightningCLI):
    """LightningCLI whose every output lies in one explicit run folder."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what a run needs beside trainer, model and data."""
        parser.add_argument("--run", type=str | None, default=None, help="Folder that takes everything the run writes.")
        parser.add_argument(
            "--checkpoint_every", type=int, default=200, help="Optimizer steps from one checkpoint to the next."
        )

    def _parse_ckpt_path(self) -> None:
        """Resolve and check the checkpoint; hyperparameters inside it never override the command line."""
        settings = self.config[self.config.subcommand]
        if not settings.run:
            raise InputError("--run: got none, want the folder that takes everything the run writes")
        settings.ckpt_path_given = settings.get("ckpt_path")
        settings.ckpt_path = resolve_checkpoint(settings.get("ckpt_path"), Path(settings.run), self.config.subcommand)

    def before_instantiate_classes(self) -> None:
        """Refuse what would silently spoil results, and keep the trainer inside the run folder.

        Raises:
            InputError: For bf16-true, which rounds a track at 831.3 px to 832.
        """
        settings = self.config[self.subcommand]
        if str(settings.trainer.precision) in ("bf16-true", "16-true", "bf16", "16"):
            raise InputError(
                f"trainer.precision: got {settings.trainer.precision}, want 32-true or bf16-mixed: "
                "tracks and cameras must stay in fp32"
            )
        settings.trainer.default_root_dir = settings.run

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the logger, the checkpoints and the run record that every run has."""
        settings = self.config[str(self.subcommand)]
        run, command = Path(settings.run), str(self.subcommand)
        given = settings.pop("ckpt_path_given")
        recorded = settings.clone()
        recorded.ckpt_path = given
        config = self._parser(command).dump(recorded, skip_none=False, skip_link_targets=False, skip_validation=True)
        record = RunRecord(run, command, config, MAY_CHANGE_ON_RESUME)
        record.check_resume()
        callbacks: list[Callback] = [record]
        if command == "fit":
            callbacks.append(
                ModelCheckpoint(
                    dirpath=run / "checkpoints",
                    filename="step-{step:08d}",
                    auto_insert_metric_name=False,
                    every_n_train_steps=settings.checkpoint_every,
                    save_on_train_epoch_end=False,
                )
            )
        trainer_config = dict(self._get(self.config_init, "trainer", default={}))
        if trainer_config.get("logger") in (None, True):
            logger = TensorBoardLogger(run, name="", version="" if command == "fit" else command)
            trainer_config["logger"] = logger
        if trainer_config.get("fast_dev_run"):
            callbacks = []
        return self._instantiate_trainer({**trainer_config, **kwargs}, callbacks)


def resolve_checkpoint(ckpt_path: str | None, run: Path, command: str) -> str | None:
    """Return the file that ``ckpt_path`` means: itself, or for ``last`` the run's checkpoint of the highest step.

    A fit from ``last`` with no checkpoint yet starts from nothing, so that one command serves to start and to resume.

    Raises:
        InputError: If there is no such file, or it is not a checkpoint that loads with ``weights_only=True``.
    """
    if ckpt_path is None:
        return None
    path = last_checkpoint(run) if ckpt_path == "last" else Path(ckpt_path)
    if path is None:
        if command == "fit":
            return None
        raise InputError(f"--ckpt_path: got last but {run / 'checkpoints'} has none, want a run that was fitted")
    if not path.is_file():
        raise InputError(f"--ckpt_path: got {path}, want a file that exists")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        content["state_dict"], content["global_step"]
    except Exception as error:
        raise InputError(f"--ckpt_path: {path} does not load ({innermost_line(str(error))}), want a checkpoint of a run") from error
    return str(path)


def innermost_line(message: str) -> str:
    """Return the last line of a nested error that says something."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip(" -")]
    return lines[-1] if lines else "bad input"


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 after one line on stderr that names the bad input.

    Args:
        args: As after ``mvt4g`` on the command line; None takes the command line's own.
    """
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    try:
        SuiteCLI(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=OneLineParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=None if args is None else list(args),
        )
    except InputError as error:
        sys.stderr.write(f"mvt4g: {' '.join(str(error).split())}\n")
        return EXIT_BAD_INPUT
    return 0
