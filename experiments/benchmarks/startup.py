"""How long the command line and light imports take, beside ``import torch``: CPU seconds of whole processes.

    python -m experiments.benchmarks.startup [--repeats 5]

Every call is a process of its own. All are run in turn, ``repeats`` times after one round that is not counted (it warms
the disk's cache), and the medians are compared. CPU seconds are those of user and system together, so that other work
on the machine counts for little. The bars: a page of help takes at most half of ``import torch``; an import of ours
takes at most 0.5 s more.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

TORCH = "import torch"
HELP_BAR, IMPORT_BAR = 0.5, 0.5
"""Share of ``import torch``; seconds beyond it."""
PAGES = ("--help", "fit --help", "predict --help", "write-clips --help")
IMPORTS = ("mvt4g.inference", "mvt4g.metrics.functional.tracks")


def cpu_seconds(command: Sequence[str]) -> float:
    """Return the CPU seconds of a command that ends well, of all its threads."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def medians(commands: dict[str, list[str]], repeats: int) -> dict[str, float]:
    """Return the median CPU seconds of every command, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command))
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    commands = {TORCH: [sys.executable, "-c", TORCH]}
    commands |= {f"mvt4g {page}": [sys.executable, "-m", "mvt4g", *page.split()] for page in PAGES}
    commands |= {f"import {name}": [sys.executable, "-c", f"import {name}"] for name in IMPORTS}
    found = medians(commands, repeats)
    torch_alone = found[TORCH]
    print("| call | CPU seconds | beside import torch | bar |\n|---|---|---|---|")
    print(f"| `{TORCH}` | {torch_alone:.2f} | | |")
    for page in PAGES:
        share = found[f"mvt4g {page}"] / torch_alone
        print(f"| `mvt4g {page}` | {found[f'mvt4g {page}']:.2f} | {share:.2f} of it | {HELP_BAR} |")
    for name in IMPORTS:
        more = found[f"import {name}"] - torch_alone
        print(f"| `import {name}` | {found[f'import {name}']:.2f} | {more:+.2f} s | {IMPORT_BAR} s |")


if __name__ == "__main__":
    main()
