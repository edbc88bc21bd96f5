"""When each stage of a server audit is over, so that a slow server cannot stretch it at will.

Shares of the time budget, counted from the moment that the warm-up began. What runs at the end of
its time is cut; a server ten times slower than planned costs half of the budget more, at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.recording.rows import Fact

if TYPE_CHECKING:
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.recording import Recording

WARM_SHARE, ALONE_SHARE = 0.06, 0.03
STEPS_SHARE, REPLAY_SHARE, LADDER_SHARE = 0.38, 0.40, 0.12
# On top of the budget, where they were asked for.
OPEN_SHARE, PRESSURE_SHARE = 0.4, 0.5
LONGEST_WARM_SHARE = 0.25  # where not even one answer came before
GRACE_SHARE = 0.06  # for the step probe that runs when the time of them all is over
LAST_SHARE = 1.15  # nothing begins or runs after this

_SUBJECT, _NAME = "time", "began_s"


def begin(recording: Recording) -> None:
    """Start the clock of the budget; a recording that is gone on with keeps its own."""
    if _NAME not in recording.facts().get(_SUBJECT, {}):
        now_s = recording.clock_s()
        recording.add(Fact(subject=_SUBJECT, name=_NAME, value=now_s, unit="s"))


def spent_s(probing: Probing) -> float:
    """Seconds of the budget that are gone."""
    told = probing.recording.facts().get(_SUBJECT, {}).get(_NAME)
    began_s = told.value if told is not None and isinstance(told.value, (int, float)) else 0.0
    return probing.recording.clock_s() - began_s


def steps_left_s(probing: Probing) -> float:
    """Seconds until the step probes must be over; 0 or less: they must."""
    return _until(probing, WARM_SHARE + STEPS_SHARE)


def left_s(probing: Probing) -> float:
    """Seconds until everything must be over."""
    return _until(probing, LAST_SHARE)


def _until(probing: Probing, share: float) -> float:
    return share * probing.options.time_budget_s - spent_s(probing)
