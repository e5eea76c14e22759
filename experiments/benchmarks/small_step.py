"""How long a training step of a small configuration takes, in two source trees that take turns.

    git worktree add --detach /tmp/base COMMIT
    python -m experiments.benchmarks.small_step configs/debug.yaml --base /tmp/base [--steps 24] [--rounds 3]

Every turn is ``mvt4g fit`` in a process of its own, on one thread, without validation and with no loader process.
Further options are those of ``fit``. A step is what Lightning's loop does for a batch: data, forward, backward,
optimizer, average, logs; CPU seconds, the median of the steps from ``--first`` on. "data" is the part of it that waits
for the batch. "losses" is the largest relative difference between the trees over all steps.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

HERE = Path(__file__).parents[2]
OPTIONS = {
    "trainer.val_check_interval": "100000",
    "checkpoint_every": "100000",
    "trainer.enable_progress_bar": "false",
    "data.init_args.loader.num_workers": "0",
}


def record_fit(config: str, steps: int, more: list[str]) -> dict[str, list[float]]:
    """Fit in this process; return CPU seconds of every step and of its data, and every loss."""
    import torch
    from lightning.pytorch.loops import fetchers, training_epoch_loop

    from mvt4g.cli import main as run
    from mvt4g.systems.novel_view import NovelViewSystem

    torch.set_num_threads(1)
    found: dict[str, list[float]] = {"step": [], "data": [], "loss": []}

    def timed(owner: Any, method: str, kind: str) -> None:
        original = getattr(owner, method)

        def call(*args: Any, **options: Any) -> Any:
            start = time.process_time()
            result = original(*args, **options)
            found[kind].append(time.process_time() - start)
            return result

        setattr(owner, method, call)

    # Lightning names no hook around a batch and its data.
    timed(training_epoch_loop._TrainingEpochLoop, "advance", "step")
    timed(fetchers._PrefetchDataFetcher, "__next__", "data")
    train = NovelViewSystem.training_step

    def training_step(*args: Any) -> Any:
        loss = train(*args)
        found["loss"].append(float(loss.detach()))
        return loss

    with tempfile.TemporaryDirectory() as folder, patch.object(NovelViewSystem, "training_step", training_step):
        flags = [part for name, value in OPTIONS.items() for part in (f"--{name}", value)]
        run(["fit", "-c", config, "--run", f"{folder}/run", "--trainer.max_steps", str(steps), *flags, *more])
    return found


def fit_in(tree: Path, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Fit by the code of a source tree, in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, arguments.config, "--child", file.name, "--steps", str(arguments.steps)]
        environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        subprocess.run([*command, *arguments.more], cwd=tree, env=environment, check=True)
        return json.loads(Path(file.name).read_text())


def compare(arguments: argparse.Namespace) -> None:
    """Let both trees take their turns, and print the table."""
    found: dict[str, list[dict[str, list[float]]]] = {"base": [], "this": []}
    for _ in range(arguments.rounds):
        for name, tree in (("base", arguments.base.resolve()), ("this", HERE)):
            found[name].append(fit_in(tree, arguments))
    medians = {}
    for name, fits in found.items():
        for kind in ("step", "data"):
            times = [value for each in fits for value in each[kind][arguments.first :]]
            medians[name, kind] = statistics.median(times)
    print(f"{arguments.config}, steps {arguments.first} to {arguments.steps - 1}, {arguments.rounds} fits of each")
    for kind in ("step", "data"):
        old, new = medians["base", kind], medians["this", kind]
        print(f"  {kind}: {1e3 * old:.0f} -> {1e3 * new:.0f} ms, ratio {new / old:.3f}")
    old = medians["base", "step"] - medians["base", "data"]
    new = medians["this", "step"] - medians["this", "data"]
    print(f"  step without data: {1e3 * old:.0f} -> {1e3 * new:.0f} ms, ratio {new / old:.3f}")
    pairs = zip(found["base"][0]["loss"], found["this"][0]["loss"], strict=True)
    print(f"  losses: {max(abs(new - old) / abs(old) for old, new in pairs):.1e}")


def main() -> None:
    """Compare two trees, or be one of their fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--base", type=Path)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--first", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments, more = parser.parse_known_args()
    arguments.more = more
    if arguments.child is None:
        compare(arguments)
    else:
        arguments.child.write_text(json.dumps(record_fit(arguments.config, arguments.steps, arguments.more)))


if __name__ == "__main__":
    main()
