"""The same work on several cores: forked processes that share the data, and results in the order of the items."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TypeVar

from t2t.errors import RunError

T = TypeVar("T")
R = TypeVar("R")

_DEATH_SIGNAL = 1

_work: Callable[[Any], Any] | None = None
"""In a worker: what it does."""


@contextmanager
def open_workers(work: Callable[[T], R], count: int, *, forks: bool) -> Generator[Callable[[Iterable[T]], Iterator[R]]]:
    """Give a `map` that runs `work` in `count` processes, forked now, so that what is loaded is shared.

    Args:
        work: Any function; items and results travel between processes, so they must pickle.
        count: Processes; 0 is one per usable core, 1 works here.
        forks: False works here whatever `count` says.
    """
    count = count or len(os.sched_getaffinity(0))
    if count == 1 or not forks:
        yield lambda items: map(work, items)
        return
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(work, os.getpid()))
    with _leaving_at_once():
        try:
            yield lambda items: _map(pool, items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _leaving_at_once() -> Generator[None]:
    """End without ceremony when told to: an exception amid the pool's locks would leave this process waiting for ever.

    The kernel ends the workers, and whoever starts the stage again makes its files anew.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        os._exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _map(pool: ProcessPoolExecutor, items: Iterable[Any]) -> Iterator[Any]:
    futures: list[Future[Any]] = []
    try:
        futures += [pool.submit(_call, item) for item in items]
        for future in futures:
            yield future.result()
    except BrokenProcessPool:
        raise RunError(
            "a worker process was ended from outside (out of memory?); the same command starts again"
        ) from None
    finally:
        for future in futures:
            future.cancel()


def _begin(work: Callable[[Any], Any], parent: int) -> None:
    """In a worker: end with the parent, however it ends, and leave Ctrl-C to it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _call(item: Any) -> Any:
    if _work is None:
        raise RuntimeError("a worker without work")
    return _work(item)
