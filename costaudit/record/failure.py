"""What is said, and what is kept, when a run ends before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import (
    CostauditError,
    InterruptedRunError,
    NothingRecordedError,
    TargetError,
    UsageError,
)

if TYPE_CHECKING:
    from pathlib import Path

_JOURNALS = ("", "-wal", "-shm", "-journal")


def failure(
    err: BaseException, *, path: Path, samples: int, opened: bool, doing: str
) -> CostauditError:
    """The error to raise for `err`.

    What went wrong while the target was opened is told as it is. Afterwards a run without any
    sample has recorded nothing; one with samples can be gone on with.
    """
    go_on = f"go on with: costaudit profile --resume {path}"
    match err:
        case KeyboardInterrupt() if samples:
            return InterruptedRunError(f"stopped; {path} keeps {samples} samples", hint=go_on)
        case KeyboardInterrupt():
            return InterruptedRunError("stopped before anything was recorded")
        case UsageError():
            return err
        case CostauditError() if not opened:
            return err
        case CostauditError():
            what, hint = err.message, err.hint
        case _:
            words = str(err).strip().splitlines() or [""]
            what, hint = f"the target failed while {doing}: {type(err).__name__}: {words[0]}", ""
    if opened and not samples:
        return NothingRecordedError(f"nothing could be recorded: {what}", hint=hint)
    return TargetError(what, hint=hint or (go_on if samples else ""))


def remove(path: Path) -> None:
    """Leave no stray file behind: the recording and its journals."""
    for suffix in _JOURNALS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
