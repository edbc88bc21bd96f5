"""What is audited, with the origin of everything that is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError

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
    """The audited thing.

    `weights`: "trained", "random" or "dummy", on which speed does not depend; "" where nobody can
    tell, as of a server's.

    `shape` is None where a server does not tell and nobody gave it.
    """

    kind: str  # "in-process" or "server"
    engine: str
    engine_version: str
    model: str
    weights: str
    dtype: str
    shape: ModelShape | None
    knobs: Mapping[str, Value] = field(default_factory=dict)

    @property
    def known_shape(self) -> ModelShape:
        """The shape, where one is needed.

        Raises:
            InconclusiveError: it is not known.
        """
        if self.shape is None:
            raise InconclusiveError(
                f"the architecture of {self.model} is not known",
                hint="give its config.json with --model-config",
            )
        return self.shape
