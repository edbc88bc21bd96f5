"""One request and its answer on their way: raw reads with their stamps, read at leisure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.record.client.framing import FramingFault
from costaudit.record.client.http1 import Framer, HttpFault
from costaudit.record.client.inbox import LONG_READS, US_MAX
from costaudit.record.client.transcript import Transcript
from costaudit.record.client.wire import Inbox
from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    from costaudit.record.client.http1 import Head
    from costaudit.record.client.load import Shot
    from costaudit.record.dialects.dialect import Dialect

KEEP_BYTES = 131_072  # of raw answer, before it is read in mid-stream; also of an error's body
KEEP_READS = 1_024
_BODY_BYTES = 16_777_216  # of a stream, whatever was asked for …
_BODY_BYTES_PER_TOKEN = 65_536  # … and for each token of it: log probabilities are long
_OK = 200


class Exchange:
    """One request under way. Times are in ns of the real-time clock.

    `inbox` only stores; `frame` finds out where the answer ends; `digest` reads what it says.
    `cut` says why it ended before its end; "" where it did not. Lags are user stamp minus kernel
    stamp of the reads since the last `digest`.
    """

    __slots__ = (
        "_keep",
        "_misfit",
        "_texts",
        "body",
        "cut",
        "end_ns",
        "framer",
        "inbox",
        "intended_ns",
        "lag_ns",
        "lags_us",
        "own_late_ns",
        "queued",
        "retried",
        "sent_ns",
        "shot",
        "transcript",
    )

    def __init__(self, shot: Shot, dialect: Dialect, intended_ns: int) -> None:
        self.shot = shot
        self.intended_ns = intended_ns
        self.own_late_ns = 0  # of the start, by the client's own doing
        self.retried = False
        self.queued = False  # to be read in mid-stream, by whoever runs it
        self.transcript = Transcript(dialect)
        self._texts = dialect.texts
        self.cut = ""
        self._keep = _BODY_BYTES + _BODY_BYTES_PER_TOKEN * shot.output_tokens
        self.sent_ns = self.end_ns = intended_ns  # until it is
        self.rewind()

    def rewind(self) -> None:
        """It is about to be sent; nothing came yet."""
        self.framer = Framer(self._texts)
        self.body = b""  # of an answer that is no stream of events
        self.lag_ns: int | None = None
        self.lags_us: list[int] = []
        self._misfit: str | None = None  # unknown yet
        self.inbox = Inbox(KEEP_BYTES)

    @property
    def head(self) -> Head | None:
        """Status and headers, once they came."""
        return self.framer.head

    @property
    def silent(self) -> bool:
        """Not one byte came yet."""
        return not self.inbox.received

    @property
    def long(self) -> bool:
        """Much of it waits to be read."""
        return self.inbox.waiting > LONG_READS

    @property
    def over(self) -> bool:
        """The answer ended by HTTP's rules, or is broken."""
        return self.framer.done or bool(self.cut)

    def end(self, cut: str) -> None:
        """It is over, cut short where `cut` says why: what came until then counts."""
        if cut:
            self.frame()
        self.cut = self.cut or cut
        self.end_ns = (0 if cut else self.inbox.last_ns) or time.time_ns()

    @property
    def refused(self) -> bool:
        """What came is no answer of a model: an error, or a page."""
        head = self.framer.head
        return bool(self.cut) or (head is not None and not self._streams(head))

    @property
    def keeps_alive(self) -> bool:
        """The connection can carry another exchange."""
        head = self.framer.head
        return not self.cut and head is not None and head.keeps_alive and not self.framer.overrun

    def frame(self) -> None:
        """Take the HTTP coding off what came; sets `over` with the last byte of the answer."""
        inbox = self.inbox
        try:
            self.framer.feed(inbox.text())
        except HttpFault as fault:
            self.cut = str(fault)
        head = self.framer.head
        inbox.look = head is None or not head.chunked
        if inbox.received > self._keep:
            self.cut = "the answer is far longer than what was asked for"
        if (
            inbox.waiting > KEEP_READS
            or inbox.received > inbox.alert_bytes
            or (head is not None and not self._streams(head))
        ):
            self.digest()

    def piece(self, head: Head, data: bytes, user_ns: int) -> None:
        """Store a stretch of a body whose HTTP coding someone else took off."""
        self.framer.head = head
        self.inbox.mark(len(data), user_ns)
        self.framer.parts.add(data, self.inbox.received)
        if self.inbox.waiting > KEEP_READS:
            self.digest()

    def digest(self) -> None:
        """Read what came since the last time, then drop it."""
        framer, head, inbox = self.framer, self.framer.head, self.inbox
        read_ends, read_us, lags = inbox.reads(self.sent_ns)
        if lags:
            self.lags_us += lags
            self.lag_ns = max(self.lag_ns or 0, max(lags) * 1000)
        if not read_ends:  # all was read in mid-stream; it may have ended just now
            since_us = (self.end_ns - self.sent_ns) // 1000
            read_ends, read_us = [inbox.received], [min(max(since_us, 0), US_MAX)]
        if head is not None and self._streams(head):
            try:
                self.transcript.read(framer.parts)
                if framer.done:
                    self.transcript.finish(inbox.received)
            except FramingFault as fault:
                self.cut = self.cut or str(fault)
            self.transcript.stamp(read_ends, read_us)
        else:
            self.body += b"".join(framer.parts.every())[: KEEP_BYTES - len(self.body)]
            if head is not None and len(self.body) >= KEEP_BYTES:
                self.cut = self.cut or "the answer is no stream and does not end"
        framer.parts.clear()
        inbox.alert_bytes = inbox.received + KEEP_BYTES

    def _streams(self, head: Head) -> bool:
        return head.status == _OK and not self.misfit(head)

    def misfit(self, head: Head) -> str:
        """The content type, where it is none of a stream of events; "" where it may be one."""
        if self._misfit is None:
            self._misfit = self._look_at(head)
        return self._misfit

    def _look_at(self, head: Head) -> str:
        kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        coding = head.headers.get("content-encoding", "identity").strip().lower()
        if coding not in {"", "identity"}:
            return f"content coded as {coding}"
        if kind == "text/html" or (kind == "application/json" and self._wants_sse):
            return kind
        return ""

    @property
    def _wants_sse(self) -> bool:
        return self.transcript.framing is Framing.SSE
