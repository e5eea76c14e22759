"""What a sweep file stands for, and that a bad one stops before its first run."""

import re
from pathlib import Path

import pytest
import yaml

from mvt4g.callbacks.checkpoints import checkpoint_path
from mvt4g.sweeps.launch import arguments
from mvt4g.sweeps.sweep import main
from mvt4g.sweeps.sweep_file import SweepFile
from mvt4g.types import InputError


def test_runs_of_a_file(tmp_path):
    path = tmp_path / "made_up.yaml"
    path.write_text("""
folder: runs/made_up
configs: [configs/debug.yaml]
seeds: [0, 7]
set: {a.b: 1, weights: "base-{seed}.ckpt"}
variants:
  one: {}
  two: {a.b: 2}
grid:
  x.layers: [[0, 1], null]
commands: [fit, test, {name: probe, command: test, configs: [configs/debug.yaml], set: {model.weights: "{checkpoint}"}}]
""")
    runs = SweepFile(path).runs()
    arms = [f"{arm}-layers={layers}" for arm in ("one", "two") for layers in ("0+1", "null")]
    assert [run.name for run in runs] == [f"{arm}-{seed}" for arm in arms for seed in (0, 7)]
    last = runs[-1]
    assert last.folder == Path("runs/made_up/two-layers=null-7")
    fit, test, probe = last.steps
    seeded = {"seed_everything": 7, "model.init_args.training.seed": 7}
    assert fit.options == {**seeded, "a.b": 2, "weights": "base-7.ckpt", "x.layers": None} == test.options
    assert (fit.resumes, test.resumes, probe.resumes) == (False, True, False)
    assert probe.folder == last.folder / "probe"
    assert probe.options == {"model.weights": "{checkpoint}"}, "known once the fit has run"


def test_a_program_that_all_seeds_share_may_come_first(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
seeds: [0, 1]
commands: [{{name: prepare, run: [make, 7]}}, fit]
""")
    assert [run.steps[0].program for run in SweepFile(path).runs()] == [("make", "7")] * 2


def test_steps_after_a_fit_of_another_name_take_its_checkpoint(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"""
folder: {tmp_path}/runs
configs: [configs/debug.yaml]
commands:
  - {{name: base, command: fit, configs: [configs/debug.yaml], set: {{seed_everything: "{{seed}}"}}}}
  - test
  - {{name: probe, command: test, set: {{made.up: "{{checkpoint}}"}}}}
""")
    (run,) = SweepFile(path).runs()
    base, last = run.folder / "base", checkpoint_path(run.folder / "base", 4)
    last.parent.mkdir(parents=True)
    last.touch()
    fit, test, probe = (arguments(run, step) for step in run.steps)
    assert fit[fit.index("--ckpt_path") + 1] == "last"
    assert test[test.index("--ckpt_path") + 1] == str(base)
    assert f"--made.up={last}" in probe
    assert "--ckpt_path" not in probe


BAD = {
    "misspelt option": ("set: {trainer.max_steps: 2}", "set:\n  trainer.max_stepz: 2", 5, "max_stepz"),
    "misspelt option of a variant": (
        "  head: {}", "  head:\n    model.init_args.training.num_querie: 1", 8, "num_querie",
    ),
    "unknown layer": (
        "  head: {}", "  head:\n    model.init_args.tracking_head.init_args.layer: 2", 8, "layer",
    ),
    "unknown layer in the grid": (
        "  head: {}", "  head: {}\ngrid:\n  model.init_args.evaluation.attention_layers: [[0], [5]]", 9, "5",
    ),
    "options of the trainer that contradict each other": (
        "  head: {}",
        "  head:\n    trainer.callbacks: [{class_path: lightning.pytorch.callbacks.RichProgressBar}]",
        8,
        "RichProgressBar",
    ),
    "no base": (
        "  head: {}", "  head:\n    model.init_args.evaluation.videos.weights.dino_vits16: missing-{seed}.pth", 8,
        "missing-0",
    ),
    "empty grid": ("  head: {}", "  head: {}\ngrid:", 8, "grid"),
    "empty list in the grid": ("  head: {}", "  head: {}\ngrid:\n  a.b: []", 9, "a.b"),
    "two variants of one name": ("  head: {}", "  head: {}\n  head: {}", 8, "'head'"),
    "two seeds of one name": ("seeds: [0, 1]", "seeds: [0, 1, 1]", 3, "2 runs of one name 'head-1'"),
    "two cells of one name": ("  head: {}", "  head: {}\ngrid:\n  a.b: ['x/1', 1]", 8, "b=1-0"),
    "no such file": ("configs/debug.yaml", "configs/debag.yaml", 2, "configs/debag.yaml"),
    "no such command": ("head: {}", "head: {}\ncommands: [fitt]", 8, "'fitt'"),
    "no such entry": ("seeds:", "seedz:", 3, "'seedz'"),
    "an option that a seed sets": ("set: {trainer.max_steps: 2}", "set:\n  seed_everything: 7", 5, "seeds alone"),
    "an option around one that a seed sets": (
        "  head: {}", "  head:\n    model.init_args.training: {warmup_steps: 3}", 8, "seeds alone",
    ),
    "seeds that set nothing": ("# arms", "seed_options: []", 5, "head-0 and head-1 would do the same"),
    "seeds that set nothing, in a folder of their own": (
        "# arms", "seed_options: []\ncommands: [fit, {name: plot, run: [echo, '{run}']}]", 5, "would do the same",
    ),
    "options of a program": (
        "  head: {}", "  head: {}\ncommands:\n  - name: a\n    run: [echo]\n    set: {a.b: 1}", 11, "beside run",
    ),
    "two commands in one": ("  head: {}", "  head: {}\ncommands: [{name: a, run: [ls], command: x}]", 8, "either"),
    "a name that is no text": ("  head: {}", "  head: {}\n  off: {a.b: 1}", 8, "got the name off"),
    "a date": ("set: {trainer.max_steps: 2}", "set:\n  trainer.max_time: 2024-01-01", 5, "datetime.date(2024, 1, 1)"),
    "a folder that is a file": ("/runs\n", "/sweep.yaml\n", 1, "sweep.yaml is a file"),
    "a folder in a file": ("/runs\n", "/sweep.yaml/runs\n", 1, "sweep.yaml is a file"),
    "no program": ("  head: {}", "  head: {}\ncommands: [{name: a, run: []}]", 8, "a list of words"),
    "a name outside of the run": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: ../../esc, run: [echo]}", 9, "'../../esc'",
    ),
    "two commands of one name": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: a, run: [echo]}\n  - {name: a, run: [ls]}", 10, "name 'a'",
    ),
    "a program in one text": ("  head: {}", "  head: {}\ncommands: [{name: a, run: echo hi}]", 8, "a list of words"),
    "configurations in one text": (
        "  head: {}", "  head: {}\ncommands: [{name: a, command: test, configs: configs/debug.yaml}]", 8,
        "list of texts",
    ),
    "a checkpoint of no fit": (
        "  head: {}", "  head: {}\ncommands:\n  - {name: a, command: test, set: {w.x: '{checkpoint}'}}", 9,
        "a fit before",
    ),
    "two mistakes": (
        "set: {trainer.max_steps: 2}\n# arms\nvariants:\n  head: {}",
        "set:\n  model.init_args.training.weight_cor: 1\nvariants:\n  head:\n    trainer.max_stepz: 2",
        5,
        "weight_cor",
    ),
    "not YAML": ("seeds: [0, 1]", "seeds: [0, 1", 4, "cannot be read as YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "told"), BAD.values(), ids=BAD)
def test_a_bad_file_stops_before_the_first_run(tmp_path, capsys, old, new, line, told):
    good = f"""folder: {tmp_path}/runs
configs: [configs/debug.yaml]
seeds: [0, 1]
set: {{trainer.max_steps: 2}}
# arms
variants:
  head: {{}}
"""
    assert old in good
    path = tmp_path / "sweep.yaml"
    path.write_text(good.replace(old, new))
    assert main([str(path)]) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"mvt4g: \S*/sweep.yaml:{line}: ", message)
    assert told in message
    assert not (tmp_path / "runs").exists()


def test_weights_that_another_sweep_makes_name_that_sweep(tmp_path, capsys):
    weights = tmp_path / "runs" / "bases" / "nano-0" / "checkpoints" / "step-00000004.ckpt"
    for name, rest in (
        ("bases", "variants: {nano: {}}\ncommands: [fit]"),
        ("ablation", f"set: {{model.init_args.backbone.init_args.weights: {weights}}}\ncommands: [fit]"),
    ):
        (tmp_path / name).mkdir()
        text = f"folder: {tmp_path}/runs/{name}\nconfigs: [configs/debug.yaml]\n{rest}\n"
        (tmp_path / name / "sweep.yaml").write_text(text)
    assert main([str(tmp_path / "ablation" / "sweep.yaml"), "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"checkpoints/{weights.name}: no such file, want a file of weights" in line, "a long line keeps the name"
    assert re.search(r"; `mvt4g sweep \S*/bases/sweep.yaml` makes it$", line)


def test_more_runs_than_a_file_may_stand_for_are_refused_before_there_are_any(tmp_path):
    path = tmp_path / "sweep.yaml"
    values = list(range(100))
    grid = {f"option{number}": values for number in range(40)}
    path.write_text(yaml.safe_dump({"folder": "runs", "seeds": [0, 1], "grid": grid, "commands": ["fit"]}))
    with pytest.raises(
        InputError, match=r"sweep.yaml:\d+: got variants x grid x seeds = 1 x 100 x .* x 2 runs, want at most 10000"
    ):
        SweepFile(path).runs()
    grid = {"option0": values, "option1": [*range(50)]}
    path.write_text(yaml.safe_dump({"folder": "runs", "seeds": [0, 1], "grid": grid, "commands": ["fit"]}))
    assert len(SweepFile(path).runs()) == 10_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1, 2]",
        b"{",
        b"\xff\xfe\x00",
        b"folder: \xff",
        b"\x00",
        b"!!python/object:os.system {}",
        b"folder: 'a\0b'",
    ],
)
def test_a_file_that_is_no_sweep_file_is_one_line(tmp_path, capsys, content):
    path = tmp_path / "sweep.yaml"
    path.write_bytes(content)
    assert main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sweep.yaml" in line


@pytest.mark.parametrize("folder", ['"a\\0b"', "x" * 5000])
def test_a_folder_of_no_possible_name_is_one_line(tmp_path, capsys, folder):
    path = tmp_path / "sweep.yaml"
    path.write_text(f"folder: {folder}\n")
    assert main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "sweep.yaml:1: folder: got " in line
