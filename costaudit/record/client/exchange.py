"""One request and its answer on their way: raw reads with their stamps, read at leisure."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from costaudit.record.client.framing import FramingFault
from costaudit.record.client.http1 import Framer, HttpFault
from costaudit.record.client.transcript import Transcript
from costaudit.record.dialects.dialect import Framing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.client.http1 import Head
    from costaudit.record.client.load import Shot
    from costaudit.record.dialects.dialect import Dialect

KEEP_BYTES = 131_072  # of raw answer, before it is read in mid-stream; also of an error's body
KEEP_READS = 1_024
LONG_READS = 128  # that wait: some is to be read when there is time
_BODY_BYTES = 16_777_216  # of a stream, whatever was asked for …
_BODY_BYTES_PER_TOKEN = 65_536  # … and for each token of it: log probabilities are long
_OK = 200
_NS = 1_000_000_000
_BEGINS, _CHUNKED = b"HTTP/1.1 200", b"\r\ntransfer-encoding: chunked"
_STAMP_BYTES = 16  # struct timespec


class Exchange:
    """One request under way. Times are in ns of the real-time clock.

    `take` only stores; `frame` finds out where the answer ends; `digest` reads what it says.
    `cut` says why it ended before its end; "" where it did not. Lags are user stamp minus kernel
    stamp of the reads since the last `digest`.
    """

    __slots__ = (
        "_digest_at",
        "_keep",
        "_look",
        "_misfit",
        "_offset",
        "_read_ends",
        "_reads",
        "_stamps",
        "_users",
        "body",
        "cut",
        "end_ns",
        "framer",
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
        self.cut = ""
        self._keep = _BODY_BYTES + _BODY_BYTES_PER_TOKEN * shot.output_tokens
        self.sent_ns = self.end_ns = intended_ns  # until it is
        self.rewind()

    def rewind(self) -> None:
        """It is about to be sent; nothing came yet."""
        self.framer = Framer()
        self.body = b""  # of an answer that is no stream of events
        self.lag_ns: int | None = None
        self.lags_us: list[int] = []
        self._misfit: str | None = None  # unknown yet
        self._look = True  # every read may end it
        self._offset = 0
        self._digest_at = KEEP_BYTES
        self._reads: list[bytes] = []
        self._read_ends: list[int] = []
        self._stamps: list[bytes] = []  # struct timespec; empty: no kernel stamp
        self._users: list[int] = []

    @property
    def head(self) -> Head | None:
        """Status and headers, once they came."""
        return self.framer.head

    @property
    def silent(self) -> bool:
        """Not one byte came yet."""
        return not self._offset

    @property
    def long(self) -> bool:
        """Much of it waits to be read."""
        return len(self._read_ends) > LONG_READS

    @property
    def over(self) -> bool:
        """The answer ended by HTTP's rules, or is broken."""
        return self.framer.done or bool(self.cut)

    def take(self, data: bytes, stamp: bytes, user_ns: int) -> bool:
        """Store a read. True where `frame` should look: the answer may be over."""
        self._offset += len(data)
        self._reads.append(data)
        self._read_ends.append(self._offset)
        self._stamps.append(stamp)
        self._users.append(user_ns)
        return (
            (self._look and not self._goes_on(data))
            or data.endswith(b"\r\n\r\n")  # the end of a chunked body …
            or len(data) < 4  # … unless it is cut into bits  # noqa: PLR2004
            or len(self._reads) > LONG_READS
            or self._offset > self._digest_at
        )

    def _goes_on(self, data: bytes) -> bool:
        """Begins it a chunked answer? Then the end shows, and the head is read when there is time.

        Many streams begin at the same time, and their second tokens come soon.
        """
        if len(self._reads) > 1 or not data.startswith(_BEGINS):
            return False
        self._look = _CHUNKED not in data[: max(0, data.find(b"\r\n\r\n"))].lower()
        return not self._look

    def end(self, cut: str) -> None:
        """It is over, cut short where `cut` says why: what came until then counts."""
        if cut and self._reads:
            self.frame()
        self.cut = self.cut or cut
        if cut or not self._users:
            self.end_ns = time.time_ns()
        else:
            self.end_ns = _unpack(self._stamps[-1]) or self._users[-1]

    @property
    def keeps_alive(self) -> bool:
        """The connection can carry another exchange."""
        head = self.framer.head
        return not self.cut and head is not None and head.keeps_alive and not self.framer.overrun

    def frame(self) -> None:
        """Take the HTTP coding off what came; sets `over` with the last byte of the answer."""
        data = self._reads[0] if len(self._reads) == 1 else b"".join(self._reads)
        self._reads.clear()
        try:
            self.framer.feed(data)
        except HttpFault as fault:
            self.cut = str(fault)
        head = self.framer.head
        self._look = head is None or not head.chunked
        if self._offset > self._keep:
            self.cut = "the answer is far longer than what was asked for"
        if (
            len(self._read_ends) > KEEP_READS
            or self._offset > self._digest_at
            or (head is not None and not self._streams(head))
        ):
            self.digest()

    def piece(self, head: Head, data: bytes, user_ns: int) -> None:
        """Store a stretch of a body whose HTTP coding someone else took off."""
        self.framer.head = head
        self._offset += len(data)
        self._read_ends.append(self._offset)
        self._stamps.append(b"")
        self._users.append(user_ns)
        self.framer.pieces.append(data)
        self.framer.ends.append(self._offset)
        if len(self._read_ends) > KEEP_READS:
            self.digest()

    def digest(self) -> None:
        """Read what came since the last time, then drop it."""
        framer, head = self.framer, self.framer.head
        if not self._read_ends:  # all was read in mid-stream; it may have ended just now
            self._read_ends.append(self._offset)
        read_ns = self._read_times() or [self.end_ns]
        if head is not None and self._streams(head):
            try:
                self.transcript.read(framer.pieces, framer.ends)
                if framer.done:
                    self.transcript.finish(self._offset)
            except FramingFault as fault:
                self.cut = self.cut or str(fault)
            self.transcript.stamp(self._read_ends, read_ns, self.sent_ns)
        else:
            self.body += b"".join(framer.pieces)[: KEEP_BYTES - len(self.body)]
            if head is not None and len(self.body) >= KEEP_BYTES:
                self.cut = self.cut or "the answer is no stream and does not end"
        framer.pieces.clear()
        framer.ends.clear()
        self._digest_at = self._offset + KEEP_BYTES
        for kept in (self._read_ends, self._stamps, self._users):
            kept.clear()

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

    def _read_times(self) -> Sequence[int]:
        """When each read came: by the kernel's stamp, else by ours; notes the lags."""
        users, packed = self._users, b"".join(self._stamps)
        if len(packed) == _STAMP_BYTES * len(users):
            flat = struct.unpack(f"={2 * len(users)}q", packed)
            times = [s * _NS + ns for s, ns in zip(flat[::2], flat[1::2], strict=True)]
        else:
            times = [
                _unpack(stamp) or user for stamp, user in zip(self._stamps, users, strict=True)
            ]
        if packed:
            lags = [abs(user - ns) // 1000 for user, ns in zip(users, times, strict=True)]
            self.lags_us += lags
            self.lag_ns = max(self.lag_ns or 0, max(lags) * 1000)
        return times


def _unpack(stamp: bytes) -> int:
    if len(stamp) != _STAMP_BYTES:
        return 0
    seconds, ns = struct.unpack("=2q", stamp)
    return int(seconds * _NS + ns)
