"""The run record: what a resumed fit may change, and metrics as JSON."""

from pathlib import Path

import pytest

from mvt4g.callbacks.checkpoints import checkpoint_path, last_checkpoint
from mvt4g.callbacks.run_record import RunRecord, differences, finite_or_none, flat_items
from mvt4g.cli.suite import MAY_CHANGE_ON_RESUME
from mvt4g.types import InputError

CONFIG = "ckpt_path: null\ntrainer: {max_steps: 4, callbacks: [{class_path: a}]}\nmodel: {lr: 0.1, layers: [3, 4]}\n"


def record(run: Path, config: str) -> RunRecord:
    return RunRecord(run, "fit", config, may_change=("ckpt_path", "trainer.max_steps"))


def test_flat_items_name_every_leaf():
    assert dict(flat_items({"a": {"b": [1, {"c": None}]}, "d": {}})) == {"a.b.0": 1, "a.b.1.c": None, "d": {}}


def test_null_and_no_option_are_two_things_and_differences_come_by_key():
    before = {"b": 1, "a": None, "same": 2}
    assert differences(before, {"c": 3, "b": 2, "same": 2}) == [
        "a (was None, got 'not set')", "b (was 1, got 2)", "c (was 'not set', got 3)",
    ]  # fmt: skip


def test_a_second_fit_needs_ckpt_path(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    with pytest.raises(InputError, match="holds a fit already"):
        record(tmp_path, CONFIG).check_resume()


def test_length_and_checkpoint_may_change(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    record(tmp_path, CONFIG.replace("null", "last").replace("max_steps: 4", "max_steps: 8")).check_resume()


def test_any_other_change_is_named(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    changed = CONFIG.replace("null", "last").replace("lr: 0.1", "lr: 0.2").replace("[3, 4]", "[3]")
    told = r"model\.layers\.1 \(was 4, got 'not set'\), model\.lr \(was 0\.1, got 0\.2\)"
    with pytest.raises(InputError, match=told):
        record(tmp_path, changed).check_resume()


def test_last_checkpoint_is_of_the_highest_step(tmp_path):
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    for step in (100, 20, 3):
        checkpoint_path(tmp_path, step).touch()
    assert last_checkpoint(tmp_path) == checkpoint_path(tmp_path, 100)


def test_numbers_json_has_no_word_for_are_null():
    assert [finite_or_none(value) for value in (1.5, float("nan"), float("inf"))] == [1.5, None, None]


def test_a_resumed_fit_may_compile_its_blocks(tmp_path):
    """Also one of before there was the option."""
    config = "ckpt_path: null\nmodel: {init_args: {backbone: {init_args: {dit: {dim: 8}}}}}\n"
    (tmp_path / "config.yaml").write_text(config)
    resumed = config.replace("null", "last").replace("dim: 8", "dim: 8, compile: blocks")
    RunRecord(tmp_path, "fit", resumed, MAY_CHANGE_ON_RESUME).check_resume()
    with pytest.raises(InputError, match=r"dit.dim \(was 8, got 16\)"):
        RunRecord(tmp_path, "fit", resumed.replace("dim: 8", "dim: 16"), MAY_CHANGE_ON_RESUME).check_resume()
