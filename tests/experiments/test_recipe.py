"""The screening's table, by hand."""

import pytest

from experiments.recipe import table
from experiments.tables import write_rows


def write_scores(path):
    """Two seeds of ``corr``, one of an arm of it that is finished and one that is not."""
    ends = {"none-0": 14.0, "corr-0": 14.5, "corr-1": 15.5, "corr_mean-1": 15.25, "corr_best-0": None}
    rows = []
    for run, end in ends.items():
        rows.append({"run": f"recipe/{run}", "step": "100", **dict.fromkeys(table.LABELS, "9")})
        if end is not None:
            rows.append({"run": f"recipe/{run}", "step": "200", **dict.fromkeys(table.LABELS, str(end))})
    write_rows(path, ["run", "step", *table.LABELS], rows)


def test_an_arm_is_held_against_what_it_changes_seed_by_seed(tmp_path, monkeypatch, capsys):
    """``corr_mean`` has seed 1 alone: 15.25 - 15.5. ``corr`` meets ``none`` on seed 0 alone: 14.5 - 14."""
    monkeypatch.setattr(table, "TABLE", tmp_path / "scores.csv")
    write_scores(table.TABLE)
    table.main([])
    rows = [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        ["| `none`", "", "14.00"],
        ["| `corr`", "`none`", "15.00 (+0.50)"],
        ["| `corr_mean`", "`corr`", "15.25 (-0.25)"],
    ]


@pytest.mark.parametrize(
    ("arm", "control"),
    [("prior", "none"), ("prior_corr", "none"), ("prior_time", "prior"), ("corr_block3", "corr"), ("corr", "none")],
)
def test_what_an_arm_changes(arm, control):
    assert table.control_of(arm) == control
