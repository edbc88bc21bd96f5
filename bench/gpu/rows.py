"""Rows of the table that bench/gpu_check.py prints, and the time that each subject may take."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

_PATIENCE = 1.5  # a subject is stopped at so many times its part of the time
_WORDS = 300  # characters of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure; `low` and `high` are the bar, None where there is none on that side.

    `value` None: it was not measured, and `why` says why. With a value `why` is a remark.
    """

    what: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def verdict(self) -> str:
        """Whether the bar was met."""
        if self.value is None:
            return "not measured"
        if self.low is None and self.high is None:
            return ""
        low_met = self.low is None or self.value >= self.low
        high_met = self.high is None or self.value <= self.high
        return "met" if low_met and high_met else "missed"

    @property
    def text(self) -> str:
        """One line for a terminal."""
        value = "" if self.value is None else f"{self.value:.4g} {self.unit}".strip()
        bar = " to ".join(f"{end:.4g}" for end in (self.low, self.high) if end is not None)
        if bar and self.high is None:
            bar = f"at least {bar}"
        elif bar and self.low is None:
            bar = f"at most {bar}"
        why = f"  ({self.why})" if self.why else ""
        return f"{self.what:<62}{value:>14}  {bar:<16} {self.verdict}{why}".rstrip()


@dataclass(slots=True, kw_only=True)
class Table:
    """Rows as they come, told one by one. A subject that fails leaves a row that says so.

    `seconds` is the time of the whole table, from `began_s` of time.monotonic on.
    """

    seconds: float
    tell: Callable[[Row], None] = lambda _: None
    began_s: float = field(default_factory=time.monotonic)
    rows: list[Row] = field(default_factory=list)
    took_s: dict[str, float] = field(default_factory=dict)

    @property
    def left_s(self) -> float:
        """Seconds that are left of the whole."""
        return self.began_s + self.seconds - time.monotonic()

    def measure(self, what: str, share: float, subject: Callable[[], Iterable[Row]]) -> None:
        """Run a subject that may take this share of the whole; its rows, or why there are none.

        A row is kept as soon as the subject gives it, also where it fails later.
        """
        part_s = share * self.seconds
        if self.left_s < part_s:
            self.keep(Row(what=what, value=None, why=f"{self.left_s:.0f} s were left for it"))
            return
        began_s = time.monotonic()
        try:
            with _at_most(min(part_s * _PATIENCE, self.left_s)):
                for row in subject():
                    self.keep(row)
        except Exception as err:  # noqa: BLE001 - the other subjects are still worth having
            words = " ".join(f"{type(err).__name__}: {err}".split())[:_WORDS]
            self.keep(Row(what=what, value=None, why=words))
        self.took_s[what] = round(time.monotonic() - began_s, 2)

    def keep(self, row: Row) -> None:
        """Keep a row and tell it."""
        self.rows.append(row)
        self.tell(row)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread after so many seconds, as soon as Python runs again."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"stopped after {seconds:.0f} s: its part of the time was over")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
