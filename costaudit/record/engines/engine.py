"""What the recorder asks of an engine that runs in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.target.load import StepLoad
    from costaudit.target.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Device seconds by `clock` ("thread_time" on a CPU, "cuda_event" on a GPU), wall seconds."""

    seconds: float
    wall_s: float
    clock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSteps:
    """Equal steps that can be run again and again from the same state.

    `run` executes `steps` steps of `load` each; caches are set back outside the timed part by
    `reset`, which is called before every `run`.
    """

    load: StepLoad
    steps: int
    reset: Callable[[], None]
    run: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedSpan:
    """One phase of one static batch: `load` is summed over its `steps`."""

    phase: str  # "prefill" or "decode"
    steps: int
    load: StepLoad
    timing: Timing


class LocalEngine(Protocol):
    """Drives a model in this process. All token ids are random; no text is ever needed."""

    target: Target
    device_kind: str  # "cpu" or "cuda"

    def prepare_prefill(self, *, seqs: int, new_tokens: int, cached_tokens: int) -> PreparedSteps:
        """One prefill step of `seqs` prompts of `new_tokens` behind `cached_tokens` of context."""

    def prepare_decode(self, *, seqs: int, context_tokens: int, steps: int) -> PreparedSteps:
        """`steps` decode steps of `seqs` sequences that start with `context_tokens` each."""

    def timed(self, run: Callable[[], None]) -> Timing:
        """Run and time by the right clock for this device (synchronised)."""

    def replay_batch(
        self, lengths: Sequence[tuple[int, int]]
    ) -> tuple[Sequence[ReplayedSpan], Sequence[float]]:
        """Run one static batch of (prompt, output) lengths as `generate` does.

        Prompts are left-padded to the longest, rows go on until the longest output ends. Returns
        the prefill span and the decode span, and the device seconds after which each of the
        longest batch's tokens was there (first entry: TTFT of the batch).
        """

    def kv_bytes_held(self, *, seqs: int, tokens: int) -> int:
        """Bytes in the cache tensors after `seqs` sequences of `tokens` tokens were computed."""

    def memory_bytes(self) -> tuple[int, int]:
        """(used by this process or device, total) bytes of the memory that holds the KV cache."""

    def close(self) -> None:
        """Let the model go."""


@runtime_checkable
class QuantizableEngine(Protocol):
    """An engine that can hold its layers against the same in fewer bits."""

    def int8_speedups(self, rows: Sequence[int]) -> Mapping[int, float]:
        """Seconds of its linear layers over those of their int8, by rows; empty: no int8 here."""

    def low_bit_speedups(self, rows: Sequence[int]) -> Mapping[str, Mapping[int, float]]:
        """The same by format and rows, on a GPU; empty elsewhere."""


@runtime_checkable
class StreamEngine(Protocol):
    """An engine that also batches continuously by itself."""

    def replay_stream(self, lengths: Sequence[tuple[int, int]], *, rows: int) -> Timing:
        """Run requests of (prompt, output) lengths, all waiting from the start, `rows` together."""
