"""Which metrics of a fleet are asked for, and which statistics of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.facts.metric_prefixes import prefixes_of
from costaudit.record.history.asks import Ask, Stat
from costaudit.record.meters.metric_sums import REPLICAS, TOLD_APART, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.facts.metric_map import MetricName
    from costaudit.record.history.collect import Answer

    Names = Mapping[str, tuple[MetricName, ...]]

RUNNING, WAITING = "requests.running", "requests.waiting"
# Counters and histograms by the beginning of their canonical names.
_GROWING = ("tokens.", "requests.", "preemptions_total", "prefix.", "latency.", "req.", "batch.",
            "spec.", "gpu.busy", "server.idle", "cpu.process", "step.",
            "grammar.", "dp.")  # fmt: skip
_EDGED = ("latency.ttft", "latency.itl", "latency.tpot", "latency.e2e", "latency.queue",
          "req.prompt_tokens", "req.generation_tokens", "req.max_tokens",
          "batch.iteration_tokens")  # fmt: skip
_BY_REASON = "requests.waiting_by_reason"  # each reason's part of the mean is all that is read
# Gauges that move, of which all statistics are asked; of other gauges the last value.
_MOVING = ("requests.running", "requests.waiting", "kv.usage_fraction", "kv.tokens_used",
           "kv.blocks_used", "requests.swapped", "requests.preempted_now", "preemptions_total",
           "batch.size")  # fmt: skip
_STILL = ("kv.", "config.", "model.max_len", "prefix.hit_rate", "spec.", "lora.", "sched.",
          "server.", "requests.", "batch.", "req.")  # fmt: skip
_MARKS = ("tokens.generation_total", "requests.completed_total", "latency.e2e.count")
PROCESS_CPU = "process_cpu_seconds_total"  # every Python program has it, servers or not
_COUNTED = ("requests.running", "requests.waiting")
# A batch's limit shows in its median, whatever falls short of it for a moment.
_WHILE_WAITING = {"requests.running": Stat.USUAL, "kv.usage_fraction": Stat.MEAN}


def labels_apart(known: Names) -> tuple[str, ...]:
    """The labels that tell series of one replica apart."""
    own = {
        label for names in known.values() for name in names for label in (*name.labels, name.split)
    }
    return tuple(dict.fromkeys([*TOLD_APART, *REPLICAS, *sorted(own - {""})]))


def asks_of(names: Sequence[str], known: Names) -> Iterable[Ask]:
    """What to ask of each metric that is there."""
    for prefix in prefixes_of(names):
        yield from _marks([n for n in sorted(names) if n.startswith(prefix.begins)], known)
    for name in sorted(names):
        for found, part in meant(name, known):
            yield from _of_metric(name, found, part)
            break  # the same metric, whatever servers call it so


def _marks(names: Sequence[str], known: Names) -> Iterable[Ask]:
    """Restarts and presence at the start, by the one counter that an engine surely has."""
    of = {
        f"{found.canonical}.{part}".rstrip("."): name
        for name in names
        for found, part in meant(name, known)
    }
    mark = next((of[canonical] for canonical in _MARKS if canonical in of), None)
    if mark is not None:
        yield Ask(name=mark, stat=Stat.RESTARTS)
        yield Ask(name=mark, stat=Stat.AT_START)
    if mark is not None and any(meant(PROCESS_CPU, known)):
        yield Ask(name=PROCESS_CPU, stat=Stat.GROWN, beside=mark)


def _of_metric(name: str, found: MetricName, part: str) -> Iterable[Ask]:
    canonical = found.canonical
    if part == "le":
        if canonical.startswith(_EDGED):
            yield Ask(name=name, stat=Stat.EDGES)
    elif part or found.kind == "counter":
        if canonical.startswith(_GROWING):
            yield Ask(name=name, stat=Stat.GROWN)
    elif canonical == _BY_REASON:
        yield Ask(name=name, stat=Stat.MEAN)
    elif canonical in _MOVING:
        yield from (Ask(name=name, stat=s) for s in (Stat.LOW, Stat.MEAN, Stat.HIGH, Stat.LAST))
        if canonical in _COUNTED:
            yield Ask(name=name, stat=Stat.ABOVE_ZERO)
        if canonical == RUNNING:
            yield Ask(name=name, stat=Stat.USUAL)
            yield Ask(name=name, stat=Stat.PRESENT)
    elif canonical.startswith(_STILL):
        yield Ask(name=name, stat=Stat.LAST)


def while_waiting(answers: Iterable[Answer], asks: Iterable[Ask], known: Names) -> list[Ask]:
    """How full the servers were while requests waited and others ran; nothing where none waited.

    One mean each: evaluations over the window with several metrics side by side cost the most.
    """
    canonical = {ask.name: name.canonical for ask in asks for name, _ in meant(ask.name, known)}
    queues = {
        ask.name
        for ask, row in answers
        if ask.stat is Stat.HIGH and canonical[ask.name] == WAITING and row.value > 0
    }
    rooms = sorted(name for name, what in canonical.items() if what in _WHILE_WAITING)
    found = []
    for queue in sorted(queues):
        own = [room for room in rooms if prefixes_of([room]) == prefixes_of([queue])]
        batches = [name for name in own if canonical[name] == RUNNING]
        held = (queue, *batches[:1])
        found += [
            Ask(name=room, stat=_WHILE_WAITING[canonical[room]], while_names=held) for room in own
        ]
    return found
