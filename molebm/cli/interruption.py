"""The signals by which a cluster or a terminal ends a job, as an exception: what is done can then be kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than that of the keyboard."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number  # as shells have it


@contextmanager
def terminated_by_signals() -> Iterator[Callable[[], None]]:
    """Raise Terminated wherever the block is when SIGTERM or SIGHUP comes, and leave a SIGHUP that nohup ignores.

    Gives a function to call now and then, which raises it again should it have come where Python lets
    exceptions go unheeded.
    """
    received: list[int] = []

    def stop(signal_number: int, frame: FrameType | None) -> None:
        received.append(signal_number)
        raise Terminated(signal_number)

    def check() -> None:
        if received:
            raise Terminated(received[0])

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
        numbers = []
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is signal.SIG_DFL:
            signal.signal(number, stop)
    try:
        yield check
    finally:
        for number in numbers:
            if before[number] is signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def noted_signals() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM where `terminated_by_signals` raises it, for what must come to a good place before it ends.

    Gives a function that says whether it has come. When the block ends, it is raised.
    """
    received: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    is_ours = before is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    if is_ours:
        signal.signal(signal.SIGTERM, lambda signal_number, frame: received.append(signal_number))
    try:
        yield lambda: bool(received)
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if received:
        raise Terminated(received[0])
