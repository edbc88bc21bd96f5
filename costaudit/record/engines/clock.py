"""Device clocks: thread CPU time on a CPU, CUDA events on a GPU.

Wall time on shared cores is off by 28-41 % where the CPU time of one computing thread is off by
3-4 %; CUDA launches return before the work is done, so only events on the stream tell its time.
"""

from __future__ import annotations

import time
from typing import Any, Protocol


class Clock(Protocol):
    """Marks moments on the device; seconds between marks are read when all are set."""

    name: str

    def mark(self) -> Any:
        """A moment, set behind all work that was queued so far."""

    def seconds(self, start: Any, *ends: Any) -> list[float]:
        """Device seconds from `start` to each of `ends`; waits for the device."""

    def wait(self) -> None:
        """Return when the device has nothing left to do."""


class ThreadClock:
    """CPU time of the calling thread; true only while torch computes in one thread."""

    name = "thread_time"

    def mark(self) -> float:
        """CPU seconds of this thread so far."""
        return time.thread_time()

    def seconds(self, start: float, *ends: float) -> list[float]:
        """Differences of the marks."""
        return [end - start for end in ends]

    def wait(self) -> None:
        """Nothing is ever queued on a CPU."""


class CudaClock:
    """CUDA events on the current stream of one device."""

    name = "cuda_event"

    def __init__(self, device: Any) -> None:
        self.device = device

    def mark(self) -> Any:
        """An event in the current stream."""
        import torch

        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event

    def seconds(self, start: Any, *ends: Any) -> list[float]:
        """Elapsed times between the events (CUDA gives milliseconds)."""
        self.wait()
        return [start.elapsed_time(end) / 1e3 for end in ends]

    def wait(self) -> None:
        """Synchronise with the device."""
        import torch

        torch.cuda.synchronize(self.device)


def clock_for(device: Any) -> Clock:
    """The right clock for a torch device."""
    return CudaClock(device) if device.type == "cuda" else ThreadClock()
