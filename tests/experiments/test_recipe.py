"""The screening's table, by hand."""

import pytest

from experiments.recipe import confirm, table
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


def test_full_length_by_hand(tmp_path, monkeypatch, capsys):
    """``none`` ends at 29 by step 2,900; twice as fast is there at 1,450, and what has not ended is left out."""
    monkeypatch.setattr(confirm, "TABLE", tmp_path / "confirmed.csv")
    monkeypatch.setattr(confirm.long_runs, "HERE", tmp_path)
    steps = range(100, 3001, 100)

    def rows(run, rate, last=3000):
        scores = {step: {"psnr": str(step * rate), "warp_error": str(1 - step * rate / 100)} for step in steps}
        rest = {"warp_error_dyn": "0.5", "loss": "0.25"}
        return [{"run": run, "step": str(step), **scores[step], **rest} for step in steps if step <= last]

    columns = ["run", "step", *confirm.DIGITS]
    controls = [row for arm in confirm.SHOWN for seed in (0, 1) for row in rows(f"nano/{arm}-{seed}", 0.01)]
    write_rows(tmp_path / "scores.csv", columns, controls)
    ours = [*rows("confirm/mean-0", 0.02), *rows("confirm/mean-1", 0.005), *rows("confirm/mean-2", 0.02, last=2900)]
    write_rows(confirm.TABLE, columns, ours)
    confirm.main([])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert lines[0] == ["`none`", "2", "29.00", "0.97, 0.97: 0.967", "0.7100", "0.97, 0.97: 0.967", "0.5000", "0.250"]
    assert lines[-1] == ["`mean`", "2", "36.25", "0.48, 1.00: 0.742", "0.6375", "0.48, 1.00: 0.742", "0.5000", "0.250"]
