"""Runs of the command line from Python: one process each, skipped when done, resumed when killed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import endings
from mvt4g.callbacks.checkpoints import last_checkpoint
from mvt4g.callbacks.run_record import fit_marker
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.sweeps import run_files

Metrics = dict[str, float | None]


def fit(config: str, run: Path, *flags: str) -> Path:
    """Fit, going on from the last checkpoint if there is one, and return the last checkpoint."""
    if not fit_marker(run).exists():
        endings.call("fit", "-c", config, "--run", str(run), "--ckpt_path", "last", *flags)
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None, "a finished fit leaves its last step's checkpoint"
    return checkpoint


def test(config: str, run: Path, checkpoint: Path | None, *flags: str) -> Metrics:
    """Test and return the metrics; a test that is done is not done again."""
    path = run / "test" / "metrics.json"
    if not path.exists():
        weights = [] if checkpoint is None else ["--ckpt_path", str(checkpoint)]
        endings.call("test", "-c", config, "--run", str(run), "--verbose=false", *weights, *flags)
    return read_metrics(run)


def predict(config: str, run: Path, checkpoint: Path | None, *flags: str) -> None:
    """Predict into the run folder; None = by the weights that the configuration names."""
    weights = [] if checkpoint is None else ["--ckpt_path", str(checkpoint)]
    endings.call("predict", "-c", config, "--run", str(run), *weights, *flags)


def read_metrics(run: Path) -> Metrics:
    """Return a finished test's metrics."""
    return run_files.read_metrics(run / "test" / "metrics.json")


def recipe_hash(run: Path) -> str:
    """Return a hash of all that decides what a test measures: data, seeds, and the evaluation spec."""
    config = read_yaml(run / "test" / "config.yaml", "the configuration of a test")
    data = {
        key: value
        for key, value in config["data"]["init_args"].items()
        if key not in ("loader", "cache_dir", "num_train")
    }
    evaluation = config["model"]["init_args"]["evaluation"]
    recipe = json.dumps({"data": data, "evaluation": evaluation}, sort_keys=True)
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def table(columns: Sequence[str], rows: Mapping[str, Sequence[Any]]) -> str:
    """Return a Markdown table whose cells are numbers or text."""
    lines = ["| |" + "|".join(f" {name} " for name in columns) + "|", "|---|" + "---:|" * len(columns)]
    lines += [f"| {name} |" + "|".join(f" {_cell(value)} " for value in values) + "|" for name, values in rows.items()]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "n/a"
    return value if isinstance(value, str) else f"{value:.3f}"
