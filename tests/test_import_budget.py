"""Geometry, models, losses and metrics run where the heavy packages are absent: what a training box needs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("lightning", "pytorch_lightning", "open3d", "mujoco", "av", "jsonargparse")
LIGHT_MODULES = "mvt4g.models.backbones, mvt4g.losses.track, mvt4g.metrics.tracks.pck, mvt4g.inference"

BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run_python(program: str) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own: there is no jaxtyping hook there, and nothing is imported yet."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def packages_loaded_by(statement: str) -> set[str]:
    """Return the top-level packages in memory after a statement."""
    finished = run_python(f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})")
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.split())


def test_models_losses_and_metrics_load_no_heavy_package():
    assert packages_loaded_by(f"import {LIGHT_MODULES}").isdisjoint(HEAVY)


def test_the_look_at_loaded_packages_sees_a_heavy_one():
    assert "av" in packages_loaded_by("import mvt4g.formats.video")


def test_models_losses_and_metrics_work_where_heavy_packages_are_absent():
    finished = run_python(BLOCK.format(blocked=HEAVY) + f"import {LIGHT_MODULES}")
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("package", HEAVY)
def test_the_block_makes_a_package_absent(package):
    finished = run_python(BLOCK.format(blocked=HEAVY) + f"import {package}")
    assert f"ModuleNotFoundError: No module named '{package}'" in finished.stderr


@pytest.mark.parametrize(
    "module",
    [
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
    ],
)
def test_functional_metrics_do_not_pay_for_torchmetrics(module):
    assert packages_loaded_by(f"import mvt4g.metrics.functional.{module}").isdisjoint({*HEAVY, "torchmetrics"})


@pytest.mark.parametrize("module", ["mvt4g.formats.clip_cache", "mvt4g.data.latent_clips"])
def test_a_cached_clip_is_read_without_what_made_it(module):
    finished = run_python(BLOCK.format(blocked=(*HEAVY, "diffusers", "transformers")) + f"import {module}")
    assert finished.returncode == 0, finished.stderr


def test_inference_does_not_pay_for_torchmetrics_or_networks():
    loaded = packages_loaded_by("import mvt4g.inference")
    assert loaded.isdisjoint({*HEAVY, "torchmetrics", "torchvision", "timm", "diffusers", "transformers", "matplotlib"})


@pytest.mark.parametrize("words", ["--help", "--version", "fit --help", "predict --help", "write-clips --help", "fti"])
def test_the_command_line_answers_without_torch(words):
    """``fti`` is a misspelt command, whose answer may load the parser."""
    quiet = "import contextlib, io\nfrom mvt4g.cli import main\nwith contextlib.redirect_stdout(io.StringIO()):"
    loaded = packages_loaded_by(f"{quiet} main({words.split()!r})")
    assert "mvt4g" in loaded
    assert loaded.isdisjoint({*HEAVY, "torch", "numpy"} if words != "fti" else {"open3d", "mujoco", "av"})
