"""What every instrument that can be sampled answers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.recording.rows import Gauge, Instrument


class Meter(Protocol):
    """An open instrument. No call raises because of the machine: a fault becomes a state."""

    def sample(self, t_s: float) -> Sequence[Gauge]:
        """Readings now, stamped `t_s` seconds after the recording began; none when lost."""

    def instruments(self) -> Sequence[Instrument]:
        """The present state of each instrument in this meter, with its tier and reason."""

    def close(self) -> None:
        """Let the instrument go."""
