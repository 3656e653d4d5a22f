"""Stopping in order, when a signal asks for it.

A signal is an exception on the main thread, which acknowledges what is durable and leaves. Where that thread hangs, a
watchdog ends the process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

GRACE = 5.0
"""Seconds from a signal to the end, whatever hangs. Docker kills ten after it has asked."""


class Stopped(BaseException):
    """The platform, or somebody at the keyboard, asked the process to stop. No error, so that nothing tries again."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = signal.Signals(number)


def listen_to_signals() -> None:
    """Let a signal end the process in order, and after `GRACE` seconds in any case.

    Python's handlers wait for the main thread, which may hang, or hold signals back. The number of a signal is in the
    pipe at once.
    """
    numbers, arriving = os.pipe()
    os.set_blocking(arriving, False)
    signal.set_wakeup_fd(arriving, warn_on_full_buffer=False)
    threading.Thread(target=_end_after_grace, args=(numbers,), name="watchdog", daemon=True).start()
    _handle_signals(_stop)


def leave_at_once() -> None:
    """From now on a signal ends the process: everything is done, and what Milvus Lite still flushes is in its log."""
    _handle_signals(_leave)


def _handle_signals(handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> None:
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell asks for, of what runs in the background
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    """The first signal; no further one may disturb the end."""
    _handle_signals(signal.SIG_IGN)
    raise Stopped(number)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)


def _end_after_grace(numbers: int) -> None:
    (number,) = os.read(numbers, 1)
    time.sleep(GRACE)
    os._exit(128 + number)


@contextmanager
def signals_held() -> Iterator[None]:
    """What this thread does here is not interrupted: half a line would make the next one unreadable."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
