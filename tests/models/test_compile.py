"""Compiled blocks compute what they do as written: outputs, taps, gradients; one graph serves all, made once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mvt4g.models import video_dit
from mvt4g.models.video_dit import VideoDiT, VideoDiTConfig
from mvt4g.types import InputError

ROOT = Path(__file__).parents[2]
CASES = ("plain", "checkpointing", "lora", "bf16", "redirector", "epipolar_map", "epipolar_lines")
ROUNDING = {"bf16": 0.03}
"""Largest relative difference, where it is not that of fp32."""


def found_by(backend, *cases):
    """Examine cases in a process of their own: the jaxtyping hook breaks torch.compile."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.models.compiled_cases", backend, *cases]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def check(found, bound):
    assert found["same_names"]
    assert found["compared"] > 100
    assert found["difference"] < bound, found["worst"]
    assert found["changed"] > 2 * bound, "negative control: weights are no constants of a graph"
    assert found["keys_match"]
    assert found["breaks"] == 0
    first, *later = found["graphs"]
    assert later == [first, first], "nothing is compiled after the first step"


@pytest.fixture(scope="module")
def traced():
    """What every case gives by the backend that traces and differentiates as the real one, and makes no code."""
    return found_by("aot_eager", *CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_compiled_backbone_equals_the_written_one(traced, case):
    check(traced[case], ROUNDING.get(case, 5e-4))


@pytest.mark.slow
def test_one_graph_serves_all_blocks_of_a_kind(traced):
    """Training and sampling: all blocks but the last, the last, which goes on with half the tokens; and a tap alone."""
    assert traced["plain"]["graphs"][0] == 5


@pytest.mark.slow
def test_generated_code_equals_the_written_one():
    found = found_by("inductor", "lora")["lora"]
    check(found, 5e-4)
    # A training step, a tap alone and a sample: 4 blocks of 10 Linears twice, and the first two blocks, at least.
    assert found["by_onednn"] >= 80


@pytest.mark.slow
def test_linears_change_hands_on_processors_of_amd_alone(tmp_path, monkeypatch):
    from mvt4g.models import onednn_linear  # here, since it loads Inductor

    for name, want in (("AuthenticAMD", True), ("GenuineIntel", False)):
        told = tmp_path / name
        told.write_text(f"vendor_id : {name}\n")
        monkeypatch.setattr(onednn_linear, "_PROCESSOR", told)
        assert onednn_linear.onednn_is_faster() is want
    monkeypatch.setattr(onednn_linear, "_PROCESSOR", tmp_path / "none")
    assert not onednn_linear.onednn_is_faster()


def test_no_compiler_is_told_before_anything_is_built(monkeypatch):
    monkeypatch.setenv("CXX", "g++-of-nowhere")
    with pytest.raises(
        InputError, match=r"^dit.compile: got blocks and no C\+\+ compiler 'g\+\+-of-nowhere', want one on PATH"
    ):
        VideoDiT(VideoDiTConfig(compile="blocks"))
    VideoDiT(VideoDiTConfig(num_layers=1))


def test_a_compiled_model_has_the_names_of_a_written_one(monkeypatch):
    monkeypatch.setattr(video_dit, "check_compiler", lambda option: None)
    names = []
    for way in ("none", "blocks"):
        names.append(list(VideoDiT(VideoDiTConfig(num_layers=1, compile=way)).state_dict()))
    assert names[0] == names[1]
