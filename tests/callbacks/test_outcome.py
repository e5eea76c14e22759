"""What a command ends with: failed items, and why scores are nan."""

import math
from pathlib import Path

import pytest
from lightning.pytorch import LightningModule, Trainer

from mvt4g.callbacks.outcome import Outcome, nan_lines
from mvt4g.types import InputError


def bad(item: str, reason: str) -> InputError:
    error = InputError(reason)
    error.item = item
    return error


@pytest.fixture
def outcome() -> Outcome:
    return Outcome(Path("run"), "predict")


def test_nothing_failed(outcome: Outcome) -> None:
    outcome.made = 3
    assert outcome.error() is None


def test_the_only_item_s_reason_stands_alone(outcome: Outcome, capsys) -> None:
    outcome.several = False
    outcome.fail(bad("a", "a.mp4: broken"))
    assert str(outcome.error()) == "a.mp4: broken"
    assert capsys.readouterr().out == ""


def test_one_reason_of_all_items_is_told_once(outcome: Outcome) -> None:
    for item in "ab":
        outcome.fail(bad(item, "size: got 7, want 8"))
    assert str(outcome.error()) == "size: got 7, want 8"


def test_bad_items_are_told_of_at_once_and_at_the_end(outcome: Outcome, capsys) -> None:
    outcome.made, outcome.skipped = 4, 1
    for number in range(7):
        outcome.fail(bad(f"clip{number}", f"reason\n{number}"))
    assert capsys.readouterr().out.splitlines()[1] == "failed clip1: reason 1"
    told = str(outcome.error())
    assert told.startswith("7 of 12 items failed, the others are done: clip0 (reason 0); clip1 (reason 1)")
    assert told.endswith("and 2 more")


def test_a_test_of_nothing_ends_before_its_metrics_are_written() -> None:
    outcome = Outcome(Path("run"), "test")
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False)
    outcome.fail(bad("a", "a.npz: broken"))
    with pytest.raises(InputError, match=r"^a\.npz: broken$"):
        outcome.on_test_epoch_end(trainer, LightningModule())
    outcome.made = 1
    outcome.on_test_epoch_end(trainer, LightningModule())  # the other item has scores, which are written


def test_why_scores_are_nan() -> None:
    nan = math.nan
    metrics = {"test/psnr": 1.0, "test/met3r": nan, "test/met3r/coverage": nan, "test/met3r_dyn": nan, "test/pck": nan}
    assert nan_lines(metrics, {"met3r": "needs target_depth"}) == [
        "nan: test/met3r, test/met3r/coverage: needs target_depth",
        "nan: test/met3r_dyn, test/pck: no clip has anything that it counts",
    ]
    assert nan_lines({"test/psnr": 1.0}, {}) == []
