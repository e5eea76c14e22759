"""Steps to quality by hand, and what is kept of runs."""

import csv
import fcntl
import itertools
import json

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch.utils.tensorboard import SummaryWriter

from experiments.steps_to_quality import go_on, keep, table
from experiments.tables import read_rows, write_rows
from mvt4g.models.checkpoints import read_weight_file
from mvt4g.sweeps.sweep_file import SweepFile

RISING = [(100, 10.0), (200, 12.0), (300, 16.0)]


@pytest.mark.parametrize(("quality", "steps"), [(9.0, 100), (10.0, 100), (11.0, 150), (13.0, 225), (17.0, None)])
def test_steps_are_those_of_the_first_crossing_linear_between(quality, steps):
    assert table.steps_to(RISING, quality, higher=True) == steps
    falling = [(step, -value) for step, value in RISING]
    assert table.steps_to(falling, -quality, higher=False) == steps


def test_a_later_fall_does_not_matter():
    assert table.steps_to([*RISING, (400, 5.0)], 13.0, higher=True) == 225


def test_the_end_is_the_mean_of_the_last_three_validations_of_a_whole_run():
    whole = [(step, step / 100) for step in range(100, 3001, 100)]
    assert table.end_quality(whole) == pytest.approx(29.0)
    assert table.end_quality(whole[:-1]) is None


def test_cpu_time_of_an_arm_that_is_let_go(monkeypatch):
    """Of 1,500 steps with L_corr let go at 900: 900 at 3 s, 600 at 2 s, of the control's 3,000 at 1 s."""
    monkeypatch.setattr(table, "STEP_CPU_S", {"none": 1.0, "corr": 1.5, "prior": 2.0, "prior_corr": 3.0})
    assert table.cpu_share("prior_corr_gone300", 1500) == pytest.approx((900 * 3 + 600 * 2) / 3000)
    assert table.cpu_share("corr_gone600", 600) == pytest.approx(600 * 1.5 / 3000)
    assert table.cpu_share("prior", 1500) == pytest.approx(1.0)
    assert table.cpu_share("none", 3000) == pytest.approx(1.0)


def test_the_table_by_hand(monkeypatch):
    """The control ends at 29; twice as fast is there at 0.48 of 3,000 steps; one that stops short of it has no end."""
    control = [(step, step / 100) for step in range(100, 3001, 100)]
    fast = [(step, min(step / 50, 40.0)) for step, _ in control]
    slow = [(step, step / 200) for step, _ in control]
    monkeypatch.setattr(table, "cpu_share", lambda arm, steps: steps / 1000)
    lines = table.table({"none": {0: control}, "fast": {0: fast}, "slow": {0: slow}, "cut": {0: fast[:20]}}, True)
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]}
    assert cells["none"] == ["29", "0.97", "0.97", "2.90"]
    assert cells["fast"] == ["40", "0.48", "0.48", "1.45"]
    assert cells["slow"] == ["14.5", "1.00", "1.00", "3.00"]
    assert cells["cut"] == ["", "0.48", "0.48", "1.45"]


def write_run(folder):
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(yaml.safe_dump({"arm": "none"}))
    with SummaryWriter(folder) as writer:
        for step, psnr in ((99, 11.0), (199, 12.25)):
            writer.add_scalar("val/psnr", psnr, step)
            writer.add_scalar("val/loss", 0.5, step)
    (folder / "turn-00200" / "test").mkdir(parents=True)
    metrics = {"test/camera/mvtrack4gen/rotation_error_deg": 2.5, "test/camera/mvtrack4gen/num_failed": 7.0}
    (folder / "turn-00200" / "test" / "metrics.json").write_text(json.dumps(metrics))
    average = {"model.backbone.null_text": torch.full((1, 2, 3), 0.5), "model.tracking_head.x": torch.ones(2)}
    content = {"state_dict": {}, "global_step": 200, "callbacks": {"EMA": {"average": average, "num_updates": 200}}}
    (folder / "checkpoints").mkdir()
    torch.save(content, folder / "checkpoints" / "step-00000200.ckpt")


def test_scores_and_weights_are_kept_and_a_run_that_is_gone_keeps_its_rows(tmp_path):
    out, runs = tmp_path / "out", tmp_path / "runs"
    out.mkdir()
    write_run(runs / "nano" / "none-0")
    keep.main([str(runs), "--out", str(out)])
    rows = list(csv.DictReader((out / "scores.csv").open()))
    assert [(row["run"], row["step"], row["psnr"], row["loss"]) for row in rows] == [
        ("nano/none-0", "100", "11", "0.5"), ("nano/none-0", "200", "12.25", "0.5"),
    ]  # fmt: skip
    assert [(row["rotation_deg"], row["without_pose"]) for row in rows] == [("", ""), ("2.5", "7")]
    weights = load_file(out / "weights" / "nano-none-0.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert read_weight_file(out / "weights" / "nano-none-0.safetensors").weights.keys() == {"null_text"}

    (runs / "nano" / "none-0").rename(runs / "nano" / "none-1")
    keep.main([str(runs), "--out", str(out)])
    kept = [row["run"] for row in csv.DictReader((out / "scores.csv").open())]
    assert kept == ["nano/none-0", "nano/none-0", "nano/none-1", "nano/none-1"]
    assert table.read_curves(out / "scores.csv", "nano", "psnr") == {
        "none": {seed: [(100, 11.0), (200, 12.25)] for seed in (0, 1)}
    }


def test_a_run_that_starts_anew_keeps_its_rows_until_it_is_as_far(tmp_path):
    columns = [*keep.COLUMNS, *keep.TURNS]
    found = [{"run": "nano/none-0", "step": str(step), "psnr": "9"} for step in (100, 200, 300)]
    write_rows(tmp_path / "scores.csv", ["run", "step", *columns], found)
    write_run(tmp_path / "nano" / "none-0")
    keep.update_runs(tmp_path / "scores.csv", [tmp_path / "nano" / "none-0"], columns)
    assert [row["psnr"] for row in read_rows(tmp_path / "scores.csv")] == ["9", "9", "9"]
    write_rows(tmp_path / "scores.csv", ["run", "step", *columns], found[:2])
    keep.update_runs(tmp_path / "scores.csv", [tmp_path / "nano" / "none-0"], columns)
    assert [row["psnr"] for row in read_rows(tmp_path / "scores.csv")] == ["11", "12.25"]


def test_weights_that_are_too_large_to_commit_are_not_written(tmp_path, monkeypatch):
    write_run(tmp_path / "runs" / "nano" / "none-0")
    monkeypatch.setattr(keep, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="want at most 10"):
        keep.keep_weights(tmp_path / "runs" / "nano" / "none-0", tmp_path / "weights")
    assert not list((tmp_path / "weights").glob("*.safetensors"))


def test_every_run_of_the_order_is_one_of_its_sweep(monkeypatch):
    for gone, track in itertools.product(go_on.CANDIDATES, go_on.TRACKS):
        found = {f"corr_{gone}", track}
        monkeypatch.setattr(go_on, "chosen", lambda arms, found=found: next(arm for arm in arms if arm in found))
        order = list(go_on.order())
        assert len(set(order)) == len(order)
        for file in (go_on.ARMS, go_on.SCHEDULE, go_on.PYRAMID):
            assert {name for path, name in order if path == file} <= {run.name for run in SweepFile(file).runs()}


def test_an_open_schedule_ends_the_order_after_its_candidates(monkeypatch):
    monkeypatch.setattr(go_on, "chosen", lambda arms: None)
    assert [name for _, name in go_on.order()] == ["none-0", "prior-0", "corr_gone300-3", "corr_gone600-3"]


def test_an_open_weight_of_l_track_leaves_out_its_arms_alone(monkeypatch):
    monkeypatch.setattr(go_on, "chosen", lambda arms: "corr_gone300" if "corr_gone300" in arms else None)
    names = [name for file, name in go_on.order() if file == go_on.ARMS]
    assert {"corr-0", "prior_corr-2"} <= set(names)
    assert not [name for name in names if "track" in name or "both" in name]


def test_the_better_of_the_finished_candidates_is_chosen(monkeypatch):
    late = {"track0.1": 12.0, "track1": 12.5, "corr_gone300": 14.0, "corr_gone600": 13.0}
    monkeypatch.setattr(go_on, "late_psnr", lambda run: late[run.arm])
    monkeypatch.setattr(go_on, "is_finished", lambda run: True)
    assert go_on.chosen(go_on.TRACKS) == "track1"
    assert go_on.chosen_schedule() == "gone300"
    monkeypatch.setattr(go_on, "is_finished", lambda run: run.arm != "corr_gone600")
    assert go_on.chosen_schedule() is None


def test_a_run_that_another_process_is_at_work_on_is_left_to_it(monkeypatch, tmp_path):
    text = go_on.ARMS.read_text().replace("../steps_to_quality/nano", str(tmp_path))
    file = tmp_path / "nano.yaml"
    file.write_text(text)
    assert not go_on.is_at_work(file, "none-0")
    (tmp_path / "none-0").mkdir()
    with (tmp_path / "none-0" / ".lock").open("w") as held:
        assert not go_on.is_at_work(file, "none-0")
        fcntl.flock(held, fcntl.LOCK_EX)
        assert go_on.is_at_work(file, "none-0")
    assert not go_on.is_at_work(file, "none-0")


def test_an_interruption_ends_it_and_a_failure_does_not(monkeypatch):
    monkeypatch.setattr(go_on.os, "nice", lambda _: 0)
    monkeypatch.setattr(go_on, "is_at_work", lambda file, name: False)
    monkeypatch.setattr(go_on, "order", lambda: iter([(go_on.ARMS, f"none-{seed}") for seed in range(3)]))
    for statuses, want, ran in (([0, 1, 0], 1, 3), ([0, 130, 0], 130, 2), ([143], 143, 1)):
        called, left = [], iter(statuses)

        def pretend(words, called=called, left=left):
            called.append(words[2])
            return next(left)

        monkeypatch.setattr(go_on.sweep, "main", pretend)
        assert go_on.main([]) == want
        assert len(called) == ran


def test_runs_that_are_named_go_alone():
    assert go_on.placed("schedule/track1-3") == (go_on.SCHEDULE, "track1-3")
    assert go_on.placed("nano/none-0") == (go_on.ARMS, "none-0")
