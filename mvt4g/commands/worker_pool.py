"""One function over many tasks in processes of one thread each, which die with the process that started them."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.context import BaseContext
from types import FrameType, ModuleType
from typing import TypeVar

from mvt4g.types import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_TERMINATED = 143


class _Terminated(BaseException):
    """SIGTERM in the middle of a task: what the task has half-written is removed on the way out."""


def run_in_processes(
    work: Callable[[Task], Result], tasks: Sequence[Task], workers: int, modules: Sequence[str] = ()
) -> Iterator[tuple[Task, Result]]:
    """Yield tasks and what ``work`` made of them, in the order in which they are done.

    Args:
        work: A module's function; it and the tasks are pickled.
        tasks: One a call.
        workers: Processes; 0 works in this one, in order.
        modules: What ``work`` imports as it runs, loaded once for all processes.

    Raises:
        InputError: The first that a worker raised, or if a worker was killed. Tasks that have not begun are dropped,
            those that have are waited for.
    """
    if workers == 0:
        for task in tasks:
            yield task, work(task)
        return
    context = _context([work.__module__, *modules])
    pool = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        with _one_thread_in_children(), _small_children(), _no_sigterm():  # they are started as tasks are submitted
            futures: dict[Future[Result], Task] = {pool.submit(_do, work, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
            futures.pop(future)  # or results pile up
    except BrokenProcessPool as error:
        raise InputError(f"workers: got {workers}, of which one was killed (out of memory?), want fewer") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _context(modules: Sequence[str]) -> BaseContext:
    """Return how processes are started: forked off one that has only loaded modules, so that they share its memory.

    Nothing has run there, so there is no thread of Open3D or torch that a fork would lose.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    multiprocessing.set_forkserver_preload(list(modules))
    return multiprocessing.get_context("forkserver")


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, end in good order by SIGTERM, and follow it when it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_between_tasks)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _do(work: Callable[[Task], Result], task: Task) -> Result:
    """Do one task; SIGTERM in the middle of it ends this process once the task has cleaned up."""
    try:
        signal.signal(signal.SIGTERM, _end_task)
        return work(task)
    except _Terminated:
        os._exit(_TERMINATED)
    finally:
        signal.signal(signal.SIGTERM, _end_between_tasks)


def _end_between_tasks(signum: int, frame: FrameType | None) -> None:
    os._exit(_TERMINATED)


def _end_task(signum: int, frame: FrameType | None) -> None:
    # What cleans up is not interrupted again.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Terminated


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _one_thread_in_children() -> Iterator[None]:
    """Set what numeric libraries read when they are loaded, so that ``workers`` processes keep so many cores busy."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_sigterm() -> Iterator[None]:
    """Let no SIGTERM reach processes that are started now, until they ask for it as ``_begin`` does.

    The process that the others are forked off never asks: if it ended, nobody would wait for what these clean up.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _small_children() -> Iterator[None]:
    """Hide the main module: a spawned process would load it, and with it the command line, Lightning and all."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
