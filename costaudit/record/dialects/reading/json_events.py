"""Dialects whose events are JSON objects of one type."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from costaudit.record.dialects.dialect import Chunk
from costaudit.record.dialects.reading.events import DONE, UNREADABLE, decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

_Event = TypeVar("_Event")
_MANY = 5


class JsonEvents(Generic[_Event]):
    """Gives a dialect `read` and `read_all`; it says what one decoded event means."""

    decoder: msgspec.json.Decoder[Any]
    texts: tuple[bytes, ...] = ()

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """What an event says."""
        raise NotImplementedError

    def read(self, payload: bytes) -> Chunk:
        """One event's payload; never raises."""
        if payload == b"[DONE]":
            return DONE
        event = decoded(self.decoder, payload)
        return event if isinstance(event, Chunk) else self.meaning(event, payload)

    def read_all(self, payloads: Sequence[bytes]) -> Sequence[Chunk]:
        """Many events; decoded together they cost half of what they do one by one."""
        if len(payloads) < _MANY:
            return [*map(self.read, payloads)]
        ends = [DONE] if payloads and payloads[-1] == b"[DONE]" else []
        said = payloads[:-1] if ends else payloads
        events: list[_Event] = []
        if [payload[:1] for payload in said].count(b"{") == len(said):  # none of them is blank
            with suppress(*UNREADABLE):
                events = self.decoder.decode_lines(b"\n".join(said))
        if len(events) != len(said):  # one cannot be read, or holds a line feed, or two objects
            return [*map(self.read, payloads)]
        return [*map(self.meaning, events, said), *ends]
