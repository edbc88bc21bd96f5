"""NVTX ranges around prefill and decode, for Nsight Systems or any tool that listens.

Domain "costaudit", one category per phase, fixed messages (NVTX keeps every message for ever, so
none is made up per step), the number of tokens as payload. Attributes are built once per phase;
a step only sets the payload when it differs. Without a tool each call costs a few ten nanoseconds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from costaudit.recording.rows import Instrument, Phase, State

if TYPE_CHECKING:
    from collections.abc import Callable

DOMAIN = "costaudit"
METER = "nvtx"


class PhaseRanges:
    """Pushes and pops phase ranges; a no-op without the nvtx package or a listening tool.

    One instance serves one thread: NVTX nests ranges per thread, and the attributes are shared.
    Calls must balance: one `pop` for each `push`.
    """

    __slots__ = ("_attributes", "_payloads", "_push", "pop", "state")

    state: Instrument
    pop: Callable[[], None]

    def __init__(self) -> None:
        domain, self.state = listening_domain(METER)
        self._push: Callable[[Any], None] | None = None
        self.pop = _nothing
        self._attributes: dict[str, Any] = {}
        self._payloads: dict[str, int] = {}
        if domain is not None:
            self._push, self.pop = domain.push_range, domain.pop_range
            for phase in Phase:
                self._payloads[str(phase)] = 0
                self._attributes[str(phase)] = domain.get_event_attributes(
                    message=str(phase), category=str(phase), payload=0
                )

    def push(self, phase: str, tokens: int) -> None:
        """Open a range for one step (or one span of equal steps) of a phase over `tokens`."""
        if self._push is None:
            return
        attributes = self._attributes[phase]
        if self._payloads[phase] != tokens:
            attributes.payload = self._payloads[phase] = tokens
        self._push(attributes)


def _nothing() -> None:
    """What a pop does when nobody listens."""


def listening_domain(meter: str) -> tuple[Any, Instrument]:
    """The NVTX domain, or None and the reason why there is none to tell anything to."""
    try:
        import nvtx
    except ImportError:
        why = "the package nvtx is not installed"
        return None, Instrument(meter=meter, state=State.ABSENT, why=why)
    if not nvtx.enabled():
        return None, Instrument(meter=meter, state=State.OFF, why="NVTX_DISABLE is set")
    domain = nvtx.get_domain(DOMAIN)
    if domain.get_event_attributes() is None:  # a DummyDomain: no tool is attached
        why = "no tool listens; run under nsys, or set NVTX_INJECTION64_PATH"
        return None, Instrument(meter=meter, state=State.OFF, why=why)
    tool = os.environ.get("NVTX_INJECTION64_PATH", "a tool")
    return domain, Instrument(meter=meter, state=State.OK, why=f"{tool} listens")
