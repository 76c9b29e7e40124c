"""A pool of worker processes that never outlive the process that started them."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from modest.errors import InputError

Item = TypeVar("Item")

_function: Callable[[Any], Any]  # of a worker process, set by `_initialise`


def each(function: Callable[[Item], Any], items: Iterable[Item], count: int) -> Iterator[Item]:
    """Call a function with each item, in parallel, and yield the items as they are done.

    Workers exit when this process closes its end of a pipe. The operating system closes it too,
    however this process ends.

    Args:
      function: called in the workers; must be picklable, as must the items. Each worker gets one
        copy, which may keep something between its calls.
      items: the arguments of the calls.
      count: number of worker processes; with 1 the calls are made in this process.

    Raises:
      InputError: a worker was killed.
    """
    if count == 1:
        for item in items:
            function(item)
            yield item
        return
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        count, mp_context=context, initializer=_initialise, initargs=(reader, function)
    )
    try:
        # Ctrl-C and the end of a terminal reach all its processes. They are left to this one; a
        # worker inherits that they are blocked, from its first instruction on.
        with _blocked(signal.SIGINT, signal.SIGHUP):
            futures = {pool.submit(_call, item): item for item in items}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenProcessPool:
        raise InputError(
            "a worker process was killed, perhaps because memory ran out; "
            "rerun the command to resume (fewer workers need less memory)"
        ) from None
    except BaseException:
        writer.close()  # stops the workers at once
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        writer.close()
        reader.close()


@contextlib.contextmanager
def _blocked(*numbers: signal.Signals) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(item: Any) -> None:
    _function(item)


def _initialise(
    reader: multiprocessing.connection.Connection, function: Callable[[Any], Any]
) -> None:
    """Prepare a worker: keep the function to call; exit when the other end of the pipe closes."""
    global _function
    _function = function
    warnings.filterwarnings("ignore", module="PIL")  # as in the parent, see commands/process.py

    def exit_with_parent() -> None:
        multiprocessing.connection.wait([reader])
        os._exit(1)

    threading.Thread(target=exit_with_parent, daemon=True).start()
