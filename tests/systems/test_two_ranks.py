"""Two ranks over gloo, with DDP, with FSDP2 and with shared tokens, do what one process does on the same clips."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from tests.systems.two_ranks import STEPS, BothRanks, batches, build, fit, state

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
ROOT = Path(__file__).parents[2]
QUICK = ("fsdp", "tokens")
"""Strategies of the fast suite; one pair of processes tries both, since their imports take longer than the fits."""


class Pair(NamedTuple):
    """What two ranks found, the folder of their checkpoint, and what one process finds on all their clips."""

    found: dict[str, Any]
    out: Path
    one: Callable[..., Any]
    one_process: dict[str, Any]


def one_process(strategy):
    """Return the fit by one process that does what two ranks do."""
    return fit_first if strategy == "tokens" else fit_both


def fit_both(first_step=0, **options):
    data = list(zip(batches(0), batches(1), strict=True))[first_step:]
    return fit(build(BothRanks), data, **options)


def fit_first(first_step=0, **options):
    return fit(build(), batches(0)[first_step:], **options)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    """Return a call that fits by two ranks and returns the folder of what they found."""
    out = tmp_path_factory.mktemp("ranks")

    def fitted(strategy: str) -> Path:
        if not (out / strategy).exists():
            together = QUICK if strategy in QUICK else (strategy,)
            for each in together:
                (out / each).mkdir()
                one_process(each)(steps=STEPS - 1)[1].save_checkpoint(out / each / "one.ckpt")
            command = [sys.executable, "-W", "ignore", "-m", "tests.systems.two_ranks", out, *together]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
            assert done.returncode == 0, done.stderr
        return out / strategy

    return fitted


@pytest.fixture(scope="module", params=[pytest.param("ddp", marks=pytest.mark.slow), *QUICK])
def pair(request, two_ranks):
    out, one = two_ranks(request.param), one_process(request.param)
    return Pair(torch.load(out / "two.pt", weights_only=True), out, one, state(*one()))


def difference(found, wanted):
    """Return the norm of the difference of two dicts of tensors over that of the second."""
    assert found.keys() == wanted.keys()
    one, other = (torch.cat([values[name].flatten() for name in wanted]) for values in (found, wanted))
    return ((one - other).norm() / other.norm()).item()


def test_losses_and_gradients(pair):
    found = pair.found["through"]
    assert found["losses"] == pytest.approx(pair.one_process["losses"], rel=1e-5)
    for name, wanted in pair.one_process["gradients"].items():
        assert difference({name: found["gradients"][name]}, {name: wanted}) < 1e-5, name
    half = state(*fit(build(), batches(1), steps=1))
    assert difference(half["gradients"], pair.one_process["gradients"]) > 0.1, (
        "negative control: one rank's clips alone"
    )


def test_weights_and_average(pair):
    found, start = pair.found["through"], dict(build().named_parameters())
    for part in ("weights", "average"):
        assert difference(found[part], pair.one_process[part]) < 1e-5
        before = {name: start[name].detach() for name in found[part]}
        assert difference(before, pair.one_process[part]) > 1e-2, "negative control: training changes them"


def test_a_sample_is_that_of_one_process(pair):
    found, wanted = pair.found["through"]["sampled"], pair.one_process["sampled"]
    assert difference({"": found}, {"": wanted}) < 1e-4
    assert difference({"": pair.found["short"]["sampled"]}, {"": wanted}) > 1e-2, "negative control: a step less shows"


def test_redirector_shares_its_tokens_too(pair):
    if "redirector" not in pair.found:
        pytest.skip("one strategy is enough")
    found, wanted = pair.found["redirector"], state(*fit(build(redirector=True), batches(0)))
    assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
    for name in wanted["gradients"]:
        assert difference(*({name: fitted["gradients"][name]} for fitted in (found, wanted))) < 1e-5, name
    phases = [value for name, value in wanted["gradients"].items() if "rope_phase" in name]
    assert len(phases) == 4
    assert min(value.abs().max() for value in phases) > 1e-6, "or they would agree whatever is done"
    assert difference(found["weights"], wanted["weights"]) < 1e-5
    assert difference({"": found["sampled"]}, {"": wanted["sampled"]}) < 1e-4
    assert found["tokens"] / wanted["tokens"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "tokens"])
def test_compiled_blocks_equal_written_ones(strategy, tmp_path):
    """Two ranks whose blocks are compiled, against one process that runs them as written."""
    name = f"{strategy}-compiled"
    (tmp_path / name).mkdir()
    command = [sys.executable, "-W", "ignore", "-m", "tests.systems.two_ranks", tmp_path, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / name / "two.pt", weights_only=True)
    wanted = state(*one_process(strategy)())
    assert found["graphs"] > 0
    assert found["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
    for part in ("gradients", "weights", "average"):
        assert difference(found[part], wanted[part]) < 1e-4, part
    assert difference({"": found["sampled"]}, {"": wanted["sampled"]}) < 1e-3
    held = [one / all_of_it for one, all_of_it in zip(found["held"], wanted["held"], strict=True)]
    assert held == pytest.approx([1, 1] if strategy == "ddp" else [0.5, 0.5], abs=0.02), "slices as without compile"


def test_who_holds_and_computes_what(pair):
    ours, everything = pair.found["through"], pair.one_process
    held = [one / all_of_it for one, all_of_it in zip(ours["held"], everything["held"], strict=True)]
    assert held == pytest.approx([1, 1] if "ddp" in pair.out.name else [0.5, 0.5], abs=0.02)
    assert ours["tokens"] / everything["tokens"] == (0.5 if "tokens" in pair.out.name else 1)


def test_a_resumed_fit_ends_as_one_that_ran_through(pair):
    found = pair.found
    assert found["resumed"]["losses"] == found["through"]["losses"][-1:]
    for part in ("weights", "average"):
        for name, wanted in found["through"][part].items():
            assert torch.equal(found["resumed"][part][name], wanted), name
    assert difference(found["short"]["weights"], found["through"]["weights"]) > 1e-3, "negative control: steps differ"


def test_the_checkpoint_of_two_ranks_serves_one(pair):
    found, out = pair.found, pair.out
    file = torch.load(out / "short.ckpt", weights_only=True)
    for name, wanted in found["short"]["weights"].items():
        assert torch.equal(file["state_dict"][name], wanted), name
    for name, wanted in found["short"]["average"].items():
        assert torch.equal(file["callbacks"]["EMA"]["average"][name], wanted), name
    resumed = state(*pair.one(first_step=STEPS - 1, ckpt_path=out / "short.ckpt"))
    assert resumed["losses"] == pytest.approx(pair.one_process["losses"][-1:], rel=1e-5)
    for part in ("weights", "average"):
        assert difference(resumed[part], pair.one_process[part]) < 1e-5


def test_the_checkpoint_of_one_serves_two_ranks(pair):
    found = pair.found
    assert found["from_one"]["losses"] == pytest.approx(found["through"]["losses"][-1:], rel=1e-5)
    for part in ("weights", "average"):
        assert difference(found["from_one"][part], found["through"][part]) < 1e-5
