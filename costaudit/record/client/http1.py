"""HTTP/1.1 answers taken apart as they arrive: head, chunked coding, length, end."""

from __future__ import annotations

from dataclasses import dataclass, field

from costaudit.record.client.bodies import Parts
from costaudit.record.client.wire import whole_chunks

HEAD_BYTES = 65_536  # a longer head is no answer of a model server
_LINE_BYTES = 4_096  # of a chunk's size and extensions, or one trailer
_SIZE_DIGITS = 16
_SPACE = b" \t"


class HttpFault(Exception):  # noqa: N818 - caught inside this room, shown as a sentence
    """What came is no HTTP/1.1 answer; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Status line and headers of an answer; names in lower case, the last of a name wins."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    keeps_alive: bool
    chunked: bool
    length: int | None  # bytes of the body; None: chunked, or until the connection closes


_last: tuple[bytes, Head] | None = None  # answers of one server begin alike


def read_head(text: bytes) -> Head:
    """Read a head, without its blank line.

    Raises:
        HttpFault: it is none.
    """
    global _last  # noqa: PLW0603 - a cache of one
    if _last is not None and _last[0] == text:
        return _last[1]
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    version, _, rest = lines[0].partition(b" ")
    code = rest[:3]
    if version[:7] != b"HTTP/1." or not code.isdigit() or len(code) != 3:  # noqa: PLR2004
        raise HttpFault("the answer is not HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name:
            raise HttpFault("the answer has a broken header line")
        headers[name.strip().lower().decode("latin-1")] = value.strip(_SPACE).decode("latin-1")
    head = _interpret(version, int(code), headers)
    _last = (text, head)
    return head


def _interpret(version: bytes, status: int, headers: dict[str, str]) -> Head:
    options = headers.get("connection", "").lower()
    keeps = "close" not in options and (version != b"HTTP/1.0" or "keep-alive" in options)
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    length = None
    if status in {204, 304}:
        length = 0
    elif not chunked and "content-length" in headers:
        given = headers["content-length"]
        if not given.isdecimal() or len(given) > _SIZE_DIGITS:
            raise HttpFault("the answer has a broken Content-Length")
        length = int(given)
    keeps = keeps and (chunked or length is not None)
    return Head(status=status, headers=headers, keeps_alive=keeps, chunked=chunked, length=length)


class Framer:
    """One answer, fed in pieces of any size.

    Each state is a function that takes what makes sense at a place and returns the place behind
    it: the same place when more bytes are needed.

    `head` appears when it is whole, `done` becomes true with the last byte of the body. `parts`
    grow: stretches of the body and, of each, the offset in the raw stream just behind its last
    byte, from which the read that completed it can be told. The owner empties them. `texts`: events
    that differ in a text behind one of these names only say the same.
    """

    __slots__ = ("_left", "_rest", "_state", "_taken", "_texts", "done", "head", "parts")

    def __init__(self, texts: tuple[bytes, ...] = ()) -> None:
        self.head: Head | None = None
        self.done = False
        self.parts = Parts()
        self._texts = texts
        self._rest = b""  # bytes that make no sense yet
        self._taken = 0  # raw bytes before `_rest`
        self._left = 0  # of the chunk or body under way
        # A plain function, not a bound method: that would be a reference cycle.
        self._state = Framer._read_head

    def feed(self, data: bytes) -> None:
        """Take more raw bytes.

        Raises:
            HttpFault: they are no HTTP/1.1.
        """
        if self._rest:
            data = self._rest + data
        place, before = 0, -1
        while not self.done and place != before:
            before, place = place, self._state(self, data, place)
        self._rest = data[place:]
        self._taken += place

    def finish(self) -> bool:
        """The connection closed. True if that is how this body was to end, or it had ended."""
        head = self.head
        if head is not None and not head.chunked and head.length is None:
            self.done = True
        return self.done

    @property
    def overrun(self) -> bool:
        """Bytes came behind the end of the answer."""
        return self.done and bool(self._rest)

    def _read_head(self, data: bytes, place: int) -> int:
        end = data.find(b"\r\n\r\n", place)
        if end < 0:
            if len(data) - place > HEAD_BYTES:
                raise HttpFault(f"the answer's headers are longer than {HEAD_BYTES} bytes")
            _check_start(data[place : place + 5])
            return place
        head = read_head(data[place:end])
        if head.status < 200:  # noqa: PLR2004 - 100 Continue and its kind come before the answer
            return end + 4
        self.head = head
        if head.chunked:
            self._state = Framer._read_chunks
        else:
            self._state = Framer._read_plain
            self._left = -1 if head.length is None else head.length
            self.done = self._left == 0
        return end + 4

    def _read_plain(self, data: bytes, place: int) -> int:
        """A body of a known length, or (`_left` below 0) until the connection closes."""
        here = len(data) - place if self._left < 0 else min(len(data) - place, self._left)
        if not here:
            return place
        self._give(data, place, place + here)
        if self._left > 0:
            self._left -= here
            self.done = self._left == 0
        return place + here

    def _read_chunks(self, data: bytes, place: int) -> int:
        """Whole chunks, as many as there are."""
        parts, taken, size, find = self.parts, self._taken, len(data), data.find
        place, pieces, counts, ends = whole_chunks(data, place, taken, self._texts)
        parts.add_all(pieces, counts, ends)
        while (line := find(b"\r\n", place)) >= 0:
            try:
                length = int(data[place:line], 16)
            except ValueError:
                length = _chunk_size(data[place:line])
            if length <= 0:
                if length < 0:
                    raise HttpFault("the answer has a broken chunk size")
                self._state = Framer._read_trailers
                return line + 2
            start, stop = line + 2, line + 2 + length
            if stop + 2 > size:
                self._left = length
                self._state = Framer._read_part
                return start
            if data[stop : stop + 2] != b"\r\n":
                raise HttpFault("the answer's chunked coding is broken")
            parts.add(data[start:stop], taken + stop)
            place = stop + 2
        if size - place > _LINE_BYTES:
            raise HttpFault("the answer has a broken chunk size")
        return place

    def _read_part(self, data: bytes, place: int) -> int:
        """What has come of a chunk that is not whole yet."""
        here = min(len(data) - place, self._left)
        if here:
            self._give(data, place, place + here)
            self._left -= here
            return place + here
        if self._left or len(data) - place < 2:  # noqa: PLR2004
            return place
        if data[place : place + 2] != b"\r\n":
            raise HttpFault("the answer's chunked coding is broken")
        self._state = Framer._read_chunks
        return place + 2

    def _read_trailers(self, data: bytes, place: int) -> int:
        line = data.find(b"\r\n", place)
        if line < 0:
            if len(data) - place > _LINE_BYTES:
                raise HttpFault("the answer has an endless trailer")
            return place
        self.done = line == place
        return line + 2

    def _give(self, data: bytes, start: int, stop: int) -> None:
        self.parts.add(data[start:stop], self._taken + stop)


def _check_start(start: bytes) -> None:
    """The first bytes of a head that is not whole yet."""
    if start[:2] == b"\0\0" and start[3:4] == b"\4":  # a SETTINGS frame, RFC 9113 §3.4
        raise HttpFault("the server speaks HTTP/2 only")
    if not b"HTTP/".startswith(start):
        raise HttpFault("the answer is not HTTP/1.1")


def _chunk_size(line: bytes) -> int:
    """The size before a chunk extension; -1 where there is none."""
    digits = line.partition(b";")[0].strip(_SPACE)
    try:
        return int(digits, 16)
    except ValueError:
        return -1
