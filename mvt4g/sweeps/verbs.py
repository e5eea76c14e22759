"""``mvt4g sweep | collect | report``: what the entry points of the group ``mvt4g.verbs`` name, with their help pages.

A verb's own module is imported when it runs, so that ``mvt4g --help`` costs nothing.
"""

from mvt4g.commands.outside_verbs import Verb


def _sweep(argv: list[str]) -> int:
    from mvt4g.sweeps.sweep import main

    return main(argv)


def _collect(argv: list[str]) -> int:
    from mvt4g.sweeps.collect import main

    return main(argv)


def _report(argv: list[str]) -> int:
    from mvt4g.sweeps.report import main

    return main(argv)


SWEEP = Verb(
    _sweep,
    """run every run of a sweep file: variants x grid x seeds

  mvt4g sweep FILE.yaml [options]

Finished runs are skipped, killed runs go on from their last checkpoint, and failed runs are listed with
their log while the others go on. All options of all arms are checked before the first run starts.

  --dry-run              check, and show what would run
  --jobs N               runs at a time, 1 to 1024 (default 1)
  --threads N            OMP_NUM_THREADS of each run, 1 to 1024 (default: 1 if several jobs run, else as it is)
  --only NAME ...        these runs or arms alone; * stands for any characters
  --launcher WHERE       local (default), slurm, or submitit-local to try submitit without a cluster
  --slurm KEY=VALUE ...  settings of submitit, such as timeout_min=60 slurm_partition=gpu
  --trust MODULE         handed to every run

Example:
  mvt4g sweep experiments/ablation/nano.yaml --jobs 2

Exit codes: 0 all runs finished, 2 some failed or bad input (then nothing started), 130 Ctrl-C, 143 SIGTERM.
What a sweep file may say: docs/sweeps.md.
""",
)
COLLECT = Verb(
    _collect,
    """gather the runs of a sweep into one table, with differences to the control seed by seed

  mvt4g collect FILE.yaml

Prints the table, and writes it into the sweep's folder: .md, .csv (a row a run) and .png (a dot a seed).
Every finished run gets an event file for TensorBoard's HParams tab. Unfinished runs are named.

Example:
  mvt4g collect experiments/ablation/nano.yaml

What the file's entry `table` may say: docs/sweeps.md.
""",
)
REPORT = Verb(
    _report,
    """write one HTML page of a sweep: tables, curves, videos of the arms side by side

  mvt4g report FILE.yaml [--out FILE.html]

The page holds everything it shows and asks for nothing from a network.

  --out FILE.html  the page (default: in the sweep's folder)

Example:
  mvt4g report experiments/ablation/nano.yaml --out ablation.html
""",
)
