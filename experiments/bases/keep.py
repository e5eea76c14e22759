"""Keeps what the bases came to: ``python -m experiments.bases.keep BASES``.

BASES is the folder of the sweep, with a folder a run. Three things are written, to be committed: the averaged weights
of ``mixture-0`` in half precision as the package's ``builtin:tiny``, whose page is told how many steps they have; those
of its supervised twin in ``weights/`` beside this file; the validations of both in ``scores.csv``. Each is replaced by
what a later stage came to; a run that is gone keeps its own.
"""

import argparse
import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.steps_to_quality.keep import COLUMNS, MAX_BYTES, TABLE, TURNS, WEIGHTS, update_runs
from mvt4g.callbacks.checkpoints import last_checkpoint, read_checkpoint
from mvt4g.formats.parsing.yaml_files import read_yaml
from mvt4g.formats.weights import write_weights
from mvt4g.models.checkpoints import OWN_PREFIX
from mvt4g.models.shipped import FOLDER, SUFFIX

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "base.md"
STEPS = re.compile(r"has [\d,]+ of(?= the 20,000 steps)")
"""Where the page says how many steps the shipped weights have."""
BASE, TWIN = "mixture-0", "mixture_corr-0"


def main(args: Sequence[str] | None = None) -> None:
    """Write the weights and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bases", type=Path)
    parser.add_argument("--shipped", type=Path, default=FOLDER, help="folder of the package's weights")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the table and the twin's weights")
    parser.add_argument("--page", type=Path, default=PAGE, help="page that says how many steps the base has")
    options = parser.parse_args(args)
    places = {BASE: options.shipped / f"tiny{SUFFIX}", TWIN: options.out / WEIGHTS / f"{TWIN}{SUFFIX}"}
    found = []
    for name, place in places.items():
        run = options.bases / name
        checkpoint = last_checkpoint(run)
        if checkpoint is None:
            print(f"{name}: no checkpoint yet, left as it is")
            continue
        steps = keep_weights(checkpoint, made_with(run / "config.yaml"), place)
        found.append(run)
        if name == BASE:
            options.page.write_text(STEPS.sub(f"has {steps:,} of", options.page.read_text(encoding="utf-8")), "utf-8")
        print(f"{place}: {steps} steps, {place.stat().st_size / 1e6:.1f} MB")
    update_runs(options.out / TABLE, found, [*COLUMNS, *TURNS])


def keep_weights(checkpoint: Path, made: Mapping[str, str], place: Path) -> int:
    """Write the averaged backbone of a checkpoint, with what it was made with; return its optimizer steps.

    Raises:
        ValueError: If the file would be too large to be committed.
    """
    content = read_checkpoint(checkpoint)
    average = content["callbacks"]["EMA"]["average"]
    weights = {name: value.to(torch.float16) for name, value in average.items() if name.startswith(OWN_PREFIX)}
    size = sum(2 * value.numel() for value in weights.values())
    if size > MAX_BYTES:
        raise ValueError(f"{place}: {size} bytes, want at most {MAX_BYTES}")
    place.parent.mkdir(parents=True, exist_ok=True)
    write_weights(place, weights, {**made, "steps": str(content["global_step"])})
    return int(content["global_step"])


def made_with(config: Path) -> dict[str, str]:
    """Return what shapes do not tell of a run's model, as loading will compare it."""
    model: dict[str, Any] = read_yaml(config, "the configuration of a fit")["model"]["init_args"]
    module, _, codec = model["codec"]["class_path"].rpartition(".")
    return {
        "codec": getattr(importlib.import_module(module), codec)(**model["codec"]["init_args"]).identity,
        "num_heads": str(model["backbone"]["init_args"]["dit"]["num_heads"]),
        "prediction": model["flow"]["prediction"],
    }


if __name__ == "__main__":
    main()
