"""Keeps what the runs found: ``python -m experiments.steps_to_quality.keep RUNS``.

RUNS is the folder that holds a folder for each sweep, and in it one for each run. Two things are written, to be
committed: ``scores.csv`` beside this file, a row a run and validation, and ``weights/<run>.safetensors``, the averaged
weights of each run's last checkpoint in half precision, one file a run, replaced each time. A run whose folder is gone
keeps its rows, and the next stage starts from its weights.
"""

import argparse
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from experiments.tables import Row, read_rows, write_rows
from mvt4g.callbacks.checkpoints import last_checkpoint, read_checkpoint
from mvt4g.formats.atomic import appearing
from mvt4g.sweeps.results import read_curves

HERE = Path(__file__).parent
TABLE, WEIGHTS = "scores.csv", "weights"
ELSEWHERE = ("bases", "confirm", "fine_tuned", "recipe")
"""Sweeps beside ours whose experiments keep their own results."""
COLUMNS = {
    "psnr": "val/psnr",
    "warp_error": "val/warp_error",
    "warp_error_dyn": "val/warp_error_dyn",
    "loss": "val/loss",
    "block1_left": "val/attention_pck/layer1/cross@0.50",
    "block2_left": "val/attention_pck/layer2/cross@0.50",
}
"""Columns of the table, and what a fit logs them as."""
TURNS = {
    "rotation_deg": "test/camera/mvtrack4gen/rotation_error_deg",
    "without_pose": "test/camera/mvtrack4gen/num_failed",
}
"""Columns that ``turns`` fills at some steps, and the keys of its tests."""
MAX_BYTES = 5_000_000


def main(args: Sequence[str] | None = None) -> None:
    """Write the table and the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args(args)
    records = sorted(options.runs.glob("*/*/run.yaml"))
    folders = [record.parent for record in records if record.parent.parent.name not in ELSEWHERE]
    for folder in folders:
        size = keep_weights(folder, options.out / WEIGHTS)
        print(f"{called(folder)}: weights of {size / 1e6:.1f} MB")
    update_runs(options.out / TABLE, folders, [*COLUMNS, *TURNS])


def update_runs(path: Path, folders: Iterable[Path], columns: Sequence[str]) -> None:
    """Replace the rows of each folder's run in a table; a run keeps its rows until it has come as far again."""
    by_run: dict[str, list[Row]] = {}
    for row in read_rows(path):
        by_run.setdefault(row["run"], []).append(row)
    for folder in folders:
        found = run_rows(folder)
        if len(found) >= len(by_run.get(called(folder), [])):
            by_run[called(folder)] = found
    write_rows(path, ["run", "step", *columns], [row for run in sorted(by_run) for row in by_run[run]])


def called(folder: Path) -> str:
    """Return what a run is called in the table: ``<sweep>/<arm>-<seed>``."""
    return f"{folder.parent.name}/{folder.name}"


def run_rows(folder: Path) -> list[Row]:
    """Return a row for every validation of a run."""
    logged = read_curves(folder)
    by_step: dict[int, Row] = {}
    for column, tag in COLUMNS.items():
        for step, value in logged.get(tag, []):
            by_step.setdefault(step, {})[column] = written(value)
    for test in folder.glob("turn-*"):
        metrics = test / "test" / "metrics.json"
        # A fit logs its validation after step s under s - 1, Lightning's number of the last batch.
        step = int(test.name.removeprefix("turn-")) - 1
        if metrics.exists() and step in by_step:
            by_step[step] |= turn_columns(metrics)
    return [{"run": called(folder), "step": str(step + 1), **row} for step, row in sorted(by_step.items())]


def turn_columns(metrics: Path) -> Row:
    """Return what a test of ``turns`` adds to a row."""
    found: Mapping[str, float | None] = json.loads(metrics.read_text(encoding="utf-8"))
    return {column: "" if found[key] is None else written(float(found[key] or 0)) for column, key in TURNS.items()}


def written(value: float) -> str:
    """Return a number to five digits, nothing where there is none."""
    return f"{value:.5g}" if math.isfinite(value) else ""


def keep_weights(run: Path, folder: Path) -> int:
    """Write the averaged weights of a run's last checkpoint in half precision; return the file's size, 0 without one.

    Raises:
        ValueError: If the file would be too large to be committed.
    """
    from safetensors.torch import save_file

    checkpoint = last_checkpoint(run)
    if checkpoint is None:
        return 0
    content = read_checkpoint(checkpoint)
    average = content["callbacks"]["EMA"]["average"]
    weights = {name: value.to(torch.float16).contiguous() for name, value in average.items()}
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.parent.name}-{run.name}.safetensors"
    with appearing(path) as temporary:
        save_file(weights, temporary, metadata={"step": str(content["global_step"])})
        if temporary.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path}: {temporary.stat().st_size} bytes, want at most {MAX_BYTES}")
    return path.stat().st_size


if __name__ == "__main__":
    main()
