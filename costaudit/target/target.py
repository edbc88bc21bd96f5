"""What is audited, with the origin of everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.target.shape import ModelShape


class Origin(StrEnum):
    """How a value came to be known."""

    EXPORTED = "exported"  # the target says so itself
    OBSERVED = "observed"  # seen in a measurement of ours
    GIVEN = "given"  # by the user
    DEFAULT = "default"  # default of this version
    DATASHEET = "datasheet"  # vendor's figure, see facts/
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value with its origin; `value` is None exactly when the origin is UNKNOWN."""

    value: float | int | str | bool | None
    origin: Origin
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The audited thing. `weights`: "trained", "random" or "dummy"; speed does not depend on it."""

    kind: str  # "in-process" or "server"
    engine: str
    engine_version: str
    model: str
    weights: str
    dtype: str
    shape: ModelShape
    knobs: Mapping[str, Value] = field(default_factory=dict)
