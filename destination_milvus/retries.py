"""The one place where something is tried again: requests to an embedding service, and calls to Milvus.

What failed in a way that passes raises `RetryLater`; every other error ends the attempts.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import stamina
from stamina.instrumentation import set_on_retry_hooks

from destination_milvus.errors import DestinationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stamina.instrumentation import RetryDetails

logger = logging.getLogger("airbyte")

T = TypeVar("T")


class RetryLater(TransientError):
    """The same call may succeed a moment later."""

    def __init__(self, message: str, *, wait: float | None = None, attempts: int | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        """Seconds that the service asked for; None leaves it to the back-off."""
        self.attempts = attempts
        """Most times to try; None for as often as the deadline allows."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How long to wait for a service, and how long to keep trying; all in seconds."""

    deadline: float = 900.0
    """From the first attempt; long enough for most outages. A service that asks for a longer pause than is left is not
    waited for."""
    first_wait: float = 0.25
    """Before the second attempt, with as much again at random; doubled at every further one."""
    longest_wait: float = 60.0
    request_timeout: float = 120.0
    """For the largest requests on a busy day. Nothing is streamed: the answer comes at the end."""
    connect_timeout: float = 10.0
    """For each address of the service's name."""

    @classmethod
    def within(cls, deadline: float) -> Retries:
        """Those of a sync for its deadline; for a shorter one all is shorter, so that the end does not lag behind."""
        most = cls()
        return cls(
            deadline,
            longest_wait=min(most.longest_wait, deadline / 5),
            request_timeout=min(most.request_timeout, deadline),
            connect_timeout=min(most.connect_timeout, deadline / 2),
        )


def with_retries(call: Callable[[], T], retries: Retries, again: Callable[[], None] = lambda: None) -> T:
    """The result of `call`, made again while it raises RetryLater; `again` is called before every repetition.

    Raises:
        TransientError: the deadline passed, or the failure is one that further attempts do not mend.
    """
    patience = _Patience(retries)
    schedule = stamina.retry_context(
        on=patience.next_wait,
        attempts=None,
        timeout=retries.deadline,
        wait_initial=retries.first_wait,
        wait_jitter=retries.first_wait,
        wait_max=retries.longest_wait,
    )
    try:
        for attempt in schedule:
            with attempt:
                if attempt.num > 1:
                    again()
                return call()
    except RetryLater as error:
        raise TransientError(f"{error.marked} {patience.summary()}") from error
    raise AssertionError("stamina ends with a result or an exception")


class _Patience:
    """Decides whether one call is made again, and when."""

    __slots__ = ("_asked_for", "_failures", "_retries", "_started")

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._started = time.monotonic()
        self._failures = 0
        self._asked_for: float | None = None

    def next_wait(self, error: Exception) -> bool | float:
        """False to give up, True for the back-off, or the seconds that the service asked for."""
        if not isinstance(error, RetryLater):
            return False
        self._failures += 1
        if error.attempts is not None and self._failures >= error.attempts:
            return False
        if not error.wait:  # asked again at once, an overloaded service would only be loaded more
            return True
        self._asked_for = error.wait
        left = self._retries.deadline - (time.monotonic() - self._started)
        return error.wait if error.wait <= left else False

    def summary(self) -> str:
        """What was tried, as a sentence."""
        attempts = "attempt" if self._failures == 1 else "attempts"
        seconds = time.monotonic() - self._started
        text = f"Gave up after {self._failures} {attempts} in {seconds:.0f} s"
        if self._asked_for is not None and self._asked_for > self._retries.deadline - seconds:
            return f"{text}: it asks to wait {self._asked_for:.0f} s."
        return f"{text}; run the sync again later."


def tell_retries() -> None:
    """Let the log say from now on why things stand still."""
    set_on_retry_hooks([_log_retry])


def _log_retry(details: RetryDetails) -> None:
    cause = details.caused_by
    reason = cause.message if isinstance(cause, DestinationError) else type(cause).__name__
    logger.warning("%s Trying again in %.1f s (attempt %d).", reason, details.wait_for, details.retry_num + 1)
