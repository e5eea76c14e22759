"""A loader's worker leaves signals to its parent, who can still end it."""

import signal
import subprocess

import pytest
from torch.utils.data import DataLoader

from mvt4g.data.loading import LoaderSpec
from mvt4g.data.worker_signals import _say_unless_parent_left


def batches_of(spec: LoaderSpec) -> tuple[object, list[int]]:
    """Return a loader's iterator that has given its first batch, and that batch."""
    iterator = iter(DataLoader(list(range(6)), batch_size=2, **spec.worker_options()))
    return iterator, next(iterator).tolist()


def send_from_another_process(signum: int, pid: int) -> None:
    subprocess.run(["kill", f"-{signum}", str(pid)], check=True)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_leaves_others_signals_to_its_parent(signum):
    iterator, first = batches_of(LoaderSpec(num_workers=1, prefetch_factor=1, persistent_workers=False))
    (worker,) = iterator._workers
    send_from_another_process(signum, worker.pid)
    assert [first, *(batch.tolist() for batch in iterator)] == [[0, 1], [2, 3], [4, 5]]


def test_its_parent_ends_it():
    iterator, _ = batches_of(LoaderSpec(num_workers=1, prefetch_factor=1))
    (worker,) = iterator._workers
    worker.terminate()
    worker.join(30)
    assert worker.exitcode == 0


@pytest.mark.parametrize(
    ("error", "is_said"), [(ConnectionResetError(104, "reset"), False), (EOFError(), False), (ValueError("odd"), True)]
)
def test_a_parent_that_ended_is_no_traceback(error, is_said, capsys):
    _say_unless_parent_left(type(error), error, None)
    assert bool(capsys.readouterr().err) == is_said
