"""Signals: at once where nothing is to be saved, between two steps where a fit trains."""

import os
import signal

import pytest

from mvt4g.callbacks.signals import current_watch, watched_signals
from mvt4g.types import Interrupted

BOTH = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])


def send(signum) -> None:
    os.kill(os.getpid(), signum)


@BOTH
def test_at_once(signum):
    with watched_signals(), pytest.raises(Interrupted) as end:
        send(signum)
    assert end.value.signum == signum


@BOTH
def test_kept_for_a_step_boundary(signum):
    with watched_signals() as watch:
        assert current_watch() is watch
        watch.waiting = True
        send(signum)
        assert watch.received == signum
        with pytest.raises(Interrupted):
            watch.raise_if_received()


def test_a_second_ctrl_c_does_not_wait_and_a_second_sigterm_does():
    with watched_signals() as watch:
        watch.waiting = True
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        with pytest.raises(Interrupted) as end:
            send(signal.SIGINT)
    assert end.value.signum == signal.SIGINT


def test_handlers_come_back():
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    with watched_signals():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before
    assert current_watch().received is None


def test_a_forked_process_ignores_ctrl_c_and_dies_of_sigterm():
    with watched_signals():
        child = os.fork()
        if not child:
            send(signal.SIGINT)
            send(signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


@BOTH
def test_what_cleans_up_is_not_interrupted(signum):
    with watched_signals() as watch:
        with pytest.raises(Interrupted):
            send(signal.SIGTERM)
        send(signum)
        watch.waiting = True
        send(signum)
