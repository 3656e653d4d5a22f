"""Bad records that are skipped: the exception, or most of a stream? States behind them wait for the verdict. No IO.

A state that has left is a promise that the source need not send the records before it again. So as long as a stream
may turn out to be mostly bad, which stops the sync, no state leaves behind its first skipped record: once the
configuration is mended, those records come again. A verdict is given once a stream; from then on bad ones are skipped.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from destination_milvus.errors import ConfigError
from destination_milvus.protocol.catalog import StreamName

JUDGED_RECORDS = 100
"""A stream is not judged by fewer."""

MOST_BAD = 0.5
"""A larger share of bad records means that the configuration is wrong, not the records."""

MAX_HELD_SECONDS = 300.0
"""Airbyte's platform gives up on a destination after 15 minutes without a state."""

MAX_HELD_BYTES = 4 * 1024 * 1024


@dataclass
class _Stream:
    read: int = 0
    bad: int = 0
    settled: int = 0
    """Records since the first bad one of which it is known whether they are stored."""
    is_accepted: bool = False
    """Whether its bad records are known to be the exception."""

    @property
    def is_on_trial(self) -> bool:
        return self.bad > 0 and not self.is_accepted

    @property
    def is_mostly_bad(self) -> bool:
        return self.read >= JUDGED_RECORDS and self.bad > MOST_BAD * self.read

    @property
    def is_mostly_good(self) -> bool:
        return self.settled >= JUDGED_RECORDS and self.bad <= MOST_BAD * self.settled


class Trial:
    """Gives states back, unless records that were skipped before them may yet stop the sync."""

    def __init__(self, give_back: Callable[[Sequence[bytes]], None]) -> None:
        self._give_back = give_back
        self._streams: defaultdict[StreamName, _Stream] = defaultdict(_Stream)
        self._held: list[bytes] = []
        self._held_since = 0.0

    def read(self, stream: StreamName, count: int = 1) -> None:
        """Count records that came."""
        self._streams[stream].read += count

    def skipped(self, stream: StreamName, count: int = 1) -> None:
        """Count records that cannot be stored."""
        counts = self._streams[stream]
        counts.bad += count
        counts.settled += count

    def stored(self, streams: Iterable[StreamName]) -> None:
        """Count records that are stored, by their streams."""
        if self._is_on():
            for stream in streams:
                self._streams[stream].settled += 1

    def acknowledge(self, states: Sequence[bytes]) -> None:
        """Give states back, in their order; later, where a stream is on trial."""
        if not self._held:
            self._held_since = time.monotonic()
        self._held += states
        if not self._is_on():
            self._release()

    def judge(self, *, is_over: bool = False) -> None:
        """Give the verdict on streams of which enough is known, and on all of them once the input is over.

        Raises:
            ConfigError: most records of a stream are bad.
        """
        if not self._is_on():
            return
        waited = time.monotonic() - self._held_since >= MAX_HELD_SECONDS if self._held else False
        is_over = is_over or waited or sum(map(len, self._held)) > MAX_HELD_BYTES
        for name, stream in self._streams.items():
            if stream.is_on_trial and stream.is_mostly_bad:
                raise ConfigError(
                    f'Stream "{name[0]}": {stream.bad:,} of {stream.read:,} records cannot be stored, so the sync was '
                    "stopped. The first of them are named in the log: the configuration or the source is at fault, "
                    "not they. No state behind them was acknowledged: they come again.",
                    stream=name,
                )
            stream.is_accepted |= stream.is_on_trial and (is_over or stream.is_mostly_good)
        if not self._is_on():
            self._release()

    def _is_on(self) -> bool:
        return any(stream.is_on_trial for stream in self._streams.values())

    def _release(self) -> None:
        # out of reach before it is given back: a signal in the middle must not give it back twice
        states, self._held = self._held, []
        if states:
            self._give_back(states)
