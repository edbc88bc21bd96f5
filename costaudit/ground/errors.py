"""Every error a user can meet, as one tree; each branch has an exit code.

    CostauditError
    ├── UsageError            2    a flag, a file or a name is wrong
    ├── InconclusiveError     3    measured, but not well enough to decide
    ├── TargetError           4    the target failed, is no target, or cannot be reached
    ├── NothingRecordedError  5    the run ended before anything could be recorded
    └── InterruptedRunError   130  Ctrl-C; what was recorded is kept

A message says what happened and where; the hint says what to do next.
Only the command line prints them.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class CostauditError(Exception):
    """Something a person can act on: a sentence and a hint."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CostauditError):
    """A flag, a file or a name is wrong."""

    exit_code = 2


class InconclusiveError(CostauditError):
    """There are data, but they do not decide the question."""

    exit_code = 3


class TargetError(CostauditError):
    """The target failed, is no target, or cannot be reached."""

    exit_code = 4


class NothingRecordedError(CostauditError):
    """The run ended before anything could be recorded."""

    exit_code = 5


class InterruptedRunError(CostauditError):
    """The user stopped the run; what was recorded is kept."""

    exit_code = 130


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known word, or lists them all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return "known: " + ", ".join(names) if names else ""
