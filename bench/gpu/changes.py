"""Changes predicted from the recording, then really made and measured in turns with the old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.verify.verify import VerifyOptions, verify
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ERROR_BAR = 0.10


def predicted(run: Path, target: str, step: str, seconds: float) -> Iterator[Row]:
    """How far each predicted change (new over old) was from the measured one, as a share of it."""
    options = VerifyOptions(run=run, steps=(step,), target=target, rounds=3, seconds=seconds)
    for figure in verify(options, progress=lambda _: None).figures:
        what = f"{step}: {figure.metric}, predicted against measured"
        if figure.measured is None or figure.measured.mid <= 0:
            yield Row(what=what, value=None, why=figure.why)
        else:
            error = abs(figure.predicted.mid / figure.measured.mid - 1)
            yield Row(what=what, value=error, high=ERROR_BAR)
