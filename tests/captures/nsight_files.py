"""Nsight Systems exports of our own making, in the three shapes that exports come in."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PROCESS = 0x0100_0000_1000_0000  # a globalPid: HW 1, PID 0x10
THREAD = PROCESS | 0x11
OTHER = PROCESS | 0x12

_KERNEL = {
    "3.18.0": ("start", "end", "deviceId", "streamId", "correlationId", "globalPid"),
    "3.23.3": ("start", "end", "deviceId", "streamId", "correlationId", "globalPid", "graphNodeId"),
    "3.25.0": ("start", "end", "deviceId", "streamId", "correlationId", "globalPid", "graphNodeId",
               "graphId", "greenContextId"),
}  # fmt: skip
_NVTX = ("start", "end", "eventType", "text", "globalTid", "endGlobalTid", "textId", "uint64Value")


class NsightFile:
    """An export that is filled row by row; names as string ids, or inline where `inline`."""

    def __init__(self, path: Path, *, schema: str = "3.25.0", inline: bool = False) -> None:
        self.path, self.inline = path, inline
        self.kernel_columns = _KERNEL[schema]
        self.db = sqlite3.connect(path, isolation_level=None)
        self._table("META_DATA_EXPORT", ("name", "value"))
        self.add("META_DATA_EXPORT", name="EXPORT_SCHEMA_VERSION", value=schema)
        self._table("StringIds", ("id", "value"))
        self._table("TARGET_INFO_GPU", ("id", "name", "totalMemory", "memoryBandwidth"))
        self.add(
            "TARGET_INFO_GPU",
            id=0,
            name="NVIDIA H200",
            totalMemory=150_000_000_000,
            memoryBandwidth=4_917_000_000_000,
        )

    def _table(self, name: str, columns: tuple[str, ...]) -> None:
        quoted = ", ".join(f'"{column}"' for column in columns)
        self.db.execute(f"CREATE TABLE IF NOT EXISTS {name} ({quoted})")

    def add(self, table: str, **values: Any) -> None:
        """A row of a table that is there."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))  # noqa: S608 - ours

    def kernel(
        self,
        start: int,
        end: int,
        correlation: int,
        *,
        stream: int = 7,
        device: int = 0,
        node: int | None = None,
    ) -> None:
        """One kernel; `node` of a graph."""
        self._table("CUPTI_ACTIVITY_KIND_KERNEL", self.kernel_columns)
        values = {"start": start, "end": end, "deviceId": device, "streamId": stream,
                  "correlationId": correlation, "globalPid": PROCESS}  # fmt: skip
        if node is not None:
            values["graphNodeId"] = node
        self.add("CUPTI_ACTIVITY_KIND_KERNEL", **values)

    def call(self, start: int, end: int, correlation: int, *, thread: int = THREAD) -> None:
        """The API call that launched kernels."""
        self._table("CUPTI_ACTIVITY_KIND_RUNTIME", ("start", "end", "globalTid", "correlationId"))
        values = {"start": start, "end": end, "globalTid": thread, "correlationId": correlation}
        self.add("CUPTI_ACTIVITY_KIND_RUNTIME", **values)

    def range(
        self,
        start: int,
        end: int | None,
        name: str,
        *,
        thread: int = THREAD,
        end_thread: int | None = None,
        tokens: int | None = None,
    ) -> None:
        """A push/pop range, or one that ends on another thread."""
        self._table("NVTX_EVENTS", _NVTX)
        text, key = (name, None) if self.inline else (None, self._string(name))
        self.add(
            "NVTX_EVENTS",
            start=start,
            end=end,
            eventType=59 if end_thread is None else 60,
            text=text,
            textId=key,
            globalTid=thread,
            endGlobalTid=end_thread,
            uint64Value=tokens,
        )

    def _string(self, value: str) -> int:
        found = self.db.execute("SELECT id FROM StringIds WHERE value = ?", (value,)).fetchone()
        if found:
            return int(found[0])
        (key,) = self.db.execute("SELECT count(*) + 1 FROM StringIds").fetchone()
        self.add("StringIds", id=key, value=value)
        return int(key)

    def metrics(self, name: str, *readings: tuple[int, float]) -> None:
        """Samples of one GPU metric."""
        self._table("TARGET_INFO_GPU_METRICS", ("metricId", "metricName"))
        self._table("GPU_METRICS", ("timestamp", "typeId", "metricId", "value"))
        self.add("TARGET_INFO_GPU_METRICS", metricId=5, metricName=name)
        self.db.execute("BEGIN")
        for at, value in readings:
            self.add("GPU_METRICS", timestamp=at, typeId=1, metricId=5, value=value)
        self.db.execute("COMMIT")

    def close(self) -> Path:
        """The finished file."""
        self.db.close()
        return self.path
