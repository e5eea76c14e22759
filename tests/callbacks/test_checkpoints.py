"""Checkpoint files: whole or not there, the last whole one, what stays; odd contents in one line."""

import copy
import math
import re
import resource
import zipfile

import pytest
import torch
from torch import nn

from mvt4g.callbacks.checkpoint_content import check_average, check_content, check_optimizer, check_schedule
from mvt4g.callbacks.checkpoints import (
    CheckpointFiles,
    checkpoint_path,
    first_not_finite,
    resolve_checkpoint,
    step_checkpoints,
)
from mvt4g.callbacks.event_files import event_files, rewind_events
from mvt4g.callbacks.step_checkpoints import StepCheckpoints, between_batches, tidy
from mvt4g.types import InputError, RunStopped

STEP = {"total": {"ready": 3, "completed": 3}, "current": {"ready": 3, "completed": 3}}
LOOPS = {"fit_loop": {"epoch_loop.automatic_optimization.optim_progress": {"optimizer": {"step": STEP}}}}
CONTENT = {
    "state_dict": {"weight": torch.ones(100)}, "global_step": 3, "pytorch-lightning_version": "2.6.6", "epoch": 0,
    "loops": LOOPS, "optimizer_states": [], "lr_schedulers": [], "callbacks": {},
}  # fmt: skip


def write(run, *steps):
    for step in steps:
        (run / "checkpoints").mkdir(exist_ok=True)
        torch.save(CONTENT, checkpoint_path(run, step))


def damage(path) -> None:
    """Flip a bit of the weights, which leaves the file one that torch reads."""
    content = bytearray(path.read_bytes())
    content[content.find(torch.ones(100).numpy().tobytes()) + 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
def test_last_falls_back_past_what_is_damaged(tmp_path, capsys, how):
    write(tmp_path, 1, 2, 3)
    last = checkpoint_path(tmp_path, 3)
    if how == "flipped":
        damage(last)
        assert torch.load(last, weights_only=True)["global_step"] == 3, "negative control: torch sees nothing"
    else:
        last.write_bytes(last.read_bytes()[: 500 if how == "cut" else 0])
    assert resolve_checkpoint("last", tmp_path, "fit") == str(checkpoint_path(tmp_path, 2))
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert str(last) in told
    assert "going on from step-00000002.ckpt" in told
    with pytest.raises(InputError, match="step-00000003"):
        resolve_checkpoint(str(last), tmp_path, "fit")


def test_none_that_is_whole(tmp_path):
    write(tmp_path, 1)
    checkpoint_path(tmp_path, 1).write_bytes(b"")
    with pytest.raises(InputError, match=r"no checkpoint in .* is whole"):
        resolve_checkpoint("last", tmp_path, "fit")


def test_last_that_finds_nothing_says_so(tmp_path, capsys):
    assert resolve_checkpoint("last", tmp_path, "fit") is None
    assert capsys.readouterr().out == f"--ckpt_path last: {tmp_path} has no checkpoint yet, so a new fit begins\n"
    with pytest.raises(InputError, match="want a run that was fitted"):
        resolve_checkpoint("last", tmp_path, "test")


@pytest.mark.parametrize(("step", "keep", "left"), [(9, 2, {6, 9}), (9, 1, {9}), (9, 9, {1, 3, 6, 9}), (6, 2, {3, 6})])
def test_what_stays_after_a_save(tmp_path, step, keep, left):
    write(tmp_path, 1, 3, 6, 9)
    others = ["best.ckpt", "step-12.ckpt", "step-00000099.ckpt.bak"]
    for name in others:
        (tmp_path / "checkpoints" / name).touch()
    tidy(tmp_path, step, keep)
    assert step_checkpoints(tmp_path).keys() == left
    assert all((tmp_path / "checkpoints" / name).exists() for name in others), "files of other names are not ours"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_never_written_over_what_is(tmp_path, value):
    path = checkpoint_path(tmp_path, 3)
    CheckpointFiles().save_checkpoint(CONTENT, path)
    good = path.read_bytes()
    spoilt = copy.deepcopy(CONTENT) | {"optimizer_states": [{"state": {0: {"exp_avg": torch.tensor([0.0, value])}}}]}
    with pytest.raises(RunStopped, match="optimizer_states/0/state/0/exp_avg is not finite; the last checkpoint stays"):
        CheckpointFiles().save_checkpoint(spoilt, path)
    assert path.read_bytes() == good
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_callback_may_have_no_best_score_yet(tmp_path):
    """Lightning's ModelCheckpoint starts from an infinite one; what the EMA averages is looked at all the same."""
    path = checkpoint_path(tmp_path, 3)
    CheckpointFiles().save_checkpoint(CONTENT | {"callbacks": {"Best": {"score": torch.tensor(math.inf)}}}, path)
    assert path.exists()
    spoilt = CONTENT | {"callbacks": {"EMA": {"average": {"weight": torch.tensor([math.inf])}}}}
    with pytest.raises(RunStopped, match="callbacks/EMA/average/weight is not finite"):
        CheckpointFiles().save_checkpoint(spoilt, path)


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path):
    path = checkpoint_path(tmp_path, 3)
    CheckpointFiles().save_checkpoint(CONTENT, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # what a file system says when it is full, nearly
    try:
        with pytest.raises(RunStopped, match=r"step-00000003\.ckpt: cannot be written .*room on its disk"):
            CheckpointFiles().save_checkpoint(CONTENT, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert zipfile.ZipFile(path).testzip() is None
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_first_not_finite_names_it():
    tree = {"a": [torch.ones(2), {"b": torch.tensor([1.0, -float("inf")])}], "c": torch.tensor(3), "d": torch.zeros(0)}
    assert first_not_finite(tree) == "a/1/b"
    assert first_not_finite({"a": torch.full((3,), 3e38), "b": "nan"}) is None, "large is finite"
    assert first_not_finite({"a": torch.tensor([float("nan")], dtype=torch.bfloat16)}) == "a"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pytorch-lightning_version": None}, "got pytorch-lightning_version None"),
        ({"pytorch-lightning_version": "three"}, "'three'"),
        ({"pytorch-lightning_version": 2.6}, "2.6"),
        ({"pytorch-lightning_version": "99.0"}, "'99.0'"),
        ({"pytorch-lightning_version": "1.9.0"}, "'1.9.0'"),
        ({"global_step": -1}, "got global_step -1"),
        ({"global_step": "3"}, "got global_step '3'"),
        ({"global_step": 4}, "got global_step 4, but its loops did 3 steps"),
        ({"state_dict": [1]}, "want names and tensors"),
        ({"state_dict": {"a": 1}}, "want names and tensors"),
        ({"loops": None}, "got loops missing"),
        ({"loops": {"fit_loop": {"state_dict": [1]}}}, "got fit_loop.state_dict"),
        ({"loops": {}}, "its loops did None steps"),
        ({"optimizer_states": None}, "got optimizer_states missing"),
        ({"lr_schedulers": {}}, "got lr_schedulers of kind dict"),
        ({"callbacks": None}, "got callbacks missing"),
    ],
)
def test_odd_contents(change, says):
    check_content(CONTENT, "x.ckpt", "fit")
    with pytest.raises(InputError, match=r"--ckpt_path: x\.ckpt: ") as error:
        check_content(CONTENT | change, "x.ckpt", "fit")
    assert says in str(error.value)


def test_weights_alone_serve_a_test_and_no_fit():
    weights = {key: CONTENT[key] for key in ("state_dict", "global_step", "pytorch-lightning_version")}
    check_content(weights, "x.ckpt", "test")
    with pytest.raises(InputError, match=r"backbone\.weights"):
        check_content(weights, "x.ckpt", "fit")


def trained(model: nn.Module, kind=torch.optim.AdamW) -> torch.optim.Optimizer:
    optimizer = kind([value for value in model.parameters() if value.requires_grad], lr=0.1)
    sum(value.square().sum() for value in model.parameters()).backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adafactor, torch.optim.Adagrad])
def test_an_optimizer_state_of_the_same_model_fits(kind):
    model = nn.Linear(3, 2)
    check_optimizer([trained(model, kind).state_dict()], model, kind(model.parameters(), lr=0.1))


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters())


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (lambda model: [trained(nn.Linear(3, 4)).state_dict()], "weight's exp_avg (4, 3) for (2, 3)"),
        (lambda model: [trained(nn.Linear(3, 2, bias=False)).state_dict()], "of [1] parameters a group, want [2]"),
        (lambda model: [trained(model, torch.optim.SGD).state_dict()], "want that of AdamW"),
        (lambda model: [], "cannot be understood"),
        (lambda model: [{}], "cannot be understood"),
        (lambda model: [{"state": 3, "param_groups": []}], "cannot be understood"),
    ],
)
def test_an_optimizer_state_of_another_model(states, says):
    model = nn.Linear(3, 2)
    with pytest.raises(InputError) as error:
        check_optimizer(states(model), model, adam(model))
    assert says in str(error.value)


def warmed_up() -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(adam(nn.Linear(3, 2)), lambda step: min(1.0, step / 2))


def test_a_schedule_of_before_fits():
    state = warmed_up().state_dict()
    check_schedule([state], warmed_up())
    check_schedule([{key: value for key, value in state.items() if key != "_last_lr"}], warmed_up())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: [], "cannot be understood"),
        (lambda state: [1, [2, 3]], "cannot be understood"),
        (lambda state: [3], "cannot be understood"),
        (lambda state: [state, state], "cannot be understood"),
        (lambda state: [{}], "without base_lrs, last_epoch, lr_lambdas, want that of LambdaLR"),
        (lambda state: [state | {"base_lrs": 3}], "base_lrs of kind int, want list"),
        (lambda state: [state | {"last_epoch": "3"}], "last_epoch of kind str, want int"),
    ],
)
def test_odd_schedules(change, says):
    with pytest.raises(InputError, match=re.escape(says)):
        check_schedule(change(warmed_up().state_dict()), warmed_up())


def test_averages_of_another_model():
    model = nn.Linear(3, 2)
    average = {name: value.detach() for name, value in model.named_parameters()}
    check_average(average, model, for_fit=True)
    partial = {"bias": average["bias"]}
    check_average(partial, model, for_fit=False)
    model.weight.requires_grad_(False)
    check_average(partial, model, for_fit=True)
    model.weight.requires_grad_(True)
    for odd, says in (
        (partial, "1 missing: weight"),
        (average | {"other": torch.zeros(1)}, "1 unexpected: other"),
        (average | {"bias": torch.zeros(5)}, r"1 mis-shaped: bias \(5,\)"),
        ({"bias": 1.0}, "want names and tensors"),
        (None, "missing"),
    ):
        with pytest.raises(InputError, match=says):
            check_average(odd, model, for_fit=True)


def test_event_files_are_brought_back_to_the_checkpoint(tmp_path):
    for name, size in (("a", 10), ("b", 20), ("c", 30)):
        (tmp_path / f"events.out.tfevents.{name}").write_bytes(bytes(size))
    files = event_files(tmp_path)
    (tmp_path / "events.out.tfevents.d").write_bytes(bytes(5))  # of the start that does it
    rewind_events(files, {"events.out.tfevents.a": 10, "events.out.tfevents.b": 15})
    assert {path.name[-1]: path.stat().st_size for path in event_files(tmp_path)} == {"a": 10, "b": 15, "d": 5}


def test_counts_between_batches():
    batches = {key: {"ready": 8, "started": 7, "processed": 7, "completed": 7} for key in ("total", "current")}
    batches["is_last_batch"] = True
    epochs = {key: {"ready": 1, "started": 1, "processed": 1, "completed": 1} for key in ("total", "current")}
    between_batches(batches, epochs, done=6)
    assert batches["total"] == {"ready": 6, "started": 6, "processed": 6, "completed": 6}
    assert not batches["is_last_batch"]
    assert epochs["current"] == {"ready": 1, "started": 1, "processed": 0, "completed": 0}


@pytest.mark.parametrize("numbers", [(0, 2), (5, 0), (-1, 2)])
def test_intervals_are_at_least_one(tmp_path, numbers):
    with pytest.raises(InputError, match="want at least 1"):
        StepCheckpoints(tmp_path, *numbers)
