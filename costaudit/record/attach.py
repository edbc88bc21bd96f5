"""The Python door: `with costaudit.attach(model) as session:` watches a user's own program.

What an attached recording holds:

- facts "target", "model", "knob", "device", "host", "versions", "workload" (probe "attached", no
  scale, no SLO), "kv" (bytes per token as the program's own cache holds them), "replay" itl_s, and
  the device's peaks, measured on leaving unless `peaks=False`;
- samples of role ATTACHED in the order in which they were computed. Like a replay's they are whole
  spans: seconds and load are summed over `steps`. A prefill call is one row; consecutive decode
  steps of one batch are one row of at most 64 steps. Each row has a task of its own,
  "attached-<batch>/<row>". `seconds` counts the forward calls alone; `wall_s` also what the
  program did between them (sampling, stopping, detokenizing);
- one request per sequence of each batch: prompt length from the attention mask, output length up to
  the padding token, or the batch's own where the program gives neither. No tokens are kept.

No row is set aside to judge a fit: whoever fits chooses which loads judge. A prefill behind a cache
that has been decoded from opens a new batch, so a chat's turns are requests of their own, and so
are the verification steps of assisted decoding, which cannot be told from them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import costaudit
from costaudit.ground.stats import percentile
from costaudit.record import about
from costaudit.record.engines.engine import Timing
from costaudit.record.failure import remove
from costaudit.record.kv import ELEMENT_BYTES
from costaudit.record.meters.nvtx_ranges import PhaseRanges
from costaudit.record.peaks import datasheet_facts, measure_peaks
from costaudit.record.watch import Watcher
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Fact, RequestRow, Sample
from costaudit.recording.target_facts import target_facts
from costaudit.target.target import Origin
from costaudit.target.work import kv_bytes_per_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from costaudit.record.engines.clock import Clock

PEAKS_S = 3.0


def attach(model: Any, path: str | Path | None = None, *, peaks: bool = True) -> Session:
    """Watch a Hugging Face causal LM while the `with` block runs; nothing it returns is changed.

    `path` is the recording to write, by default `attached-<time>.costaudit` in the working
    directory. With `peaks` the device's peaks are measured on leaving (about three seconds),
    without which a recording can be read but not billed.

    Raises (on entering the block):
        UsageError: the recording cannot be written there.
        TargetError: the model is no attention model of transformers.
    """
    if path is None:
        path = f"attached-{datetime.now(UTC):%Y%m%d-%H%M%S}.costaudit"
    return Session(model, Path(path), peaks=peaks)


class Session:
    """A recording in the making; `path` is its file. Use it as a context manager, once."""

    def __init__(self, model: Any, path: Path, *, peaks: bool) -> None:
        self.path = path
        self._model = model
        self._peaks = peaks

    def __enter__(self) -> Self:
        from costaudit.record.engines.describe import describe_model

        target = describe_model(self._model)
        self._target = target
        self._recording = Recording.create(self.path)
        try:
            self._recording.set_meta(
                kind="attached",
                costaudit=costaudit.__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self._clock, clock_facts = _clock(self._model)
            self._recording.add(
                *target_facts(target),
                *clock_facts,
                *self._device(),
                *about.about_software(),
                *_workload(),
                PhaseRanges().state,
            )
            self._watcher = Watcher(
                self._model,
                clock=self._clock,
                pad_id=_pad_id(self._model),
                sink=self._keep,
                clock_s=self._recording.clock_s,
            )
            self._kv_hook = self._model.register_forward_hook(self._weigh_cache)
            self._watcher.open()
        except BaseException:
            self._recording.close()
            remove(self.path)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._kv_hook.remove()
            self._watcher.close()
            self._recording.add(self._itl())
            if kind is None and self._peaks:
                self._recording.add(*self._measured_peaks())
        finally:
            self._recording.close()

    def _keep(self, rows: Sequence[Sample | RequestRow]) -> None:
        self._recording.add(*rows)

    def _device(self) -> tuple[Fact, ...]:
        from costaudit.record.engines.memory import device_memory_bytes

        device = self._model.device
        name = about.device_name(str(device))
        values = {
            "name": name,
            "kind": device.type,
            "count": 1,
            "memory_bytes": device_memory_bytes(device)[1],
        }
        return (
            *(Fact(subject="device", name=n, value=v) for n, v in values.items()),
            *datasheet_facts(name or "", kind=device.type, dtype=self._target.dtype),
        )

    def _weigh_cache(self, _module: Any, _args: Any, output: Any) -> None:
        """Weigh the first cache that the program fills, once."""
        cache = getattr(output, "past_key_values", None)
        if cache is None or not hasattr(cache, "layers"):
            return
        self._kv_hook.remove()
        with suppress(Exception):  # a cache of unknown make is left unknown, never an error
            self._recording.add(*_kv_facts(cache, self._target.dtype, self._target.known_shape))

    def _itl(self) -> Fact:
        gaps = self._watcher.gaps_s
        if not gaps:
            why = "no decode step was seen"
            return Fact(subject="replay", name="itl_s", value=None, unit="s", why=why)
        value: dict[str, float] = {
            f"p{round(s * 100)}": percentile(gaps, s) for s in (0.5, 0.95, 0.99)
        }
        value["samples"] = len(gaps)
        return Fact(subject="replay", name="itl_s", value=value, unit="s")

    def _measured_peaks(self) -> tuple[Fact, ...]:
        from costaudit.record.engines.memory import free_bytes

        return measure_peaks(
            self._timed,
            device=str(self._model.device),
            dtype=self._target.dtype,
            budget_s=PEAKS_S,
            free_bytes=free_bytes(self._model.device),
        )

    def _timed(self, run: Callable[[], None]) -> Timing:
        self._clock.wait()
        wall, start = time.perf_counter(), self._clock.mark()
        run()
        (seconds,) = self._clock.seconds(start, self._clock.mark())
        return Timing(seconds=seconds, wall_s=time.perf_counter() - wall, clock=self._clock.name)


class WallClock:
    """Elapsed time, where torch computes in several threads and CPU time of one tells little."""

    name = "wall"

    def mark(self) -> float:
        """Seconds now."""
        return time.perf_counter()

    def seconds(self, start: float, *ends: float) -> list[float]:
        """Differences of the marks."""
        return [end - start for end in ends]

    def wait(self) -> None:
        """Nothing is ever queued on a CPU."""


def _clock(model: Any) -> tuple[Clock, tuple[Fact, ...]]:
    """The clock for the program as it is, and the facts that go with it."""
    import torch

    from costaudit.record.engines.clock import clock_for

    threads = torch.get_num_threads()
    if model.device.type != "cpu":
        return clock_for(model.device), ()
    alone = threads == 1
    why = (
        "CPU time of the calling thread, which does all the work"
        if alone
        else f"the program lets torch compute in {threads} threads, so elapsed time is taken: it "
        "counts other programs' load too"
    )
    clock: Clock = clock_for(model.device) if alone else WallClock()
    return clock, (
        Fact(subject="knob", name="compute_threads", value=threads, why=why),
        Fact(subject="design", name="clock", value=clock.name, why=why),
    )


def _pad_id(model: Any) -> int | None:
    for config in (getattr(model, "generation_config", None), model.config):
        value = getattr(config, "pad_token_id", None)
        if isinstance(value, int):
            return value
    return None


def _workload() -> tuple[Fact, ...]:
    values: dict[str, tuple[object, str]] = {
        "probe": ("attached", ""),
        "stands_for": ("the calls seen in the program that was attached to", ""),
        "scale": (1.0, ""),
        "slo": ({}, "the program declares none"),
        "load": ({"concurrency": None, "requests_per_s": None}, "not declared"),
    }
    return tuple(
        Fact(subject="workload", name=n, value=v, why=why) for n, (v, why) in values.items()
    )


def _kv_facts(cache: Any, dtype: str, shape: Any) -> tuple[Fact, ...]:
    """Bytes per token of a cache that has just been filled, beside the formula."""
    from costaudit.record.engines.kv_tensors import held_bytes

    seqs, tokens = int(cache.layers[0].keys.shape[0]), int(cache.get_seq_length())
    held = held_bytes(cache) / (seqs * tokens)
    element = ELEMENT_BYTES.get(dtype)
    formula = None if element is None else kv_bytes_per_token(shape, element)
    why = f"tensors held by the program after {seqs} sequences of {tokens} tokens"
    unknown = "" if formula is not None else f"no element size is known for {dtype}"
    return (
        Fact(subject="kv", name="bytes_per_token", value=held, unit="B", why=why),
        Fact(
            subject="kv",
            name="bytes_per_token_formula",
            value=formula,
            unit="B",
            origin=str(Origin.OBSERVED if formula is not None else Origin.UNKNOWN),
            why=unknown,
        ),
        Fact(subject="kv", name="element_bytes", value=element, unit="B", why=unknown),
    )
