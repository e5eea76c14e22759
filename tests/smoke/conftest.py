"""The command line as its users call it, in this process, from the repository root."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mvt4g.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mvt4g(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["mvt4g"])

    def run(*args: str | Path) -> int:
        return main([str(arg) for arg in args])

    return run


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished debug fit, made once."""
    run = tmp_path_factory.mktemp("runs") / "fit"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("sys.argv", ["mvt4g"])
        assert main(["fit", "-c", "configs/debug.yaml", "--run", str(run)]) == 0
    return run
