"""An engine without a model: synthetic step times with noise, so that a whole run takes seconds."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

from costaudit.record.engines.engine import PreparedSteps, ReplayedSpan, Timing
from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.target.shape import ModelShape
from costaudit.target.target import Target

SHAPE = ModelShape(
    name="fake",
    architecture="FakeForCausalLM",
    layers=4,
    hidden=256,
    ffn=512,
    heads=4,
    kv_heads=2,
    head_dim=64,
    vocab=1000,
    max_context_tokens=2048,
)
TARGET = Target(
    kind="in-process",
    engine="fake",
    engine_version="1",
    model="fake",
    weights="random",
    dtype="float32",
    shape=SHAPE,
)
KV_BYTES = 2 * 4 * 2 * 64 * 4  # per token


def step_s(load: StepLoad) -> float:
    """Seconds of a step without noise."""
    if load.prefill_tokens:
        return 1e-4 + 2e-5 * load.prefill_tokens + 2e-9 * load.prefill_pairs
    return 2e-3 + 1e-4 * load.decode_seqs + 1e-7 * load.decode_context_tokens


@dataclass
class FakeEngine:
    """Times come from `step_s`; `calls` counts, `fail_at` raises, `real_s` sleeps per timing."""

    target: Target = TARGET
    device_kind: str = "cpu"
    noise_share: float = 0.05
    real_s: float = 0.0
    speed: float = 1.0
    fail_at: int | None = None
    failure: BaseException = field(default_factory=lambda: RuntimeError("kernel died"))
    total_bytes: int = 8 << 30
    used_bytes: int = 1 << 30
    calls: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self._random = random.Random(1)
        self._due = 0.0

    def prepare_prefill(self, *, seqs, new_tokens, cached_tokens):
        load = prefill_load(new_tokens=new_tokens, cached_tokens=cached_tokens, seqs=seqs)
        return self._prepared(load, 1)

    def prepare_decode(self, *, seqs, context_tokens, steps):
        load = decode_load(seqs=seqs, context_tokens=context_tokens)
        assert context_tokens + steps <= self.target.shape.max_context_tokens
        return self._prepared(load, steps)

    def _prepared(self, load, steps):
        def run() -> None:
            self._due += step_s(load) * steps / self.speed

        return PreparedSteps(load=load, steps=steps, reset=lambda: None, run=run)

    def timed(self, run):
        self._due = 0.0
        began = time.perf_counter()
        run()
        if not self._due:  # real work, such as a GEMM of the peaks, as often as its noise asks for
            real = time.perf_counter() - began
            return Timing(seconds=real, wall_s=real, clock="thread_time")
        self.calls += 1
        if self.fail_at is not None and self.calls >= self.fail_at:
            raise self.failure
        if self.real_s:
            time.sleep(self.real_s)
        seconds = self._due * (1 + abs(self._random.gauss(0, self.noise_share)))
        wall_s = time.perf_counter() - began
        return Timing(seconds=seconds, wall_s=wall_s, clock="thread_time")

    def replay_batch(self, lengths):
        seqs, width = len(lengths), max(p for p, _ in lengths)
        steps = max(o for _, o in lengths) - 1
        assert width + steps <= self.target.shape.max_context_tokens
        prefill = prefill_load(new_tokens=width, seqs=seqs)
        first = self.timed(self._prepared(prefill, 1).run)
        times = [first.seconds]
        spans = [ReplayedSpan(phase="prefill", steps=1, load=prefill, timing=first)]
        context = 0
        for n in range(steps):
            load = decode_load(seqs=seqs, context_tokens=width + n)
            times.append(times[-1] + step_s(load))
            context += seqs * (width + n)
        if steps:
            took = times[-1] - times[0]
            timing = Timing(seconds=took, wall_s=0.0, clock="thread_time")
            load = StepLoad(decode_seqs=seqs * steps, decode_context_tokens=context)
            spans.append(ReplayedSpan(phase="decode", steps=steps, load=load, timing=timing))
        return spans, times

    def kv_bytes_held(self, *, seqs, tokens):
        return KV_BYTES * seqs * tokens

    def memory_bytes(self):
        return self.used_bytes, self.total_bytes

    def close(self) -> None:
        self.closed = True
