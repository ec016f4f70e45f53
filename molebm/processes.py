"""Worker processes: one thread each, quiet on an interrupt, and gone when the process that started them is."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait

import torch


def process_pool(n_processes: int) -> ProcessPoolExecutor:
    """Make a pool whose workers do not outlive this process, even if it is killed."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(n_processes, mp_context=spawn, initializer=_begin)


def _begin() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends it without a traceback
    threading.Thread(target=_end_with_parent, daemon=True).start()


def begin_worker() -> None:
    """Make this process a worker: one thread, and no end but with its parent or by its hand.

    What is sent to a whole group of processes, by a terminal or by a cluster, is for the parent to heed: a
    worker that went first would look as though its molecule had killed it.
    """
    torch.set_num_threads(1)
    for one in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(one, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
