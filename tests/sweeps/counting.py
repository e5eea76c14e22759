"""A sweep of programs that count, which stand in for fits."""

import sys
from pathlib import Path

import yaml

COUNTER = """
import sys, time
from pathlib import Path
run = Path(sys.argv[1])
goal = int(run.name.partition("=")[2].rpartition("-")[0])
with (run / "starts").open("a") as file:
    file.write("x")
state = run / "state"
for count in range(int(state.read_text()) if state.exists() else 0, goal):
    time.sleep(float(sys.argv[2]))
    (run / "new").write_text(str(count + 1))
    (run / "new").replace(state)
if goal == 4 and not Path(sys.argv[0]).with_name("mended").exists():
    sys.exit("four is out of order")
(run / "result").write_text(f"counted to {goal}")
"""
"""Stands in for a fit: it counts, keeps its count, and goes on from there."""


def counting(folder: Path, goals: tuple[int, ...], pause: float = 0.0) -> Path:
    """Write a sweep of counters: each goal with two seeds."""
    script = folder / "counter.py"
    script.write_text(COUNTER)
    content = {
        "folder": str(folder / "runs"),
        "seeds": [0, 1],
        "grid": {"made.up.goal": list(goals)},
        "commands": [{"name": "count", "run": [sys.executable, str(script), "{run}", str(pause)]}],
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def contents(folder: Path, name: str) -> dict[str, str]:
    return {path.relative_to(folder).parts[1]: path.read_text() for path in folder.glob(f"runs/*/{name}")}
