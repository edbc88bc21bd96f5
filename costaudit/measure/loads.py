"""Every load that a server audit put on the server, as a simulation can put it on once more.

A burst of equal requests, a rung of the ladder and the replay are all closed loops over known
requests: what they came to tells of everything that happens beside the steps, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.ground.stats import mean, median, percentile
from costaudit.measure.neighbours import METER, neighbours
from costaudit.measure.served import gaps_s, ttft_s
from costaudit.recording.rows import RequestRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer, Fact, Gauge, Task

REPLAY, LADDER, STEP = "replay", "ladder", "step"
READING_S = 1.0  # between two readings of who uses the processors
CALM_SHARE = 0.1  # taken by others, beside which a round still stands
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8)  # at which the gaps between tokens are told


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLoad:
    """A closed loop of `concurrency` streams over the `requests`, in order, and what was seen.

    What was seen is of the requests from place `first` up to, without, `end`, of which `answered`
    were answered whole. A burst that was sent several times shows the median of its rounds.

    Attributes:
        purpose: "step", "ladder" or "replay".
        e2e_s: seconds to the end of each request; where one was not answered, of the median one.
        itl_p50_s: None where no request had a second token.
        gaps_s: quantiles of the gaps between tokens, by their share; empty likewise.
        rounds_s: mean time to the end in each round.
        taken_share: what others took of the processors meanwhile, see `neighbours`; 0 unknown.
    """

    name: str
    purpose: str
    concurrency: int
    requests: tuple[RequestRow, ...]
    first: int
    end: int
    answered: int
    e2e_s: tuple[float, ...]
    ttft_p50_s: float
    itl_p50_s: float | None
    gaps_s: Mapping[float, float] = field(default_factory=dict)
    held_out: bool = False
    rounds_s: tuple[float, ...] = ()
    taken_share: float = 0.0

    @property
    def wall_s(self) -> float:
        """Seconds for which it was watched, all rounds together."""
        return self.answered * mean(self.e2e_s) / self.concurrency


def served_loads(recording: Recording) -> tuple[ServedLoad, ...]:
    """All loads that were run to an end: bursts by probe, then the replay, then the ladder."""
    tasks = [task for task in recording.tasks() if task.done]
    by_task: dict[str, list[Answer]] = {}
    for answer in recording.answers():
        by_task.setdefault(answer.task, []).append(answer)
    probes: dict[str, list[Task]] = {}
    for task in tasks:
        if task.spec.get("purpose") == STEP and task.id in by_task:
            probes.setdefault(str(task.spec["probe"]), []).append(task)
    rungs = [t for t in tasks if t.spec.get("purpose") in {REPLAY, LADDER} and t.id in by_task]
    abouts, there = recording.facts().get("rung", {}), recording.gauges(METER)
    taken = {task.id: _taken_share(abouts.get(task.id), there) for task in tasks}
    found = [_burst(name, group, by_task, taken) for name, group in probes.items()]
    found += [_rung(recording, task, by_task[task.id], taken[task.id]) for task in rungs]
    return tuple(load for load in found if load is not None)


def _taken_share(about: Fact | None, there: Sequence[Gauge]) -> float:
    """Of the readings, one a second, that reach into the rung."""
    if about is None or not isinstance(about.value, dict):
        return 0.0
    began_s, wall_s = float(about.value["t_s"]), float(about.value["wall_s"])
    found = neighbours(there, from_s=began_s, to_s=began_s + wall_s + READING_S)
    if found is None:  # a brief rung
        found = neighbours(there, from_s=began_s - READING_S, to_s=began_s + wall_s + READING_S)
    return 0.0 if found is None else found.taken_share


def _burst(
    name: str,
    tasks: Sequence[Task],
    by_task: Mapping[str, Sequence[Answer]],
    taken: Mapping[str, float],
) -> ServedLoad | None:
    """The same requests in each round; rounds that did not come whole are left out.

    So are those beside a busy neighbour, where there are others.
    """
    least = min(taken[task.id] for task in tasks)
    tasks = [task for task in tasks if taken[task.id] <= max(least, CALM_SHARE)]
    spec = tasks[0].spec
    together = int(str(spec["seqs"])) if spec["phase"] == "decode" else 1
    rounds = []
    for task in tasks:
        answers = [a for a in by_task[task.id] if a.ok and ttft_s(a) is not None]
        if answers and len(answers) == len(by_task[task.id]):
            rounds.append(_seen(sorted(answers, key=lambda a: a.number)))
    if not rounds:
        return None
    first = sorted(by_task[tasks[0].id], key=lambda a: a.number)
    gaps = [gap_s for *_, gap_s in rounds if gap_s]
    return ServedLoad(
        name=name,
        purpose=STEP,
        concurrency=together,
        requests=tuple(_row(answer, None) for answer in first),
        first=0,
        end=len(first),
        answered=len(first) * len(rounds),
        e2e_s=tuple(median(of_one) for of_one in zip(*(e2e for e2e, _, _ in rounds), strict=True)),
        ttft_p50_s=median([ttft for _, ttft, _ in rounds]),
        itl_p50_s=median([gap_s[0.5] for gap_s in gaps]) if gaps else None,
        gaps_s={share: median([gap_s[share] for gap_s in gaps]) for share in SHARES if gaps},
        held_out=bool(spec["held_out"]),
        rounds_s=tuple(mean(e2e) for e2e, _, _ in rounds),
        taken_share=mean([taken[task.id] for task in tasks]),
    )


def _rung(
    recording: Recording, task: Task, answers: Sequence[Answer], taken_share: float
) -> ServedLoad | None:
    """The replay counts from when its streams were out of step, the ladder's rungs as a whole."""
    facts = recording.facts()
    about, steady = facts.get("rung", {}).get(task.id), facts.get(REPLAY, {}).get("steady")
    if about is None or not isinstance(about.value, dict):
        return None
    drawn, ordered = recording.requests(), sorted(answers, key=lambda a: a.number)
    used = [a for a in ordered if a.ok and ttft_s(a) is not None]
    if task.spec["purpose"] == REPLAY:
        if steady is None or not isinstance(steady.value, dict):
            return None
        from_s, to_s = float(steady.value["from_s"]), float(steady.value["to_s"])
        used = [a for a in used if from_s <= a.sent_s <= to_s]
    if not used:
        return None
    first, end = ordered.index(used[0]), ordered.index(used[-1]) + 1
    e2e_s, first_s, gap_s = _seen(used)
    of = dict(zip((a.number for a in used), e2e_s, strict=True))
    return ServedLoad(
        name=task.id,
        purpose=str(task.spec["purpose"]),
        concurrency=int(about.value["concurrency"]),
        requests=tuple(_row(a, drawn[a.number % len(drawn)]) for a in ordered),
        first=first,
        end=end,
        answered=len(used),
        e2e_s=tuple(of.get(a.number, median(e2e_s)) for a in ordered[first:end]),
        ttft_p50_s=first_s,
        itl_p50_s=gap_s.get(0.5),
        gaps_s=gap_s,
        taken_share=taken_share,
    )


def _seen(answers: Sequence[Answer]) -> tuple[list[float], float, Mapping[float, float]]:
    """Times to the end, median time to the first token, quantiles of gaps between tokens."""
    gaps = [gap for answer in answers for gap in gaps_s(answer)]
    return (
        [a.end_s - a.intended_s for a in answers],
        median([ttft_s(a) or 0.0 for a in answers]),
        {share: percentile(gaps, share) for share in SHARES if gaps},
    )


def _row(answer: Answer, drawn: RequestRow | None) -> RequestRow:
    """Lengths as the server counted them; of a request that was cut, as it was asked for."""
    return RequestRow(
        task=answer.task,
        batch=0,
        prompt_tokens=answer.prompt_tokens or (drawn.prompt_tokens if drawn else 1),
        output_tokens=(answer.output_tokens if answer.ok else None) or answer.asked_tokens,
        prefix_id=drawn.prefix_id if drawn else None,
        prefix_tokens=drawn.prefix_tokens if drawn else 0,
        ttft_s=None,
        e2e_s=None,
    )
