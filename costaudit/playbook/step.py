"""The shape of a playbook step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from costaudit.target.target import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from costaudit.measure.metrics import Metrics
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario


class Effort(StrEnum):
    """What it takes to make the change."""

    FLAG = "flag"
    DAYS = "days"
    WEEKS = "weeks"
    CONTRACT = "contract"


class Risk(StrEnum):
    """What the change may cost beside money."""

    NONE = "none"
    LATENCY = "latency"
    QUALITY = "quality"
    COMMITMENT = "commitment"


class Confidence(StrEnum):
    """The kind of evidence, strongest first; it sets the width of the interval."""

    MEASURED = "measured"  # A/B on this target
    SIMULATED = "simulated"  # from this target's own fit
    MODELLED = "modelled"  # from specifications
    LITERATURE = "literature"


class Turn(StrEnum):
    """When a step's change is made, among those of a set and whatever their order in time."""

    EARLY = "early"  # it sets what others multiply (the devices, a kernel)
    FREE = "free"  # it commutes with all others
    KERNEL = "kernel"  # its speed follows the lengths that others leave; commutes with its like
    LATE = "late"  # it fits something to what the others leave (a cap, a number of replicas)


class Edge(StrEnum):
    """Which end of an uncertain change is meant."""

    LOW = "low"  # the least the change may bring
    HIGH = "high"  # the most


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation that speaks for a step; `where` names the rows it came from."""

    what: str
    value: float
    unit: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applies:
    """The step can help here."""

    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoesNotApply:
    """The step cannot help here, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotTell:
    """Something was not measured that would decide it."""

    because: str


Applicability = Applies | DoesNotApply | CannotTell


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a step may look at: metrics, the present scenario and what it comes to."""

    metrics: Metrics
    scenario: Scenario
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One playbook entry; its module's docstring is its page.

    `change` is a pure function that a set of steps takes once. Changes whose `turn` is free
    commute, up to the rounding of a number of tokens, where they may stand in one set. A `last`
    step is never ordered before others (a commitment made before an efficiency gain is stranded).
    """

    id: str
    title: str
    category: str
    effort: Effort
    risk: Risk
    confidence: Confidence
    assess: Callable[[Situation], Applicability]
    change: Callable[[Scenario, Edge], Scenario]
    snippets: Mapping[str, str]
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    turn: Turn = Turn.FREE
    last: bool = False


def unknown_knob(situation: Situation, name: str) -> CannotTell | None:
    """The answer where the target has this knob but nobody knows how it is set; else None."""
    knob = situation.metrics.target.knobs.get(name)
    if knob is None or knob.origin is not Origin.UNKNOWN:
        return None
    return CannotTell(because=f"the setting {name} is unknown: {knob.why or 'not exported'}")
