"""The screening's table, by hand."""

import pytest

from experiments.recipe import table
from experiments.tables import write_rows


def write_scores(path, sweep, ends):
    """A row of 9 at step 100, and of each run's value at 1,500; an unfinished run has none."""
    rows = []
    for run, end in ends.items():
        rows.append({"run": f"{sweep}/{run}", "step": "100", **dict.fromkeys(table.DIGITS, "9")})
        if end is not None:
            rows.append({"run": f"{sweep}/{run}", "step": "1500", **dict.fromkeys(table.DIGITS, str(end))})
    write_rows(path, ["run", "step", *table.DIGITS], rows)


def test_an_arm_is_held_against_the_mean_of_what_it_changes(tmp_path, monkeypatch, capsys):
    """``corr`` has 14 and 15 in the long runs: ``corr_mean`` at 14.25 is 0.25 dB behind their mean."""
    monkeypatch.setattr(table, "TABLE", tmp_path / "screening.csv")
    monkeypatch.setattr(table.long_runs, "HERE", tmp_path)
    long_runs = {"none": (13, 13.5), "corr_gone300": (14, 15), "prior": (14, 14), "prior_corr_gone300": (15, 15)}
    controls = {f"{arm}-{seed}": end for arm, both in long_runs.items() for seed, end in enumerate(both)}
    write_scores(tmp_path / "scores.csv", "nano", controls)
    write_scores(table.TABLE, "recipe", {"none-0": 13.0, "corr_mean-0": 14.25, "corr_best-0": None})
    table.main([])
    rows = [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        ["| `none`, 2 seeds", "| 13.25 ± 0.35", "13.2500 ± 0.3536"],
        ["| `corr`, 2 seeds", "| 14.50 ± 0.71", "14.5000 ± 0.7071"],
        ["| `prior`, 2 seeds", "| 14.00 ± 0.00", "14.0000 ± 0.0000"],
        ["| `prior_corr`, 2 seeds", "| 15.00 ± 0.00", "15.0000 ± 0.0000"],
        ["| `none`", "`none`", "13.00 (-0.25)"],
        ["| `corr_mean`", "`corr`", "14.25 (-0.25)"],
    ]


@pytest.mark.parametrize(
    ("arm", "control"),
    [("prior", "none"), ("prior_corr", "none"), ("prior_time", "prior"), ("corr_block3", "corr"), ("corr", "none")],
)
def test_what_an_arm_changes(arm, control):
    assert table.control_of(arm) == control
