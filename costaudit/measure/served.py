"""What a server's answers say: the steps behind its probes, and the steady part of its replay.

A prefill probe is one prompt with one token to generate, sent alone: its TTFT is a prefill step
plus what a request costs outside the steps, which the fit tells apart. A decode probe is a burst
of equal requests: from when the last of them has its first token until the first of them ends,
every step of the engine gives each of them a token, so the time between tokens is a step's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.ground.stats import mean, median
from costaudit.ground.steady import Rate, steady_rate
from costaudit.measure.steps import TimedLoad
from costaudit.recording.answers import event_s, event_tokens, token_flow, tokens_between
from costaudit.recording.rows import Phase, RequestRow
from costaudit.target.load import StepLoad, decode_load, prefill_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer

REPLAY = "replay"
FEWEST_TOKENS = 4  # between the ends of a decode window, per sequence
BUNCHED_GAP_SHARE, BUNCHED_SHARE = 0.2, 0.25  # gaps this short, and how many of them are too many


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The workload as the server answered it.

    Attributes:
        requests: of one cycle of the workload, in order, with lengths as the server counted them.
        answers: whole answers that began and ended in the steady window.
        rate: prompt and output tokens per second there, with its interval.
        failed: requests that failed over the whole replay, of `sent`.
    """

    requests: tuple[RequestRow, ...]
    answers: tuple[Answer, ...]
    rate: Rate | None
    failed: int
    sent: int


def served_steps(recording: Recording) -> tuple[TimedLoad, ...]:
    """One row per step probe: the fastest of its rounds, with the spread of the others."""
    by_task = _by_task(recording.answers())
    rounds: dict[str, list[tuple[StepLoad, float]]] = {}
    specs: dict[str, Mapping[str, Any]] = {}
    for task in recording.tasks():
        if task.spec.get("purpose") != "step":
            continue
        probe = str(task.spec["probe"])
        specs[probe] = task.spec
        found = _timed(task.spec, by_task.get(task.id, []))
        rounds.setdefault(probe, []).extend(found)
    return tuple(_reduced(probe, specs[probe], found) for probe, found in rounds.items() if found)


def served_replay(recording: Recording) -> Replayed | None:
    """The steady part of the replay; None where the recording ended before it."""
    answers = recording.answers(REPLAY)
    steady = recording.facts().get(REPLAY, {}).get("steady")
    if not answers or steady is None or not isinstance(steady.value, dict):
        return None
    from_s, to_s = float(steady.value["from_s"]), float(steady.value["to_s"])
    at_s: list[float] = []
    tokens: list[float] = []
    for answer in answers:
        came_s, counts = token_flow(answer)
        at_s += came_s
        tokens += counts
    return Replayed(
        requests=_cycle(recording.requests(), answers),
        answers=tuple(a for a in answers if a.ok and a.sent_s >= from_s and a.end_s <= to_s),
        rate=steady_rate(at_s, tokens, from_s=from_s, to_s=to_s),
        failed=sum(not a.ok for a in answers),
        sent=len(answers),
    )


def ttft_s(answer: Answer) -> float | None:
    """First output event after the intended start; None where none came."""
    came_s = event_s(answer)
    return came_s[0] - answer.intended_s if came_s else None


def gaps_s(answer: Answer) -> list[float]:
    """Time between tokens: the gap before an event, spread evenly over the tokens it carries.

    Tokens that came with the first event have no gap of their own.
    """
    came_s, tokens = event_s(answer), event_tokens(answer)
    gaps: list[float] = []
    for place in range(1, len(came_s)):
        carried = max(tokens[place], 1)
        gaps += [(came_s[place] - came_s[place - 1]) / carried] * carried
    return gaps


def _by_task(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    grouped: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.ok:
            grouped.setdefault(answer.task, []).append(answer)
    return grouped


def _timed(spec: Mapping[str, Any], answers: Sequence[Answer]) -> list[tuple[StepLoad, float]]:
    """(load, seconds per step) of one run of a probe; nothing where it did not come whole."""
    if spec["phase"] == Phase.PREFILL:
        return [
            (_prefill_load(spec, answer), seconds)
            for answer in answers
            if (seconds := ttft_s(answer)) is not None
        ]
    if len(answers) < int(spec["seqs"]):
        return []
    return _decode_step(answers)


def _prefill_load(spec: Mapping[str, Any], answer: Answer) -> StepLoad:
    cached = answer.cached_tokens or int(spec.get("cached_tokens") or 0)
    prompt = answer.prompt_tokens or int(spec["new_tokens"])
    return prefill_load(new_tokens=max(1, prompt - cached), cached_tokens=cached)


def _decode_step(answers: Sequence[Answer]) -> list[tuple[StepLoad, float]]:
    """The step in which all of a burst decode, by the tokens between their common ends.

    Where many tokens came right behind another, the front end held them back and let them go in
    bunches: when they were computed cannot be seen, and nothing is returned.
    """
    came = [event_s(answer) for answer in answers]
    if not all(came):
        return []
    from_s, to_s = max(at_s[0] for at_s in came), min(at_s[-1] for at_s in came)
    spent_s, steps, context = 0.0, 0, []
    for answer in answers:
        first_s, last_s, tokens, before = tokens_between(answer, from_s, to_s)
        if tokens < FEWEST_TOKENS:
            return []
        spent_s, steps = spent_s + last_s - first_s, steps + tokens
        context.append((answer.prompt_tokens or 0) + before + (tokens - 1) / 2)
    if _bunched([gap for answer in answers for gap in gaps_s(answer)]):
        return []
    load = decode_load(seqs=len(answers), context_tokens=round(mean(context)))
    return [(load, spent_s / steps)]


def _bunched(gaps: Sequence[float]) -> bool:
    """Too many gaps far below the mean."""
    short_s = BUNCHED_GAP_SHARE * mean(gaps)
    return sum(gap < short_s for gap in gaps) > BUNCHED_SHARE * len(gaps)


def _reduced(
    probe: str, spec: Mapping[str, Any], found: Sequence[tuple[StepLoad, float]]
) -> TimedLoad:
    """Noise only adds time: the fastest stands; its load with it."""
    load, best_s = min(found, key=lambda pair: pair[1])
    return TimedLoad(
        task=probe,
        phase=Phase(spec["phase"]),
        load=load,
        seconds=best_s,
        spread_share=median([s for _, s in found]) / best_s - 1 if best_s > 0 else 0.0,
        rounds=len(found),
        held_out=bool(spec["held_out"]),
        requests=int(spec["phase"] == Phase.PREFILL),
    )


def _cycle(drawn: Sequence[RequestRow], answers: Sequence[Answer]) -> tuple[RequestRow, ...]:
    """The workload's requests with the lengths and times of their first whole answers."""
    first: dict[int, Answer] = {}
    for answer in sorted((a for a in answers if a.ok), key=lambda a: a.number):
        first.setdefault(answer.number % len(drawn), answer)
    return tuple(_seen(row, first.get(place)) for place, row in enumerate(drawn))


def _seen(row: RequestRow, answer: Answer | None) -> RequestRow:
    if answer is None:
        return row
    return RequestRow(
        task=row.task,
        batch=row.batch,
        prompt_tokens=answer.prompt_tokens or row.prompt_tokens,
        output_tokens=answer.output_tokens or row.output_tokens,
        prefix_id=row.prefix_id,
        prefix_tokens=row.prefix_tokens,
        ttft_s=ttft_s(answer),
        e2e_s=answer.end_s - answer.intended_s,
    )
