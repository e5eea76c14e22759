"""Geometry, models, losses and metrics run where the heavy packages are absent: what a training box needs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("lightning", "pytorch_lightning", "open3d", "mujoco", "av", "jsonargparse")
MADE_CLIPS = ("diffusers", "transformers")
"""What makes latents, and is not needed to read them."""
FUNCTIONAL = (
    "attention",
    "attention_correspondence",
    "camera",
    "consistency",
    "frames",
    "frechet",
    "masked",
    "motion",
    "preprocessing",
    "relative_pose",
    "synchronisation",
    "temporal_consistency",
    "tracks",
    "tracks_3d",
)
MAY_NOT_LOAD = {
    **{f"mvt4g.metrics.functional.{name}": {*HEAVY, "torchmetrics"} for name in FUNCTIONAL},
    "mvt4g.formats.clip_cache": {*HEAVY, *MADE_CLIPS},
    "mvt4g.data.latent_clips": {*HEAVY, *MADE_CLIPS},
    "mvt4g.inference": {*HEAVY, *MADE_CLIPS, "torchmetrics", "torchvision", "timm", "matplotlib"},
    "mvt4g.models.backbones": {*HEAVY},
    "mvt4g.losses.track": {*HEAVY},
    "mvt4g.metrics.tracks.pck": {*HEAVY},
}
"""Modules in the order in which one process imports them, and packages that none of them, nor one before, may load.

Torchmetrics comes last, since it imports transformers where that is installed.
"""
NEEDS_AV = "mvt4g.formats.video"

IMPORTS = """
import importlib, json, sys

asked = set()

class Absent:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package in blocked:
            asked.add(package)
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
told = {{}}
for module, blocked in {modules!r}.items():
    try:
        importlib.import_module(module)
        failed = ""
    except ModuleNotFoundError as error:
        failed = str(error)
    loaded = {{name.partition(".")[0] for name in sys.modules}}
    told[module] = {{"failed": failed, "wanted": sorted(loaded | asked)}}
print(json.dumps(told))
"""


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own: there is no jaxtyping hook there, and nothing is imported yet."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def packages_loaded_by(statement: str) -> set[str]:
    """Return the top-level packages in memory after a statement."""
    finished = run_python(f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})")
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.split())


@pytest.fixture(scope="module")
def imports() -> dict[str, dict[str, Any]]:
    """Return why each module cannot be imported where the heavy packages are absent, and what was wanted so far.

    One process imports all of them, since torch alone takes it seconds.
    """
    modules = {**MAY_NOT_LOAD, **{module: {*HEAVY} for module in (*HEAVY, NEEDS_AV)}}
    finished = run_python(IMPORTS.format(modules=modules))
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


@pytest.mark.parametrize("module", MAY_NOT_LOAD)
def test_it_works_where_heavy_packages_are_absent_and_asks_for_none(imports, module):
    assert imports[module]["failed"] == ""
    assert MAY_NOT_LOAD[module].isdisjoint(imports[module]["wanted"])


@pytest.mark.parametrize("package", HEAVY)
def test_the_block_makes_a_package_absent_and_sees_that_it_was_wanted(imports, package):
    assert imports[package]["failed"] == f"No module named '{package}'"
    assert package in imports[package]["wanted"]


def test_a_module_that_needs_a_heavy_package_is_seen(imports):
    assert imports[NEEDS_AV]["failed"] == "No module named 'av'"


def test_a_package_that_is_there_is_seen_to_be_loaded(imports):
    assert {"torch", "torchmetrics"} <= {*imports["mvt4g.metrics.tracks.pck"]["wanted"]}


@pytest.mark.parametrize("words", ["--help", "--version", "fit --help", "predict --help", "write-clips --help", "fti"])
def test_the_command_line_answers_without_torch(words):
    """``fti`` is a misspelt command, whose answer may load the parser."""
    quiet = "import contextlib, io\nfrom mvt4g.cli import main\nwith contextlib.redirect_stdout(io.StringIO()):"
    loaded = packages_loaded_by(f"{quiet} main({words.split()!r})")
    assert "mvt4g" in loaded
    assert loaded.isdisjoint({*HEAVY, "torch", "numpy"} if words != "fti" else {"open3d", "mujoco", "av"})
