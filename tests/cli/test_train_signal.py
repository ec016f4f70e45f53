"""`molebm train` heeds the signal of a cluster between two updates, with a checkpoint."""

import os
import signal
import sys

import pytest

from molebm.cli.interruption import Terminated, noted_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def terminated_in_a_block() -> list[bool]:
    """Whether the signal was noted, before it came and after."""
    noted = []
    with noted_signals() as asked_to_stop:
        noted.append(asked_to_stop())
        os.kill(os.getpid(), signal.SIGTERM)
        noted.append(asked_to_stop())
        assert noted == [False, True]
    return noted


def test_signal_is_noted_and_raised_at_the_end():
    with pytest.raises(Terminated) as error:
        terminated_in_a_block()
    assert error.value.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_signal_that_somebody_else_handles_is_theirs():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with noted_signals() as asked_to_stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not asked_to_stop()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
