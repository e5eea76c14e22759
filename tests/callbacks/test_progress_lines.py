"""Progress lines: when one is due, and what it says."""

from unittest.mock import MagicMock

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from mvt4g.callbacks import of_a_run
from mvt4g.callbacks.of_a_run import show_progress
from mvt4g.callbacks.progress_lines import ProgressLines, duration

MODULE = MagicMock(spec=LightningModule)


def lines_of(seconds_a_step, steps, first=0, most=100, every_s=30.0):
    now = [1000.0]
    lines = ProgressLines(every_s, lambda: now[0])
    trainer = MagicMock(spec=Trainer, global_step=first, max_steps=most)
    trainer.callback_metrics = {"train/loss": torch.tensor(0.51234)}
    lines.on_train_start(trainer, MODULE)
    for step in range(first + 1, first + steps + 1):
        now[0] += seconds_a_step
        trainer.global_step = step
        lines.on_train_batch_end(trainer, MODULE, None, None, 0)


def test_a_line_after_the_first_step_and_then_by_the_clock(capsys):
    lines_of(seconds_a_step=10.0, steps=7)
    assert capsys.readouterr().out.splitlines() == [
        "step 1/100, loss 0.5123, 10.0 s a step, 16 min left",
        "step 4/100, loss 0.5123, 10.0 s a step, 16 min left",
        "step 7/100, loss 0.5123, 10.0 s a step, 16 min left",
    ]


def test_fast_steps_of_a_resumed_fit_without_an_end(capsys):
    lines_of(seconds_a_step=0.25, steps=121, first=500, most=-1)
    assert capsys.readouterr().out.splitlines() == [
        "step 501, loss 0.5123, 4.00 steps/s",
        "step 621, loss 0.5123, 4.00 steps/s",
    ]


def test_micro_batches_are_no_steps(capsys):
    lines = ProgressLines(0.0, lambda: 0.0)
    trainer = MagicMock(spec=Trainer, global_step=3, max_steps=9, callback_metrics={})
    lines.on_train_start(trainer, MODULE)
    lines.on_train_batch_end(trainer, MODULE, None, None, 0)
    assert capsys.readouterr().out == ""


def test_batches_of_a_test(capsys):
    now = iter([0.0, 20.0, 20.0, 20.0])
    lines = ProgressLines(30.0, lambda: next(now))
    trainer = MagicMock(spec=Trainer, num_test_batches=[4])
    lines.on_test_start(trainer, MODULE)
    lines.on_test_batch_end(trainer, MODULE, None, None, 0)
    assert capsys.readouterr().out == "test: batch 1/4, 20.0 s a batch, 60 s left\n"


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "0 s"), (89.0, "89 s"), (90.0, "2 min"), (5400.0, "1 h 30 min"),
                                               (86400.0, "24 h 00 min")])  # fmt: skip
def test_durations(seconds, told):
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("terminal", "given", "lines", "bar"), [(False, None, 1, False), (True, None, 0, None), (False, False, 0, False)]
)
def test_lines_in_the_place_of_bars_where_nobody_watches(monkeypatch, terminal, given, lines, bar):
    monkeypatch.setattr(of_a_run, "in_a_terminal", lambda: terminal)
    config, callbacks = {"enable_progress_bar": given, "callbacks": [TQDMProgressBar()]}, []
    show_progress(config, callbacks)
    assert len(callbacks) == lines
    assert config["enable_progress_bar"] is bar
    assert len(config["callbacks"]) == (0 if lines else 1)
