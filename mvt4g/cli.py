"""``mvt4g fit | validate | test | predict -c CONFIG ... --run FOLDER``: LightningCLI and its one-line errors.

Beside these stand the verbs of ``commands/``, each a typed function whose arguments are its options.
"""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mvt4g.callbacks.checkpoints import CheckpointFiles, read_checkpoint, resolve_checkpoint
from mvt4g.callbacks.notes import Notes
from mvt4g.callbacks.run_record import RunRecord
from mvt4g.callbacks.score_tables import ScoreTables
from mvt4g.commands.parsing.messages import one_line, unwrapped
from mvt4g.commands.parsing.parser import OneLineParser, parse
from mvt4g.commands.parsing.trust import OPTION, VARIABLE, take_trust, trusting
from mvt4g.commands.verbs import COMMANDS, run_command
from mvt4g.systems.loading import check_weights
from mvt4g.types import InputError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
MAY_CHANGE_ON_RESUME = ("ckpt_path", "trainer.max_steps", "trainer.max_time")
"""What a resumed fit may change: where it starts from and how far it goes."""
SETTLED = {"weights_only", "return_predictions"}
"""Options of the trainer's methods that leave no choice here: see ``_prepare_subcommand_kwargs``."""


class SuiteCLI(LightningCLI):
    """LightningCLI whose every output lies in one explicit run folder."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the commands and which arguments of the trainer's methods are no options of them."""
        return {name: skipped | SETTLED for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what a run needs beside trainer, model and data."""
        parser.add_argument("--run", type=str | None, default=None, help="Folder that takes everything the run writes.")
        parser.add_argument(
            "--checkpoint_every", type=int, default=200, help="Optimizer steps from one checkpoint to the next."
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line as ``parse`` does."""
        assert isinstance(parser, OneLineParser)
        assert args is None or isinstance(args, list)
        self.config, self.notes = parse(parser, args)

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

    def instantiate_classes(self) -> None:
        """Make model, data and trainer.

        Raises:
            InputError: As one of them raised it, or if sliced parameters are to be loaded from a checkpoint of another
                model.
        """
        with unwrapped():
            super().instantiate_classes()
        ckpt_path = self.config[self.subcommand].get("ckpt_path")
        if ckpt_path is not None and isinstance(self.trainer.strategy, ModelParallelStrategy):
            # It loads weights without asking the model, and would tell of others in torch's words.
            check_weights(read_checkpoint(Path(ckpt_path), mmap=True)["state_dict"], self.model.state_dict())

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add the logger, the checkpoints and the run record that every run has.

        Raises:
            InputError: If the run folder holds another run, or the trainer has no such setting.
        """
        command = str(self.subcommand)
        settings = self.config[command]
        run = Path(settings.run)
        record = RunRecord(run, command, self._recorded(command), MAY_CHANGE_ON_RESUME)
        record.check_resume()
        callbacks: list[Callback] = [record, Notes(self.notes)]
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
        if command == "test":
            callbacks.append(ScoreTables())
        if command == "predict":
            from mvt4g.callbacks.prediction_writer import PredictionWriter  # needs PyAV, which training does without

            callbacks.append(PredictionWriter())
        trainer_config = dict(self._get(self.config_init, "trainer", default={}))
        if trainer_config.get("logger") in (None, True):
            logger = TensorBoardLogger(run, name="", version="" if command == "fit" else command)
            trainer_config["logger"] = False if command == "predict" else logger
        plugins = trainer_config.get("plugins") or []
        trainer_config["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), CheckpointFiles()]
        if trainer_config.get("fast_dev_run"):
            callbacks = []
        try:
            return self._instantiate_trainer({**trainer_config, **kwargs}, callbacks)
        except ValueError as error:
            raise InputError(f"trainer: {error}") from error

    def _parse_ckpt_path(self) -> None:
        """Resolve and check the checkpoint; hyperparameters inside it never override the command line."""
        settings = self.config[self.config.subcommand]
        check_run_folder(settings.run)
        settings.ckpt_path_given = settings.get("ckpt_path")
        settings.ckpt_path = resolve_checkpoint(settings.get("ckpt_path"), Path(settings.run), self.config.subcommand)

    def _recorded(self, command: str) -> str:
        """Return the whole configuration as YAML, with ``ckpt_path`` as it was given."""
        settings = self.config[command]
        settings.ckpt_path, resolved = settings.pop("ckpt_path_given"), settings.ckpt_path
        text = self._parser(command).dump(
            settings, "yaml", skip_unset=False, skip_link_targets=False, skip_validation=True
        )
        settings.ckpt_path = resolved
        return text

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Return the arguments of the trainer's method: checkpoints hold no code, predictions are files."""
        settled: dict[str, Any] = {"weights_only": True}
        if subcommand == "predict":
            settled["return_predictions"] = False
        return {**super()._prepare_subcommand_kwargs(subcommand), **settled}


def check_run_folder(run: str | None) -> None:
    """Check that a run can be written where it is asked to be.

    Raises:
        InputError: If there is no such option, or the folder, or its nearest parent that exists, cannot be written to.
    """
    if not run:
        raise InputError("--run: got none, want the folder that takes everything the run writes")
    there = next(place for place in (Path(run).absolute(), *Path(run).absolute().parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise InputError(f"--run: got {run}, want a folder, but {there} is none that can be written to")


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 after one line on stderr that names the bad input.

    A signal's is 128 and its number: 130 for Ctrl-C, 143 where a scheduler ended the run.

    Args:
        args: As after ``mvt4g`` on the command line; None takes the command line's own.
    """
    try:
        given, trusted = take_trust(sys.argv[1:] if args is None else args)
        with trusting(trusted):
            if given and given[0] in COMMANDS:
                return run_command(given[0], given[1:])
            start(given)
    except (InputError, MisconfigurationException) as error:
        sys.stderr.write(f"mvt4g: {one_line(str(error))}\n")
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write("mvt4g: interrupted\n")
        return EXIT_INTERRUPTED
    except SIGTERMException:  # a SystemExit without a code, which would tell the caller that all went well
        sys.stderr.write("mvt4g: terminated\n")
        return EXIT_TERMINATED
    return 0


def start(args: list[str] | None, cli: type[SuiteCLI] = SuiteCLI) -> SuiteCLI:
    """Parse the command line of a trainer's command, build what it names and run it.

    Args:
        args: As after ``mvt4g``; None takes the command line's own.
        cli: What to do with it.

    Raises:
        InputError: For what is wrong with it.
    """
    _quieten_lightning()
    return cli(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        seed_everything_default=0,
        parser_class=OneLineParser,
        parser_kwargs={"epilog": _other_commands()},
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        args=args,
    )


def _other_commands() -> str:
    told = ", ".join(f"{verb} ({about})" for verb, (_, _, about) in COMMANDS.items())
    return (
        f"Commands beside these, each with its own --help: {told}. {OPTION} MODULE (or the environment variable "
        f"{VARIABLE}) lets a configuration name classes of a module that is not of this project."
    )


def _quieten_lightning() -> None:
    """Leave stderr to what a user must read: neither tips and notes, nor warnings about what is meant here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for meant in (
        "LightningCLI's args parameter",
        "does not have many workers",
        "module\\(s\\) in eval mode at the start of training",
        "callbacks used to create the checkpoint need to be provided",
        "Checkpoint directory .* exists and is not empty",
        "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
        "It is recommended to use `self.log\\(.*sync_dist=True",  # metrics add the ranks up themselves
        "FSDP2-wrapped module .* returned a view",  # nobody writes into a tap
    ):
        warnings.filterwarnings("ignore", message=f".*{meant}.*")
