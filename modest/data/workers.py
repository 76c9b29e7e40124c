"""A pool of processes that do not outlive the one that started them, however it ends."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from modest.vocabulary import InputError


def each(function, items, count):
    """Calls the function with each item, in processes if `count` is more than 1; yields an item when it is done.

    The workers live as long as this process holds the other end of a pipe, so that none outlives it, however it ends.
    """
    if count == 1:
        for item in items:
            function(item)
            yield item
        return
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_end_with, initargs=(reader,))
    try:
        futures = {pool.submit(function, item): item for item in items}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenProcessPool:
        raise InputError(
            "a worker was ended from outside, perhaps for want of memory; the same command goes on (fewer workers need less)"
        ) from None
    except BaseException:
        writer.close()  # the workers stop where they are
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        writer.close()
        reader.close()


def _end_with(reader):
    """In a worker: leave at once when the other end of the pipe is closed. Ctrl-C is the main process's to act on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait():
        multiprocessing.connection.wait([reader])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
