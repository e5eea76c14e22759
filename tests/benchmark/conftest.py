"""The command line as its users call it, in this process, from the repository root."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mvt4g.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def mvt4g() -> Callable[..., int]:
    """Return a call of the command line."""

    def run(*args: str | Path) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            patch.setattr("sys.argv", ["mvt4g"])
            return main([str(arg) for arg in args])

    return run
