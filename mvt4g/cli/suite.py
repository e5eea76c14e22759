"""``mvt4g fit | validate | test | predict -c CONFIG ... --run FOLDER``: LightningCLI and its one-line errors."""

import logging
import os
import signal
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException

from mvt4g.callbacks.checkpoints import CheckpointFiles, is_first_process, read_checkpoint, resolve_checkpoint
from mvt4g.callbacks.finite_steps import OnNaN
from mvt4g.callbacks.notes import Notes
from mvt4g.callbacks.of_a_run import callbacks_of_a_run, check_one_file, show_progress
from mvt4g.callbacks.outcome import Outcome
from mvt4g.callbacks.run_record import RunRecord
from mvt4g.commands.parsing.messages import unwrapped
from mvt4g.commands.parsing.parser import OneLineParser, parse
from mvt4g.commands.parsing.trust import OPTION, VARIABLE
from mvt4g.commands.verbs import COMMANDS, TRAINER_COMMANDS
from mvt4g.formats.atomic import nearest_existing
from mvt4g.formats.run_lock import run_lock
from mvt4g.systems.loading import check_weights
from mvt4g.types import InputError, Interrupted

ONE_WRITER = ("fit", "test", "validate")
"""Commands of which one at a time may write to a run; predict gives every clip a folder of its own."""
MAY_CHANGE_ON_RESUME = (
    "ckpt_path",
    "trainer.max_steps",
    "trainer.max_time",
    "keep_checkpoints",
    "on_nan",
    "model.init_args.backbone.init_args.dit.compile",
)
"""What a resumed fit may change: where it starts from, how far it goes, what it keeps, what it does about NaN, whether
its blocks are compiled."""
LIBRARIES = "PIL|diffusers|lightning|numpy|open3d|tensorboard|timm|torch|torchvision|transformers"
"""Those whose warnings are no lines of a command."""
SETTLED = {"weights_only", "return_predictions"}
"""Options of the trainer's methods that leave no choice here: see ``_prepare_subcommand_kwargs``."""


class SuiteCLI(LightningCLI):
    """LightningCLI whose every output lies in one explicit run folder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Parse and run, which is all LightningCLI does; what is held for the run is released whatever happens."""
        named = next(iter(kwargs.get("args") or ()), "")
        if named in TRAINER_COMMANDS:
            # LightningCLI builds the parser of every command, and most of a short command's time is theirs.
            skipped = self.subcommands()[named]
            self.subcommands = lambda: {named: skipped}  # type: ignore[method-assign]
        with ExitStack() as self.held:
            super().__init__(*args, **kwargs)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the commands and which arguments of the trainer's methods are no options of them."""
        return {name: skipped | SETTLED for name, skipped in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what a run needs beside trainer, model and data."""
        add = parser.add_argument
        add("--run", type=str | None, default=None, help="Folder that takes everything the run writes.")
        add("--checkpoint_every", type=int, default=200, help="Optimizer steps from one checkpoint to the next.")
        add("--keep_checkpoints", type=int, default=2, help="How many of the last checkpoints stay.")
        add("--on_nan", type=OnNaN, default="stop", help="What a fit does with a step that is not finite.")

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
            weights = read_checkpoint(Path(ckpt_path), mmap=True)["state_dict"]
            check_weights(weights, self.model.state_dict())

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
        self.outcome = self.build_outcome(run, command)
        callbacks = self.build_callbacks(record)
        trainer_config = dict(self._get(self.config_init, "trainer", default={}))
        if trainer_config.get("logger") in (None, True):
            logger = TensorBoardLogger(run, name="", version="" if command == "fit" else command)
            trainer_config["logger"] = False if command == "predict" else logger
        plugins = trainer_config.get("plugins") or []
        if not isinstance(plugins, list):  # Lightning takes a single one too
            plugins = [plugins]
        trainer_config["plugins"] = [*plugins, CheckpointFiles()]
        show_progress(trainer_config, callbacks)
        if trainer_config.get("fast_dev_run"):
            callbacks = []
        try:
            trainer = self._instantiate_trainer({**trainer_config, **kwargs}, callbacks)
            if command == "fit":
                check_one_file(trainer.strategy)
            return trainer
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"trainer: {error}") from error

    def build_outcome(self, run: Path, command: str) -> Outcome:
        """Return what keeps the fates of a list's items, and tells of them at the end."""
        return Outcome(run, command)

    def build_callbacks(self, record: RunRecord) -> list[Callback]:
        """Return the callbacks that every run has, beside those of its configuration."""
        command = str(self.subcommand)
        callbacks = callbacks_of_a_run(command, self.config[command], record, self.outcome)
        return [*callbacks, Notes(self.notes)]

    def after_test(self) -> None:
        """Tell of the items that failed, after all others.

        Raises:
            InputError: If any did.
        """
        error = self.outcome.error()
        if error is not None:
            raise error

    after_predict = after_test

    def _parse_ckpt_path(self) -> None:
        """Take the run folder, then find the checkpoint; hyperparameters inside it never override the command line."""
        settings = self.config[self.config.subcommand]
        check_run_folder(settings.run)
        if self.config.subcommand in ONE_WRITER and is_first_process():
            self.held.enter_context(run_lock(Path(settings.run), self.config.subcommand))
        settings.ckpt_path_given = settings.get("ckpt_path")
        run = Path(settings.run)
        settings.ckpt_path = resolve_checkpoint(settings.get("ckpt_path"), run, self.config.subcommand)

    def _recorded(self, command: str) -> str:
        """Return the whole configuration as YAML, with ``ckpt_path`` as it was given."""
        settings = self.config[command]
        resolved = settings.ckpt_path
        settings.ckpt_path = settings.pop("ckpt_path_given")
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


LONGEST_NAME = 255
"""Bytes of a file's name, on every file system in use."""


def check_run_folder(run: str | None) -> None:
    """Check that a run can be written where it is asked to be.

    Raises:
        InputError: If there is no such option, or the folder, or its nearest parent that exists, cannot be written to.
    """
    if not run:
        raise InputError("--run: got none, want the folder that takes everything the run writes")
    for part in Path(run).parts:
        if "\0" in part or len(os.fsencode(part)) > LONGEST_NAME:
            want = f"a name of at most {LONGEST_NAME} bytes without NUL"
            raise InputError(f"--run: got {part[:40]!r}..., want {want}")
    nearest = nearest_existing(Path(run))
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        want = f"a folder, but {nearest} is none that can be written to"
        raise InputError(f"--run: got {run}, want {want}")


def start(args: list[str] | None, cli: type[SuiteCLI] = SuiteCLI) -> SuiteCLI:
    """Parse the command line of a trainer's command, build what it names and run it.

    Args:
        args: As after ``mvt4g``; None takes the command line's own.
        cli: What to do with it.

    Raises:
        InputError: For what is wrong with it.
    """
    quieten_lightning()
    try:
        return _build_and_run(args, cli)
    except MisconfigurationException as error:
        raise InputError(str(error)) from error
    except SIGTERMException as error:
        # It is a SystemExit without a code, which would tell the caller that all went well.
        raise Interrupted(signal.SIGTERM) from error


def _build_and_run(args: list[str] | None, cli: type[SuiteCLI]) -> SuiteCLI:
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
        f"{VARIABLE}) lets a configuration name classes of a module that is not of this project. "
        "--file-memory GIB raises what one input file may take."
    )


def quieten_lightning() -> None:
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
        "Total length of `\\w+` across ranks is zero",  # all that predict was asked for is there
    ):
        warnings.filterwarnings("ignore", message=f".*{meant}.*")
    # What other libraries warn of is checked here or is meant: pinned memory without a GPU, large pictures. Ours stay.
    warnings.filterwarnings("ignore", module=rf"({LIBRARIES})(\.|$)")
