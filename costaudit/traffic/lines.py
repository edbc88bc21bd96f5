"""Text files as Arrow batches of lines: one pass, bounded memory, no line lost without a word.

A line keeps its file and number. A line that is too long, or no UTF-8, is counted and left out;
the engine never sees it.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from costaudit.ground.errors import UsageError
from costaudit.traffic.demand import Rejected

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa

    from costaudit.traffic.source import LogFile

    Chunk = tuple[int, int, pa.Array]  # index of the file, number of its first line, lines

CHUNK_BYTES = 8 << 20
MAX_LINE_BYTES = 16 << 20  # a prompt of four million tokens still fits
BOM = b"\xef\xbb\xbf"
TOO_LONG = f"line longer than {MAX_LINE_BYTES >> 20} MiB"
NOT_UTF8 = "line is not UTF-8 text"


@dataclass(slots=True)
class Lines:
    """The lines of some files as they pass; what was left out is known when all have passed.

    `header` is the first line of each file, checked to be the same and not handed out.
    """

    files: Sequence[LogFile]
    header: bytes | None = None
    left_out: dict[str, tuple[int, str]] = field(default_factory=dict)
    passed: int = 0
    failure: UsageError | None = None

    def reader(self) -> pa.RecordBatchReader:
        """A reader of `file` (index), `line` (from 1) and `text`, trimmed. To be read once."""
        import pyarrow as pa

        schema = pa.schema([("file", pa.int32()), ("line", pa.int64()), ("text", pa.string())])
        return pa.RecordBatchReader.from_batches(schema, self._guarded(schema))

    def rejected(self) -> tuple[Rejected, ...]:
        """Lines left out so far."""
        return tuple(
            Rejected(reason=reason, rows=rows, example=example)
            for reason, (rows, example) in self.left_out.items()
        )

    def batches(self) -> Iterator[Chunk]:
        """Per chunk: index of the file, number of its first line, lines with their newlines."""
        for index, file in enumerate(self.files):
            try:
                with open_bytes(file) as stream:
                    yield from self._of(index, file, stream)
            except (OSError, EOFError, zlib.error) as error:
                kind = "gzip file" if file.gzip else "file"
                raise UsageError(
                    f"{file.path} is not a readable {kind}: {error}",
                    hint="it may be cut off or damaged; `gzip -t` tells" if file.gzip else "",
                ) from error

    def _guarded(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Keep our own error: the engine would only hand its text through."""
        import pyarrow as pa

        try:
            for index, first, texts in self.batches():
                yield from self._sound(index, first, texts, schema)
        except UsageError as error:
            self.failure = error
            raise pa.ArrowInvalid(error.message) from error

    def _sound(
        self, index: int, first: int, texts: pa.Array, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        import numpy as np
        import pyarrow as pa
        from pyarrow import compute

        numbers = pa.array(np.arange(first, first + len(texts), dtype=np.int64))
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            sound = [self._is_text(index, first + i, text) for i, text in enumerate(_raw(texts))]
            keep = pa.array(sound)
            texts = texts.cast(pa.binary(), safe=False).filter(keep).cast(pa.string())
            numbers = numbers.filter(keep)
        self.passed += len(texts)
        texts = compute.ascii_trim_whitespace(texts)
        files = pa.array(np.full(len(texts), index, dtype=np.int32))
        yield pa.record_batch([files, numbers, texts], schema=schema)

    def _is_text(self, index: int, number: int, raw: bytes) -> bool:
        try:
            raw.decode()
        except UnicodeDecodeError:
            self._leave_out(NOT_UTF8, index, number, raw[:80].decode(errors="replace").strip())
            return False
        return True

    def _of(self, index: int, file: LogFile, stream: BinaryIO) -> Iterator[Chunk]:
        number, tail, dropped = 1, b"", 0
        while chunk := stream.read(CHUNK_BYTES):
            if dropped:  # inside a line that is too long
                end = chunk.find(b"\n")
                dropped += len(chunk) if end < 0 else end
                if end < 0:
                    continue
                self._leave_out(TOO_LONG, index, number, f"{dropped:,} bytes")
                number, chunk, dropped = number + 1, chunk[end + 1 :], 0
            chunk = tail + chunk
            last = chunk.rfind(b"\n") + 1
            whole, tail = chunk[:last], chunk[last:]
            if whole:
                number = yield from self._split(index, file, number, whole)
            if len(tail) > MAX_LINE_BYTES:
                dropped, tail = len(tail), b""
        if dropped:
            self._leave_out(TOO_LONG, index, number, f"{dropped:,} bytes")
        if tail:
            yield from self._split(index, file, number, tail + b"\n")

    def _split(
        self, index: int, file: LogFile, number: int, whole: bytes
    ) -> Generator[Chunk, None, int]:
        """Hand out the lines of `whole`, which ends with a newline; return the next number."""
        import numpy as np
        import pyarrow as pa

        ends = np.flatnonzero(np.frombuffer(whole, dtype=np.uint8) == ord("\n")) + 1
        offsets = np.concatenate(([0], ends)).astype(np.int32)
        after = number + len(ends)
        texts = pa.Array.from_buffers(
            pa.string(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(whole)]
        )
        if number == 1 and self.header is not None:
            self._check_header(file, whole[: ends[0]])
            number, texts = 2, texts[1:]
        cuts = [int(i) for i in np.flatnonzero(np.diff(offsets) > MAX_LINE_BYTES)]
        for cut in cuts:
            at = cut + after - len(ends)
            self._leave_out(TOO_LONG, index, at, f"{int(offsets[cut + 1] - offsets[cut]):,} bytes")
            yield index, number, texts[: at - number]
            texts, number = texts[at - number + 1 :], at + 1
        yield index, number, texts
        return after

    def _check_header(self, file: LogFile, line: bytes) -> None:
        if line.removeprefix(BOM).strip() != self.header:
            raise UsageError(
                f"{file.path} has other columns than {self.files[0].path}",
                hint="give logs of one layout at a time",
            )

    def _leave_out(self, reason: str, index: int, number: int, shown: str) -> None:
        rows, example = self.left_out.get(reason, (0, ""))
        where = f"{self.files[index].path.name} line {number}: {shown}"
        self.left_out[reason] = (rows + 1, example or where)


def open_bytes(file: LogFile) -> BinaryIO:
    """The bytes of a file, decompressed."""
    if file.gzip:
        return cast("BinaryIO", gzip.open(file.path, "rb"))
    return file.path.open("rb")


def _raw(texts: pa.Array) -> list[bytes]:
    import pyarrow as pa

    return cast("list[bytes]", texts.cast(pa.binary(), safe=False).to_pylist())
