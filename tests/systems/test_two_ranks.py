"""Two ranks over gloo, with DDP and with FSDP2, do what one process does on the same global batch."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.systems.two_ranks import STEPS, BothRanks, batches, build, fit, state

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def one_process():
    return of_one_process()


def of_one_process(first_step=0, **options):
    return state(*fit_one(first_step, **options))


def fit_one(first_step=0, **options):
    data = list(zip(batches(0), batches(1), strict=True))[first_step:]
    return fit(build(BothRanks), data, **options)


@pytest.fixture(scope="module", params=[pytest.param("ddp", marks=pytest.mark.slow), "fsdp"])
def two_ranks(request, tmp_path_factory):
    """Return what two processes found, and the folder of their checkpoint."""
    out = tmp_path_factory.mktemp(request.param)
    fit_one(steps=STEPS - 1)[1].save_checkpoint(out / "one.ckpt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.systems.two_ranks", request.param, str(rank), port, out],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    return torch.load(out / "two.pt", weights_only=True), out


def difference(found, wanted):
    """Return the norm of the difference of two dicts of tensors over that of the second."""
    assert found.keys() == wanted.keys()
    one, other = (torch.cat([values[name].flatten() for name in wanted]) for values in (found, wanted))
    return ((one - other).norm() / other.norm()).item()


def test_losses_and_gradients(two_ranks, one_process):
    found = two_ranks[0]["through"]
    assert found["losses"] == pytest.approx(one_process["losses"], rel=1e-5)
    for name, wanted in one_process["gradients"].items():
        assert difference({name: found["gradients"][name]}, {name: wanted}) < 1e-5, name
    half = state(*fit(build(), batches(0), steps=1))
    assert difference(half["gradients"], one_process["gradients"]) > 0.1, "negative control: one rank's clips alone"


def test_weights_and_average(two_ranks, one_process):
    found, start = two_ranks[0]["through"], dict(build().named_parameters())
    for part in ("weights", "average"):
        assert difference(found[part], one_process[part]) < 1e-5
        before = {name: start[name].detach() for name in found[part]}
        assert difference(before, one_process[part]) > 1e-2, "negative control: training changes them"


def test_who_holds_what(two_ranks, one_process):
    found, out = two_ranks
    share = [ours / all_of_it for ours, all_of_it in zip(found["through"]["held"], one_process["held"], strict=True)]
    assert share == pytest.approx([0.5, 0.5] if "fsdp" in out.name else [1, 1], abs=0.02)


def test_a_resumed_fit_ends_as_one_that_ran_through(two_ranks):
    found = two_ranks[0]
    assert found["resumed"]["losses"] == found["through"]["losses"][-1:]
    for part in ("weights", "average"):
        for name, wanted in found["through"][part].items():
            assert torch.equal(found["resumed"][part][name], wanted), name
    assert difference(found["short"]["weights"], found["through"]["weights"]) > 1e-3, "negative control: steps differ"


def test_the_checkpoint_of_two_ranks_serves_one(two_ranks, one_process):
    found, out = two_ranks
    file = torch.load(out / "short.ckpt", weights_only=True)
    for name, wanted in found["short"]["weights"].items():
        assert torch.equal(file["state_dict"][name], wanted), name
    for name, wanted in found["short"]["average"].items():
        assert torch.equal(file["callbacks"]["EMA"]["average"][name], wanted), name
    resumed = of_one_process(first_step=STEPS - 1, ckpt_path=out / "short.ckpt")
    assert resumed["losses"] == pytest.approx(one_process["losses"][-1:], rel=1e-5)
    for part in ("weights", "average"):
        assert difference(resumed[part], one_process[part]) < 1e-5


def test_the_checkpoint_of_one_serves_two_ranks(two_ranks):
    found = two_ranks[0]
    assert found["from_one"]["losses"] == pytest.approx(found["through"]["losses"][-1:], rel=1e-5)
    for part in ("weights", "average"):
        assert difference(found["from_one"][part], found["through"][part]) < 1e-5
