"""The callbacks that every run has, beside those of its configuration."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar

from mvt4g.callbacks.finite_steps import FiniteSteps
from mvt4g.callbacks.fresh_metrics import FreshMetrics
from mvt4g.callbacks.outcome import Outcome
from mvt4g.callbacks.progress_lines import ProgressLines, in_a_terminal
from mvt4g.callbacks.ranks import RanksEndTogether
from mvt4g.callbacks.run_facts import RunFacts
from mvt4g.callbacks.run_record import RunRecord
from mvt4g.callbacks.score_records import ScoreRecords
from mvt4g.callbacks.score_tables import ScoreTables
from mvt4g.callbacks.step_checkpoints import StepCheckpoints
from mvt4g.types import InputError


def callbacks_of_a_run(command: str, settings: Any, record: RunRecord, outcome: Outcome) -> list[Callback]:
    """Return the callbacks of a command.

    Args:
        command: fit, validate, test or predict.
        settings: What the command line says.
        record: Of the run.
        outcome: Takes what becomes of the items of a list, and tells of it at the end.
    """
    run = Path(settings.run)
    # The outcome lets ranks agree on what they have scored, before tables are made.
    callbacks: list[Callback] = [record, RanksEndTogether(), outcome]
    if command == "fit":
        # A step that is not finite is none: it stops a fit before it is recorded as begun, and before it is saved.
        finite = FiniteSteps(run, settings.on_nan)
        saves = StepCheckpoints(run, settings.checkpoint_every, settings.keep_checkpoints)
        callbacks = [FreshMetrics(), finite, *callbacks, saves]
    facts = RunFacts(run, record.config, settings.get("ckpt_path"))
    if command == "test":
        callbacks.append(ScoreTables(outcome))
    if command in ("test", "validate"):
        # After all that a batch leaves elsewhere.
        callbacks.append(ScoreRecords(outcome, facts))
    if command == "predict":
        # It needs PyAV, which training does without.
        from mvt4g.callbacks.prediction_writer import PredictionWriter

        callbacks.append(PredictionWriter(outcome, facts))
    return callbacks


def show_progress(trainer_config: dict[str, Any], callbacks: list[Callback]) -> None:
    """Let lines tell of progress in the place of bars, where nobody watches a terminal.

    ``enable_progress_bar: false`` leaves out both.

    Args:
        trainer_config: Arguments of the trainer, changed in place.
        callbacks: Of the run, to which the lines are added.
    """
    if in_a_terminal() or trainer_config.get("enable_progress_bar") is False:
        return
    given = trainer_config.get("callbacks") or []
    if not isinstance(given, list):  # Lightning takes a single one too
        given = [given]
    without_bars = [callback for callback in given if not isinstance(callback, ProgressBar)]
    trainer_config["callbacks"] = without_bars
    trainer_config["enable_progress_bar"] = False
    callbacks.append(ProgressLines())


def check_one_file(strategy: Any) -> None:
    """Check that a strategy's checkpoints are one file, which any number of ranks can go on from.

    Raises:
        InputError: If every rank would write a part of its own.
    """
    if getattr(strategy, "_save_distributed_checkpoint", False):
        want = "want false: a checkpoint is one file, written whole, that any number of ranks reads"
        raise InputError(f"trainer.strategy.save_distributed_checkpoint: got true, {want}")
    if getattr(strategy, "_state_dict_type", "full") == "sharded":
        raise InputError("trainer.strategy.state_dict_type: got sharded, want full: a checkpoint is one file")
