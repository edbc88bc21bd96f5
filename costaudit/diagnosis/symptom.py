"""The shape of a symptom: one cause of waste or latency that a server's metrics can show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from costaudit.measure.window import Window


class Confidence(StrEnum):
    """How sure the cause is, where the symptom shows."""

    SURE = "sure"  # the server counts the very thing
    LIKELY = "likely"  # a signature that other causes rarely leave
    POSSIBLE = "possible"  # the metrics cannot tell it from a harmless state


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation: what, its value and unit ("share" is 0 to 1), and the metrics it is from."""

    what: str
    value: float
    unit: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """The symptom is there.

    `cost_share` (0 to 1) ranks it: the share of requests' time, or of the server's capacity, that
    is lost to it in this window, worked out from the evidence. `cause` and `actions` replace the
    symptom's own where this case is a particular one.
    """

    evidence: tuple[Evidence, ...]
    cost_share: float
    confidence: Confidence = Confidence.LIKELY
    cause: str = ""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoesNotShow:
    """The symptom is not there, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CannotTell:
    """Something is not exported, or did not happen, that would decide it."""

    because: str


Answer = Shows | DoesNotShow | CannotTell


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One rule; its module's docstring says why, by which signature and from which sources.

    Attributes:
        id: the file's name with dashes.
        title: what an operator sees.
        cause: why, in one sentence.
        judge: a pure function of the window.
        actions: what to change, first choice first; `facts.server_flags` has an engine's words.
        advice: what to do where no flag helps, or beside it.
        steps: ids of the playbook's steps that it leads to.
        engines: only these families can have it; empty: all. not_for: these have their own.
        urgent: requests hang or fail; it comes before any waste.
        fault: something is wrong with the server, or with what it is given; else it is only worth
            knowing.
    """

    id: str
    title: str
    cause: str
    judge: Callable[[Window], Answer]
    actions: tuple[str, ...] = ()
    advice: str = ""
    steps: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    urgent: bool = False
    fault: bool = True
