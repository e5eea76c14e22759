"""The figure of the lifting experiment: means, crossings, and a drawing, on made-up scores."""

import math

import pytest

from experiments.lifting.figure import LABELS, SHOWN, crossing, crossings, draw, place_text, scores_of, table
from experiments.lifting.go_on import ARMS, steps
from experiments.lifting.keep import COLUMNS, first_clips, main, mean_rows
from experiments.lifting.rungs import RUNGS, SCORES, TRUE
from experiments.lifting.tuned import NUM_CLIPS
from experiments.tables import read_rows, write_rows


def row(arm, seed, rung, psnr):
    values = dict.fromkeys(SCORES, "") | {"psnr": str(psnr)}
    return {"arm": arm, "seed": str(seed), "rung": rung, "clips": "2", **values}


def ladder(arm, seed, first):
    """PSNR falls by 1 dB a rung of noise."""
    rungs = [TRUE, "noise:1", "noise:2", "noise:5", "noise:10", "noise:20"]
    return [row(arm, seed, rung, first - fallen) for fallen, rung in enumerate(rungs)]


@pytest.mark.parametrize(
    ("level", "rising", "place"),
    [
        (19.5, True, 1.0),
        (20.0, True, 0.0),
        (21.0, True, 0.0),
        (17.0, True, None),
        (19.0, True, 2.0),
        (19.0, False, 0.0),
    ],
)
def test_a_crossing_lies_between_the_rungs_by_a_line(level, rising, place):
    curve = [(0, 20.0), (2, 19.0), (10, 18.0)]
    assert crossing(curve, level, rising) == place


def test_what_stays_ahead_is_said_to_do_so_up_to_its_last_rung():
    assert place_text([(0, 20.0), (20, 19.0)], 18.0, True) == (math.inf, "over 20")
    assert place_text([(0, 20.0), (20, 19.0)], 21.0, True) == (0.0, "never ahead")
    assert place_text([(0, 20.0), (20, 18.0)], 19.0, True) == (10.0, "10.0")


def test_scores_that_fall_cross_from_below():
    assert crossing([(0, 0.1), (10, 0.3)], 0.2, rising=False) == pytest.approx(5.0)


def test_tables_and_crossings_of_means_over_seeds():
    rows = [*ladder("lifted5", 0, 20.0), *ladder("lifted5", 1, 21.0), row("camera", 0, TRUE, 18.5)]
    lines = table(scores_of(rows, "psnr"), LABELS)
    assert "| lifted, trained on 5 % noise | 20.500 | 19.500 | 18.500 | 17.500 | 16.500 | 15.500 |  |  |  |  |" in lines
    told = next(line for line in crossings(rows) if line.startswith("| lifted, trained on 5 % noise | cameras only |"))
    assert told.split("|")[3].strip() == "2.0"
    rows.append(row("camera", 1, TRUE, 21.5))
    told = next(line for line in crossings(rows) if line.startswith("| lifted, trained on 5 % noise | cameras only |"))
    assert told.split("|")[3].strip() == "0.5 [never ahead, 1.5]", (
        "the mean level is 20, those of the seeds 18.5 and 21.5"
    )
    names = [text.get_text() for text in draw(rows).legends[0].get_texts()]
    assert names == ["lifted, trained on 5 % noise", "cameras only"]
    assert len(draw(rows).axes) == len(SHOWN)


def test_means_are_kept_and_arms_that_are_gone_keep_theirs(tmp_path):
    run = tmp_path / "nano" / "lifted5-1"
    run.mkdir(parents=True)
    clips = []
    for psnr in ("10", "14"):
        clips.append({"rung": TRUE, "clip": f"c{psnr}", **dict.fromkeys(SCORES, ""), "psnr": psnr})
    write_rows(run / "scores.csv", ("rung", "clip", *SCORES), clips)
    write_rows(tmp_path / "out.csv", COLUMNS, [row("camera", 0, TRUE, 9.0)])
    main([str(tmp_path), "--out", str(tmp_path / "out.csv")])
    kept = {(entry["arm"], entry["seed"]): entry for entry in read_rows(tmp_path / "out.csv")}
    assert kept["lifted5", "1"]["psnr"] == "12"
    assert kept["lifted5", "1"]["clips"] == "2"
    assert kept["camera", "0"]["psnr"] == "9.0"
    assert kept["lifted5_first", "1"]["clips"] == "2"
    assert mean_rows([], "x", "0") == []


def test_the_clips_of_tuning_are_the_first_of_each_rung():
    rows = []
    for rung in (TRUE, "noise:5"):
        for clip in range(NUM_CLIPS + 3):
            rows.append({"rung": rung, "clip": str(clip)})
    first = first_clips(rows)
    assert [entry["clip"] for entry in first] == [str(clip) for clip in range(NUM_CLIPS)] * 2


def test_the_order_ends_each_seed_by_tuning():
    order = list(steps([0, 1]))
    assert order[0][:2] == ["score", "warp"]
    assert len(order) == 1 + 2 * (len(ARMS) + 1)
    assert order[len(ARMS) + 1] == ["tuned", "../lifting/nano/lifted5-0"]
    assert "moving:20" in RUNGS
