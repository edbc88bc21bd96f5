"""KV pressure: more streams of the workload, then longer prompts, until the cache's blocks run out.

Only where it was asked for, since it makes a server preempt on purpose; never beside others'
requests, never beyond the limits of the run, and a rung ends soon after it has shown that blocks
run out. Each rung is one fact (subject "pressure", named after its rung); the fact "ended" says why
the last one was the last. What the server's own metrics say of each rung is read by `measure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import mean
from costaudit.record.probing import timing
from costaudit.record.probing.climb import Tried, next_rung
from costaudit.record.probing.probing import RUNNING, WAITING
from costaudit.record.probing.rungs import cold_shots, run_rung
from costaudit.record.probing.strain import Strain
from costaudit.record.probing.workload_shots import cycled, drawn_requests
from costaudit.recording.answers import most_at_once
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.probe.draw import DrawnRequest
    from costaudit.record.client.load import RungEnd, Shot
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer

SUBJECT, ENDED = "pressure", "ended"
USAGE, PREEMPTIONS = "kv.usage_fraction", "preemptions_total"
RUNG_SHARE = 0.4  # of the time that is left; each stream's first request is enough
LIVES = 2  # requests per stream of a rung: streams come out of step, and live at full length


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """The audited requests, and how far they may be raised."""

    drawn: tuple[DrawnRequest, ...]
    top: int  # streams
    longest_prompt: int
    output: int  # of equal, longer requests

    @property
    def prompt(self) -> int:
        """Mean prompt of the audited requests."""
        return round(mean([r.prompt_tokens for r in self.drawn]))

    @property
    def live_tokens(self) -> float:
        """What one of them holds of the cache in the mean: its prompt and half of its answer."""
        return mean([r.prompt_tokens + r.output_tokens / 2 for r in self.drawn])


def plan_pressure(probing: Probing) -> list[Task]:
    """The one task of this phase, where it was asked for."""
    if not probing.options.pressure:
        return []
    est_s = timing.PRESSURE_SHARE * probing.options.time_budget_s
    return [Task(id=SUBJECT, kind=SUBJECT, spec={"purpose": SUBJECT, "est_s": est_s})]


def press(probing: Probing, task: Task) -> None:
    """Rung after rung until the knee is between two of them, or something ends it."""
    probing.settle()
    why = _unfit(probing)
    until_s = probing.recording.clock_s() + timing.PRESSURE_SHARE * probing.options.time_budget_s
    load = _load(probing)
    while not why:
        tried = _tried(probing)
        start = _start(probing, load)
        rung = next_rung(
            tried, start=start, top=load.top, prompt=load.prompt, longest=load.longest_prompt
        )
        if isinstance(rung, str):
            why = rung
        elif probing.guard.why:
            why = probing.guard.why
        elif probing.recording.clock_s() >= until_s:
            why = "the time set aside for it was over"
        else:
            _run(probing, load, rung, until_s)
            ended_s = probing.recording.clock_s()
            probing.settle()  # the counters of one rung are not to be mixed with the next
            until_s += probing.recording.clock_s() - ended_s
    probing.recording.add(Fact(subject=SUBJECT, name=ENDED, value=why), done=task.id)


def _unfit(probing: Probing) -> str:
    """Why no pressure may be put on this server, or none could be seen; "" where it may."""
    level = probing.level
    if level(USAGE) is None and level(PREEMPTIONS) is None:
        return "the server exports neither the use of its KV cache nor preemptions"
    others = (level(RUNNING) or 0) + (level(WAITING) or 0)
    if others:
        return f"{others:.0f} requests of others were there: they would have been pressed out too"
    return ""


def _load(probing: Probing) -> _Load:
    drawn = drawn_requests(probing)
    output = round(mean([r.output_tokens for r in drawn]))
    room = probing.context_tokens - output - 1
    if probing.kv_tokens:
        room = min(room, probing.kv_tokens - output - 1)
    return _Load(
        drawn=drawn,
        top=_top(probing),
        longest_prompt=max(1, room),
        output=output,
    )


def _top(probing: Probing) -> int:
    """Streams beyond which requests wait for a place, not for blocks; never beyond the limit."""
    limit = probing.options.limits.concurrency
    known = probing.found.target.knobs.get("max_num_seqs")
    value = None if known is None else known.value
    return min(limit, int(value)) if isinstance(value, (int, float)) and value >= 1 else limit


def _start(probing: Probing, load: _Load) -> int:
    """A little below where the blocks should run out by their number."""
    if probing.kv_tokens:
        return max(1, round(0.8 * probing.kv_tokens / load.live_tokens))
    return 2 * probing.concurrency


def _tried(probing: Probing) -> list[Tried]:
    facts = probing.recording.facts().get(SUBJECT, {})
    rungs = [fact.value for name, fact in facts.items() if name != ENDED]
    return [
        Tried(
            streams=int(rung["streams"]),
            prompt=rung["prompt_tokens"],
            full=bool(rung["full"]),
            at_once=int(rung["at_once"]),
            whole=bool(rung["whole"]),
        )
        for rung in rungs
        if isinstance(rung, dict)
    ]


def _run(probing: Probing, load: _Load, rung: tuple[int, int | None], until_s: float) -> None:
    streams, prompt = rung
    name = f"{SUBJECT}-{streams}" + (f"x{prompt}" if prompt else "")
    requests = max(LIVES * streams, 1 if prompt else len(load.drawn))
    longest = prompt or max(r.prompt_tokens for r in load.drawn)
    strain = Strain.of(probing, streams=streams, longest_prompt=longest)
    answers: list[Answer] = []

    def facts(end: RungEnd) -> tuple[Fact, ...]:
        whole = not end.stopped or sum(answer.ok for answer in answers) >= streams
        value: dict[str, Any] = {
            "streams": streams,
            "prompt_tokens": prompt,
            "requests": requests,
            "whole": whole,
            "at_once": most_at_once(answers),
            **strain.seen(),
        }
        return (Fact(subject=SUBJECT, name=name, value=value, why=end.stopped),)

    run_rung(
        probing,
        name,
        _shots(probing, load, prompt, requests),
        requests=requests,
        concurrency=streams,
        longest_s=max(1.0, RUNG_SHARE * (until_s - probing.recording.clock_s())),
        watch=answers.append,
        stop=strain.stop,
        facts=facts,
    )


def _shots(probing: Probing, load: _Load, prompt: int | None, requests: int) -> Iterator[Shot]:
    if prompt is None:
        return cycled(probing, load.drawn)
    return cold_shots(probing, [(prompt, load.output)] * requests)
