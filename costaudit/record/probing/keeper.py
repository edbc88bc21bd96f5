"""Writes down the answers of one rung, and tells when the server gives none any more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from costaudit.recording.answers import event_s

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from costaudit.record.probing.guard import Guard
    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer, Fact

ROWS_AT_ONCE = 64  # answers per transaction while a rung runs
# Failures without an answer in between: so many end a rung (or two per stream) …
FEWEST_IN_A_ROW = 8
FEWEST_AT_ALL = 3  # … and so many, where a rung had no answer at all, end the audit
UNTOLD = "no reason given"  # … and ends that of one which was cut between its head and its words
CUT = "cut off"  # how the client begins the error of a request that we cut


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Writes answers down in groups, from a thread of its own: a disk may take its time.

    Use it as a context manager; what waits when it is left is written, whatever happened.
    """

    recording: Recording
    guard: Guard
    streams: int
    watch: Callable[[Answer], None]
    kind: str = ""  # of its requests, which are alike over all rungs; "" they are not
    waiting: list[Answer] = field(default_factory=list)
    good: int = 0
    failed: Answer | None = None  # the last that failed by itself
    _writer: Executor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _written: Future[None] | None = None  # the last group

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            self._writer.shutdown()

    def __call__(self, answer: Answer) -> None:
        """Take one answer.

        Raises:
            TargetError: an earlier group could not be written.
        """
        if answer.ok:
            self.good, self.guard.failed_in_a_row = self.good + 1, 0
            came_s = event_s(answer)
            if self.kind and came_s:
                self.guard.slowing.note(self.kind, answer.task, came_s[0] - answer.intended_s)
        elif answer.error.startswith(CUT):
            self.guard.cut = True
        else:
            if self.failed is None or not answer.error.endswith(UNTOLD):
                self.failed = answer
            self.guard.failed_in_a_row += 1
        self.watch(answer)
        self.waiting.append(answer)
        if len(self.waiting) >= ROWS_AT_ONCE and self._idle():
            rows, self.waiting = self.waiting, []
            self._written = self._writer.submit(self.recording.add, *rows)

    def _idle(self) -> bool:
        """The writer has nothing to do."""
        if self._written is not None and not self._written.done():
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def flush(self, *facts: Fact, done: str | None = None) -> None:
        """Write what is waiting, with facts and the task that it finishes."""
        self._settle()
        rows, self.waiting = self.waiting, []
        if rows or facts or done:
            self.recording.add(*rows, *facts, done=done)

    @property
    def broken(self) -> bool:
        """Nothing but failures come: to go on would only do harm."""
        return self.guard.failed_in_a_row >= max(FEWEST_IN_A_ROW, 2 * self.streams)

    @property
    def silent(self) -> bool:
        """The rung had no answer at all, and that is no single mishap."""
        return not self.good and self.guard.failed_in_a_row >= FEWEST_AT_ALL
