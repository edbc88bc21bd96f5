"""Facts of a recording as checked values; what is missing leaves its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from costaudit.recording.rows import Fact
from costaudit.target.target import Origin, Value

Facts = Mapping[str, Mapping[str, Fact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Facts being read; `unknown` collects the reason of everything that was not there.

    `path` arguments name the place of the value in the audit document.
    """

    facts: Facts
    unknown: dict[str, str] = field(default_factory=dict)

    def fact(self, subject: str, name: str) -> Fact | None:
        """A fact, or None."""
        return self.facts.get(subject, {}).get(name)

    def number(self, subject: str, name: str, path: str) -> float | None:
        """A finite number; None leaves a reason at `path`."""
        fact = self.fact(subject, name)
        if fact is not None and is_number(fact.value):
            return float(fact.value)
        self.unknown[path] = self._why(fact, subject, name)
        return None

    def whole(self, subject: str, name: str, path: str) -> int | None:
        """A whole number; None leaves a reason at `path`."""
        value = self.number(subject, name, path)
        return None if value is None else int(value)

    def text(self, subject: str, name: str) -> str:
        """A string, "" where there is none."""
        fact = self.fact(subject, name)
        return fact.value if fact is not None and isinstance(fact.value, str) else ""

    def table(self, subject: str, name: str) -> Mapping[str, Any]:
        """A JSON object, empty where there is none."""
        fact = self.fact(subject, name)
        return fact.value if fact is not None and isinstance(fact.value, dict) else {}

    def value(self, subject: str, name: str, path: str) -> Value:
        """A number with its origin; unknown leaves a reason at `path`.value."""
        number = self.number(subject, name, f"{path}.value")
        fact = self.fact(subject, name)
        if number is None or fact is None:
            return Value(value=None, origin=Origin.UNKNOWN, why=self.unknown[f"{path}.value"])
        return Value(value=number, origin=Origin(fact.origin), why=fact.why)

    @staticmethod
    def _why(fact: Fact | None, subject: str, name: str) -> str:
        if fact is not None and fact.why:
            return fact.why
        return f"the recording holds no {subject} {name}: it ended before that was measured"


def is_number(value: object) -> TypeGuard[float]:
    """A finite int or float that is no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
