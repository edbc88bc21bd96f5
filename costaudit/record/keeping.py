"""Keeps what a run recorded, whatever ends it, and says how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from costaudit.record.failure import failure, remove
from costaudit.record.options import Listener, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from costaudit.recording.recording import Recording

Tell = Callable[[float, str, "float | None"], None]  # share done, what is going on, seconds left


def keep(
    recording: Recording, path: Path, progress: Listener, work: Callable[[Tell], None]
) -> Path:
    """Do `work` and close the recording; whatever goes wrong becomes one told sentence.

    Raises:
        CostauditError: as `failure` words it; without any measurement no file is left.
    """
    doing, opened, kept = "loading the model", False, True

    def tell(fraction: float, label: str, left_s: float | None) -> None:
        nonlocal doing, opened
        doing, opened = label, opened or left_s is not None
        progress(Progress(fraction=fraction, label=label, seconds_left=left_s))

    try:
        work(tell)
    except (Exception, KeyboardInterrupt) as err:  # noqa: BLE001 all become one told sentence
        samples = recording.measured()
        kept = samples > 0
        if kept:
            recording.add_trouble(doing, f"{type(err).__name__}: {err}")
        told = failure(err, path=path, samples=samples, opened=opened, doing=doing)
        raise told from (None if told is err else err)
    finally:
        recording.close()
        if not kept:
            remove(path)
    return path
