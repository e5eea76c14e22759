"""The answer so far: ``python -m experiments.lifting.figure [--picture FILE.png]``, from ``scores.csv``.

Quality over depth error: what lifts falls with it, what looks at cameras alone stays where it is. A crossing is the
noise at which the mean curve of a lifting arm meets the mean level of a camera-only arm, linear between two rungs.
"""

import argparse
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.lifting.keep import FIRST, TABLE
from experiments.lifting.rungs import RUNGS, TRUE
from experiments.tables import Row, read_rows
from mvt4g.viz.charts import Curve, CurvePanel, Figure, draw_curves, mean_curve, save_chart

NOISE = {TRUE: 0.0} | {rung: float(rung.removeprefix("noise:")) for rung in RUNGS if rung.startswith("noise:")}
"""Per cent of noise on the depth, by rung."""
CAMERA = ("camera", "camera_both")
LABELS = {
    "warp": "warp, nearest",
    "lifted0": "lifted, trained on true depth",
    "lifted5": "lifted, trained on 5 % noise",
    "lifted20": "lifted, trained on 20 % noise",
    "camera": "cameras only",
    "camera_both": "cameras only, L_track and L_corr",
}
FIRST_LABELS = {
    f"lifted5{FIRST}": LABELS["lifted5"],
    "tuned": "the same, tuned at test time",
    f"camera{FIRST}": LABELS["camera"],
}
"""Arms over the clips that tuning is scored on."""
SHOWN = {
    "psnr": "PSNR, dB",
    "psnr_static": "PSNR of what stands still, dB",
    "psnr_dyn": "PSNR of what moves, dB",
    "warp_error": "warp error",
    "warp_rgb5": "colour-patch MEt3R",
    "rotation_deg": "rotation error, degrees",
}
RISING = ("psnr", "psnr_static", "psnr_dyn")
"""Scores of which more is better."""
Scores = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Of one score, by arm, seed and rung."""


def main(args: Sequence[str] | None = None) -> None:
    """Print the tables and the crossings, and draw the figure if a file is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", type=Path, default=TABLE)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(args)
    rows = read_rows(options.scores)
    for score in SHOWN:
        print(f"\n{SHOWN[score]}\n")
        print("\n".join(table(scores_of(rows, score), LABELS)))
        print("\nof the clips of test-time tuning\n")
        print("\n".join(table(scores_of(rows, score), FIRST_LABELS)))
    print("\nWhere lifting meets cameras alone, % of noise\n")
    print("\n".join(crossings(rows)))
    if options.picture is not None:
        save_chart(draw(rows), options.picture)


def scores_of(rows: Sequence[Row], score: str) -> Scores:
    """Return one score of every arm, seed and rung that has it."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        if row[score]:
            found.setdefault(row["arm"], {}).setdefault(row["seed"], {})[row["rung"]] = float(row[score])
    return found


def table(scores: Scores, labels: Mapping[str, str]) -> list[str]:
    """Return a Markdown table: an arm a row, a rung a column, means over seeds."""
    lines = [f"| arm | {' | '.join(RUNGS)} |", f"|---|{'---:|' * len(RUNGS)}"]
    for arm, label in labels.items():
        cells = []
        for rung in RUNGS:
            values = [by_rung[rung] for by_rung in scores.get(arm, {}).values() if rung in by_rung]
            cells.append(f"{statistics.fmean(values):.3f}" if values else "")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def curves_of(scores: Scores, arm: str) -> list[Curve]:
    """Return a curve over noise for every seed of an arm; a camera-only arm is as good at all noise."""
    curves: list[Curve] = []
    for by_rung in scores.get(arm, {}).values():
        if arm in CAMERA:
            curves.append([(noise, by_rung[TRUE]) for noise in NOISE.values()])
        else:
            curves.append(over_noise(by_rung))
    return curves


def over_noise(by_rung: Mapping[str, float]) -> Curve:
    """Return a score over the noise of its rungs."""
    return [(noise, by_rung[rung]) for rung, noise in NOISE.items() if rung in by_rung]


def crossing(curve: Curve, level: float, rising: bool) -> float | None:
    """Return where a curve that starts better than a level first meets it.

    Args:
        curve: Over noise.
        level: Of the other arm.
        rising: More is better.

    Returns:
        The noise: 0 where the curve is no better from the start, None where it stays better to its end.
    """
    sign = 1.0 if rising else -1.0
    before: tuple[float, float] | None = None
    for place, value in curve:
        ahead = sign * (value - level)
        if ahead <= 0:
            if before is None:
                return 0.0
            return before[0] + (place - before[0]) * before[1] / (before[1] - ahead)
        before = (float(place), ahead)
    return None


def crossings(rows: Sequence[Row]) -> list[str]:
    """Return a Markdown table of where each lifting arm meets each camera-only arm, for every score."""
    pairs = []
    for arm in LABELS:
        pairs += [(arm, camera) for camera in CAMERA if arm not in CAMERA]
    lines = [f"| lifting | cameras | {' | '.join(SHOWN.values())} |", f"|---|---|{'---:|' * len(SHOWN)}"]
    for arm, camera in pairs:
        cells = []
        for score in SHOWN:
            scores = scores_of(rows, score)
            cells.append(told(scores, arm, camera, score in RISING) if arm in scores and camera in scores else "")
        lines.append(f"| {LABELS[arm]} | {LABELS[camera]} | {' | '.join(cells)} |")
    return lines


def told(scores: Scores, arm: str, camera: str, rising: bool) -> str:
    """Return where two arms meet, in words: the means, and in brackets the least and greatest of several seeds."""
    level = mean_curve(curves_of(scores, camera))[0][1]
    mean = place_text(mean_curve(curves_of(scores, arm)), level, rising)[1]
    of_seeds = []
    for seed, flat in scores[camera].items():
        by_rung = scores[arm].get(seed, scores[arm].get(""))  # the warp has no seed: it meets each
        if by_rung is not None:
            of_seeds.append(place_text(over_noise(by_rung), flat[TRUE], rising))
    if len(of_seeds) < 2:
        return mean
    return f"{mean} [{min(of_seeds)[1]}, {max(of_seeds)[1]}]"


def place_text(curve: Curve, level: float, rising: bool) -> tuple[float, str]:
    """Return where a curve meets a level, infinity if it stays ahead of it, and the same in words."""
    place = crossing(curve, level, rising)
    if place is None:
        return math.inf, f"over {curve[-1][0]:g}"
    return place, f"{place:.1f}" if place else "never ahead"


def draw(rows: Sequence[Row]) -> Figure:
    """Return the figure: a panel a score, a line an arm, bands over seeds."""
    panels = []
    for score, label in SHOWN.items():
        scores = scores_of(rows, score)
        runs = {}
        for arm, name in LABELS.items():
            curves = curves_of(scores, arm)
            if curves:
                runs[name] = curves
        panels.append(CurvePanel(("noise on the depth, %", label), runs, x_scale="doubling"))
    return draw_curves([panels[:3], panels[3:]])


if __name__ == "__main__":
    main()
