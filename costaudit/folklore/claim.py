"""The shape of a claim, and how a figure is held against it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from costaudit.ground.stats import Interval
    from costaudit.plan.plan import Plan
    from costaudit.playbook.step import Situation, Step


class Verdict(StrEnum):
    """What becomes of a claim on this target."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does-not-hold"
    CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a claim may look at: the audited situation, its plan, the playbook, and today's date."""

    situation: Situation
    plan: Plan
    steps: tuple[Step, ...]
    today: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of this target beside what is claimed of it, in one unit.

    Units: "share", "times", "ratio" (to one), "bytes". `where` says what it was computed from.
    """

    what: str
    value: Interval
    claimed: Interval
    unit: str
    where: str

    @property
    def verdict(self) -> Verdict:
        """Inside what is claimed, apart from it, or across its edge."""
        value, claimed = self.value, self.claimed
        if claimed.low <= value.low and value.high <= claimed.high:
            return Verdict.HOLDS
        if value.high < claimed.low or value.low > claimed.high:
            return Verdict.DOES_NOT_HOLD
        return Verdict.CANNOT_TELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Figures of this target; `doubt` is what keeps them from bearing the claim out.

    A doubt leaves a refutation as it is: it says what the figures are too kind to.
    """

    figures: tuple[Figure, ...]
    doubt: str = ""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """A claim holds where all its figures do, and not where one does not."""
        verdicts = {figure.verdict for figure in self.figures}
        if Verdict.DOES_NOT_HOLD in verdicts:
            return Verdict.DOES_NOT_HOLD
        if self.doubt or Verdict.CANNOT_TELL in verdicts:
            return Verdict.CANNOT_TELL
        return Verdict.HOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """There is no figure, and why."""

    because: str


Finding = Found | Untold

ACROSS = "the interval lies across the edge of what is claimed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One common claim; its module's docstring tells where it is from and how it is tried."""

    id: str
    text: str
    look: Callable[[Known], Finding]


def why_not_told(finding: Finding) -> str:
    """What a "cannot tell" is followed by; "" where it can be told."""
    match finding:
        case Untold(because=because):
            return because
        case Found(verdict=Verdict.CANNOT_TELL, doubt=doubt):
            return doubt or ACROSS
        case Found():
            return ""
        case _:
            assert_never(finding)


def verdict_of(finding: Finding) -> Verdict:
    """The verdict of a finding; without a figure nothing can be told."""
    return Verdict.CANNOT_TELL if isinstance(finding, Untold) else finding.verdict
