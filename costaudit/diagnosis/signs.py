"""Signs that several symptoms and the facts read from a window, each with three answers.

None is "no data". Where gauges were read too seldom the same quantity comes from counters: by
Little's law the mean number in a stage is the seconds that requests spent in it over the seconds of
the window (requests are counted when they end, so it lags by one request's length).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.diagnosis.symptom import Evidence
from costaudit.measure.window import RUNNING, WAITING, WHILE_WAITING
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from costaudit.measure.window import Levels, Window

FEW_SAMPLES = 5  # below this the levels of gauges are moments, not a mean
PLATEAU_SHARE = 0.1  # readings of a full batch lie within this below its highest
_UNKNOWN = Value(value=None, origin=Origin.UNKNOWN)


def seen(w: Window, name: str, what: str, value: float, unit: str = "") -> Evidence:
    """One observation, with the server's own name of the quantity it is from."""
    return Evidence(what=what, value=value, unit=unit, where=w.native(name))


def prompted(w: Window) -> float | None:
    """Prompt tokens of the window, cached ones included."""
    return (
        w.grown("tokens.prompt_total")
        if "tokens.prompt_total" in w.counters
        else _sum(w, "req.prompt_tokens")
    )


def generated(w: Window) -> float | None:
    """Generated tokens of the window."""
    if "tokens.generation_total" in w.counters:
        return w.grown("tokens.generation_total")
    return _sum(w, "req.generation_tokens")


def finished(w: Window) -> float | None:
    """Requests that ended in the window."""
    if "requests.completed_total" in w.counters:
        return w.grown("requests.completed_total")
    ended = w.histograms.get("latency.e2e")
    return None if ended is None else ended.count


def preemptions(w: Window) -> float | None:
    """Requests pushed out of the batch in the window (vLLM), retracted (SGLang), paused (TRT)."""
    counted = w.grown("preemptions_total")
    return counted if counted is not None else _sum(w, "req.preemptions")


def kv(w: Window) -> Levels | None:
    """KV cache in use, as a share, over the readings."""
    return w.levels("kv.usage_fraction")


def steps(w: Window) -> float | None:
    """Iterations of the engine in the window."""
    counted = w.histograms.get("batch.iteration_tokens")
    return counted.count if counted is not None else w.grown("batch.exec_count")


def worked(w: Window) -> bool | None:
    """Some request was there in the window; None: the metrics do not tell."""
    told = [x for x in (generated(w), prompted(w), finished(w), steps(w)) if x is not None]
    running, waiting = w.levels(RUNNING), w.levels(WAITING)
    told += [levels.high for levels in (running, waiting) if levels is not None]
    return any(x > 0 for x in told) if told else None


def queued_mean(w: Window) -> float | None:
    """Mean number of waiting requests: of the readings, or by Little's law where they are few."""
    waiting = w.levels(WAITING)
    if waiting is not None and waiting.samples >= FEW_SAMPLES:
        return waiting.mean
    by_law = _in_stage(w, "latency.queue")
    return by_law if by_law is not None else (None if waiting is None else waiting.mean)


def batch_mean(w: Window) -> float | None:
    """Mean requests in the batch while it was not empty.

    Of the readings; where they are few, generated tokens over iterations, or Little's law. A server
    that exports neither running requests nor iterations does not tell (Triton's core counts a
    stream's requests, not its time).
    """
    running = w.levels(RUNNING)
    if running is not None and running.samples >= FEW_SAMPLES and running.above_zero_share > 0:
        return running.mean / running.above_zero_share
    made, done = generated(w), steps(w)
    if made and done:
        return made / done
    if running is None:
        return None
    by_law = _in_stage(w, "latency.inference")
    return by_law or running.mean


def ranks(w: Window) -> int:
    """Ranks or replicas that the page tells apart: each has a batch and a cap of its own."""
    return max(1, len(w.ranks.get(RUNNING, {})))


def kv_needed(w: Window) -> float | None:
    """Share of a rank's KV cache that its mean batch fills, by its mean context; None: no data.

    Half of a request's generated tokens are there on average. It stands in where the gauge was
    read too seldom.
    """
    room, batch = w.knob("kv_tokens_total"), batch_mean(w)
    prompt, output = w.mean("req.prompt_tokens"), w.mean("req.generation_tokens")
    if not isinstance(room, (int, float)) or room <= 0 or None in (batch, prompt, output):
        return None
    return (batch or 0.0) / ranks(w) * ((prompt or 0.0) + (output or 0.0) / 2) / room


def context_limit(w: Window) -> float | None:
    """The longest prompt plus output that the server takes; None: not told."""
    exported = w.levels("model.max_len")
    if exported is not None and exported.last > 0:
        return exported.last
    told = w.knob("max_model_len")
    return float(told) if isinstance(told, (int, float)) and told > 0 else None


def queue_share(w: Window) -> float | None:
    """Share of the finished requests' time that they waited."""
    queue, whole = w.histograms.get("latency.queue"), w.histograms.get("latency.e2e")
    if queue is not None and whole is not None and whole.total > 0:
        return min(1.0, queue.total / whole.total)
    waited, spent = w.grown("latency.queue_sum"), w.grown("latency.e2e_sum")
    return min(1.0, waited / spent) if waited is not None and spent else None


def slots(w: Window) -> Value:
    """The most requests that the batches of all ranks take: told, given, a default, or a plateau.

    A plateau: while requests waited, the batch stayed as full as it ever was.
    """
    exported = w.levels("config.max_num_seqs")
    if exported is not None and exported.last > 0:
        why = w.native("config.max_num_seqs")
        return Value(value=exported.last, origin=Origin.EXPORTED, why=why)
    knob = _of_all_ranks(w, w.knobs.get("max_num_seqs", _UNKNOWN))
    if knob.origin in {Origin.EXPORTED, Origin.GIVEN}:
        return knob
    full = w.levels(RUNNING + WHILE_WAITING)
    if full is not None and is_plateau(full, ranks(w)):
        why = "the batch never held more, and stayed so full while requests waited"
        return Value(value=full.high, origin=Origin.OBSERVED, why=why)
    return knob


def _of_all_ranks(w: Window, knob: Value) -> Value:
    """A cap of each rank as that of all."""
    if ranks(w) == 1 or isinstance(knob.value, bool) or not isinstance(knob.value, (int, float)):
        return knob
    why = f"{knob.why}; {knob.value:g} for each of {ranks(w)} ranks".removeprefix("; ")
    return replace(knob, value=knob.value * ranks(w), why=why)


def is_plateau(levels: Levels, ranks: int) -> bool:
    """Three readings or more, half of them at the highest or near: a limit, not a load."""
    few = 3
    near = max(1.0 * ranks, PLATEAU_SHARE * levels.high)
    return levels.samples >= few and levels.high > 0 and levels.high - levels.usual <= near


def _sum(w: Window, name: str) -> float | None:
    found = w.histograms.get(name)
    return None if found is None else found.total


def _in_stage(w: Window, name: str) -> float | None:
    found = w.histograms.get(name)
    if found is None or w.seconds <= 0 or not math.isfinite(found.total):
        return None
    return found.total / w.seconds
