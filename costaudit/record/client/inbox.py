"""What has come on one connection: raw bytes, and when each read of them was stamped."""

from __future__ import annotations

import struct

LONG_READS = 128  # that wait: some is to be read when there is time
US_MAX = 2**32 - 1  # 71 minutes: what an event's uint32 of microseconds holds
_NS = 1_000_000_000
_BEGINS, _CHUNKED = b"HTTP/1.1 200", b"\r\ntransfer-encoding: chunked"
_STAMP_BYTES = 16  # struct timespec


class Inbox:
    """Stores reads; nothing is understood here but where an answer may be over.

    `received` counts bytes; beyond `alert_bytes` every read is worth a look. `look`: so it is
    anyway. `waiting` is the number of reads that `reads` would tell of. Times are in ns of the
    real-time clock.
    """

    __slots__ = ("_ends", "_parts", "_stamps", "_users", "alert_bytes", "look", "received")

    def __init__(self, alert_bytes: int) -> None:
        self.alert_bytes = alert_bytes
        self.look = True
        self.received = 0
        self._parts: list[bytes] = []
        self._ends: list[int] = []
        self._stamps: list[bytes] = []  # struct timespec; empty: no kernel stamp
        self._users: list[int] = []

    @property
    def waiting(self) -> int:
        """Reads since the last `reads`."""
        return len(self._ends)

    @property
    def last_ns(self) -> int:
        """When the last of the waiting reads came; 0: none waits."""
        return (_unpack(self._stamps[-1]) or self._users[-1]) if self._users else 0

    def take(self, data: bytes, stamp: bytes, user_ns: int) -> bool:
        """Store a read with the kernel's stamp (empty: none) and ours. True: it may be the last."""
        self._parts.append(data)
        self.mark(len(data), user_ns)
        self._stamps[-1] = stamp
        return (
            (self.look and not self._goes_on(data))
            or data.endswith(b"\r\n\r\n")  # the end of a chunked body …
            or len(data) < 4  # … unless it is cut into bits  # noqa: PLR2004
            or len(self._parts) > LONG_READS
            or self.received > self.alert_bytes
        )

    def mark(self, size: int, user_ns: int) -> None:
        """Note a read of `size` bytes that someone else keeps."""
        self.received += size
        self._ends.append(self.received)
        self._stamps.append(b"")
        self._users.append(user_ns)

    def text(self) -> bytes:
        """What came since the last time."""
        text = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        return text

    def reads(self, since_ns: int) -> tuple[list[int], list[int], list[int]]:
        """Of each read since the last call: `received` behind it, its time, its lag; in µs.

        The time is the kernel's stamp, else ours, since `since_ns`, as it fits into an uint32; the
        lag ours minus the kernel's. No lags where no read has a stamp of the kernel.
        """
        ends, users, packed = [*self._ends], self._users, b"".join(self._stamps)
        if len(packed) == _STAMP_BYTES * len(users):
            flat = struct.unpack(f"={2 * len(users)}q", packed)
            times = [s * _NS + ns for s, ns in zip(flat[::2], flat[1::2], strict=True)]
        else:
            both = zip(self._stamps, users, strict=True)
            times = [_unpack(stamp) or user for stamp, user in both]
        lags = [abs(user - ns) // 1000 for user, ns in zip(users, times, strict=True)]
        for kept in (self._ends, self._stamps, self._users):
            kept.clear()
        us = [min(max((ns - since_ns) // 1000, 0), US_MAX) for ns in times]
        return ends, us, lags if packed else []

    def _goes_on(self, data: bytes) -> bool:
        """Begins it a chunked answer? Then the end shows, and the head is read when there is time.

        Many streams begin at the same time, and their second tokens come soon.
        """
        if len(self._parts) > 1 or not data.startswith(_BEGINS):
            return False
        self.look = _CHUNKED not in data[: max(0, data.find(b"\r\n\r\n"))].lower()
        return not self.look


def _unpack(stamp: bytes) -> int:
    if len(stamp) != _STAMP_BYTES:
        return 0
    seconds, ns = struct.unpack("=2q", stamp)
    return int(seconds * _NS + ns)
