"""The pressure ramp: more and more sequences at one context, until memory or time ends it.

Each rung is predicted before it is tried: what its cache will hold, the copy that a growing cache
makes of one layer, and the logits. A rung that would pass the budget, or come near what the
machine has free, is not tried, so the process is never killed for memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.kv import growth_bytes_per_token
from costaudit.record.meters.host import host_memory
from costaudit.record.run import PRESSURE_SHARE, Run
from costaudit.record.steps import once
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from costaudit.record.engines.engine import LocalEngine

_STEPS = 1
_FREE_SHARE = 0.8  # of free memory a rung may take; the rest is for what nobody foresees
_FACTOR = 4  # sequences of a rung over those of the one before
_GROWTH = 1.15  # wall seconds per sequence over those of the rung before
_SHORT_S = 0.25  # a rung behind one as short is run twice, the first time cold


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Why the ramp ended; `by_memory` when more sequences would not fit."""

    why: str
    by_memory: bool


def ramp(run: Run, task: Task) -> None:
    """Raise concurrency rung by rung, one fact per rung, then say what ended it.

    The fact "max_concurrency" holds the largest rung where memory ended the ramp; where time did,
    it is unknown.
    """
    context = _context(run)
    budget = run.fact("kv", "budget_bytes")
    per_sequence = (context + _STEPS) * growth_bytes_per_token(run)
    most = int(budget / per_sequence) if isinstance(budget, (int, float)) else 1
    reached, end = _climb(run, context, most)
    known = end.by_memory and reached > 0
    run.recording.add(
        Fact(subject="kv", name="ramp_context_tokens", value=context, unit="tokens"),
        Fact(subject="kv", name="ramp_ended", value=end.why),
        Fact(
            subject="kv",
            name="max_concurrency",
            value=reached if known else None,
            unit="sequences",
            origin="observed" if known else "unknown",
            why=f"at {context} tokens each; {end.why}",
        ),
        done=task.id,
    )


def _climb(run: Run, context: int, most: int) -> tuple[int, _End]:
    """(Sequences of the last rung, why it was the last). `most` fit in the budget."""
    until = time.monotonic() + run.options.time_budget_s * PRESSURE_SHARE
    reached, run_s = 0, 0.0
    for seqs in _rungs(most):
        need, free = _need_bytes(run, seqs, context), free_bytes(run.engine)
        if need > free * _FREE_SHARE:
            why = f"{seqs} sequences need {need:.0f} bytes, {free} are free"
            return reached, _End(why=why, by_memory=True)
        expected_s = run_s * _GROWTH * seqs / max(reached, 1)
        if reached and time.monotonic() + expected_s > until:
            return reached, _End(why="the time set aside for it", by_memory=False)
        runs = 2 if run_s < _SHORT_S else 1
        began = time.monotonic()
        try:
            _rung(run, seqs, context, runs=runs)
        except (TargetError, MemoryError) as err:
            return reached, _End(why=f"{seqs} sequences: {err}", by_memory=True)
        reached, run_s = seqs, (time.monotonic() - began) / runs
    why = "the memory budget is full" if reached else "the budget holds not even one sequence"
    return reached, _End(why=why, by_memory=True)


def _rungs(most: int) -> list[int]:
    """Factors of four that end at `most` exactly."""
    rungs = [most] if most > 0 else []
    while rungs and rungs[0] >= _FACTOR:
        rungs.insert(0, rungs[0] // _FACTOR)
    return rungs


def _rung(run: Run, seqs: int, context: int, *, runs: int) -> None:
    prepared = run.engine.prepare_decode(seqs=seqs, context_tokens=context, steps=_STEPS)
    seconds = min(once(run.engine, prepared).seconds for _ in range(runs))
    used, _ = run.engine.memory_bytes()
    value = {
        "seqs": seqs,
        "tokens": seqs * context,
        "bytes": round(seqs * context * growth_bytes_per_token(run)),
        "memory_used_bytes": used,
        "s": seconds / _STEPS,
    }
    run.recording.add(Fact(subject="kv", name=f"ramp/{seqs}", value=value))


def _need_bytes(run: Run, seqs: int, context: int) -> float:
    """Cache, twice one layer's part of it (old and new while it grows), and logits in float32."""
    shape = run.engine.target.known_shape
    cache = seqs * (context + _STEPS) * growth_bytes_per_token(run)
    return cache * (1 + 2 / shape.layers) + 3 * seqs * shape.vocab * 4


def _context(run: Run) -> int:
    """Mean live length of the workload's requests: prompt plus half the output."""
    prompts, outputs = (run.fact("workload", name) for name in ("prompt_tokens", "output_tokens"))
    mean = 0.0
    if isinstance(prompts, dict) and isinstance(outputs, dict):
        mean = prompts["mean"] + outputs["mean"] / 2
    room = run.engine.target.known_shape.max_context_tokens - _STEPS
    return max(1, min(round(mean), room))


def free_bytes(engine: LocalEngine) -> int:
    """Bytes that can still be taken from the memory that holds the cache."""
    if engine.device_kind == "cpu":
        return host_memory().available_bytes
    used, total = engine.memory_bytes()
    return total - used
