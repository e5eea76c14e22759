"""Fuzzing: ``python -m tests.fuzz.run [--seed 0] [--share 1.0] [--only AREA ...]`` prints a table of what became of it.

Every case starts from a valid input and has one thing changed; one in four is left as it is and must succeed. The same
seed gives the same cases. A line on stderr tells each case that failed, with what to pass to see it alone.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tests.fuzz.area import Area
from tests.fuzz.areas import FILE_AREAS
from tests.fuzz.command_areas import COMMAND_AREAS, ROOT
from tests.fuzz.harness import Case, Outcome, carry_out
from tests.fuzz.media_areas import MEDIA_AREAS

AREAS = (*FILE_AREAS, *MEDIA_AREAS, *COMMAND_AREAS)
VALID_EVERY = 4
COLUMNS = (
    "cases",
    "valid kept",
    "refused",
    "succeeded",
    "traceback",
    "hang",
    "code run",
    "memory",
    "output",
    "invalid",
)
"""Of the table; "invalid": valid inputs that did not succeed."""


@dataclass
class Tally:
    """What became of the cases of an area."""

    counts: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, mutation: str, outcome: Outcome) -> str | None:
        """Count a case; return a line about it if it failed."""
        self.counts["cases"] += 1
        self.peak = max(self.peak, outcome.memory)
        fault = outcome.fault
        if not mutation:
            self.counts["valid kept"] += 1
            fault = fault or ("invalid" if outcome.code else "")
        self.counts[fault or ("succeeded" if outcome.code == 0 else "refused")] += 1
        if not fault:
            return None
        line = f"{name}: {mutation or 'valid'}: {fault}, code {outcome.code}\n{outcome.told}"
        self.failures.append(line)
        return line


def run_area(area: Area, seed: int, cases: int, only: int | None = None, show: bool = False) -> Tally:
    """Carry out the cases of an area, or one of them."""
    place = Path(tempfile.mkdtemp(prefix=f"fuzz-{area.name.replace(' ', '-')}-"))
    tally = Tally()
    try:
        base = place / "base"
        base.mkdir()
        prepared = carry_out(lambda folder: Case("", lambda: area.prepare(base)), place / "preparing")[1]
        if prepared.fault or prepared.code:
            raise RuntimeError(f"{area.name}: its inputs cannot be made: {prepared.told}")
        for number in range(cases) if only is None else [only]:
            draw = random.Random(f"{seed} {area.name} {number}")
            mutation, outcome = carry_out(
                lambda folder, draw=draw, number=number: area.make(draw, base, folder, number % VALID_EVERY == 0),
                place / f"case-{number}",
            )
            line = tally.add(f"{area.name} #{number}", mutation, outcome)
            if line is not None:
                sys.stderr.write(f"{line}\n\n")
            if show:
                sys.stderr.write(f"{area.name} #{number}: {mutation!r}: {outcome.code} {outcome.told[:300]!r}\n")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """Return the tallies as Markdown, with a row for all."""
    whole = Tally()
    for tally in tallies.values():
        whole.counts += tally.counts
        whole.peak = max(whole.peak, tally.peak)
    lines = [f"| area | {' | '.join(COLUMNS)} | most memory, MiB |", f"|---|{'---:|' * (len(COLUMNS) + 1)}"]
    for name, tally in {**tallies, "**all**": whole}.items():
        cells = [str(tally.counts[column]) for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(cells)} | {tally.peak / 2**20:.0f} |")
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> int:
    """Run the cases and print the table; 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the cases of every area")
    parser.add_argument("--only", nargs="*", default=None, help="areas")
    parser.add_argument("--case", type=int, default=None, help="one case of an area, by its number")
    parser.add_argument("--show", action="store_true", help="tell every case")
    options = parser.parse_args(args)
    os.chdir(ROOT)
    torch.set_num_threads(1)
    tallies = {}
    for area in AREAS:
        if options.only is None or area.name in options.only:
            cases = max(round(area.cases * options.share), 1)
            tallies[area.name] = run_area(area, options.seed, cases, options.case, options.show)
            sys.stderr.write(f"{area.name}: {dict(tallies[area.name].counts)}\n")
    print(table(tallies))
    return int(any(tally.failures for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
