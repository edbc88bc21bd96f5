"""Every load that a server audit put on the server, as a simulation can put it on once more.

A burst of equal requests, a rung of the ladder and the replay are all closed loops over known
requests: what they came to tells of everything that happens beside the steps, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import mean, median
from costaudit.measure.served import gaps_s, ttft_s
from costaudit.recording.rows import RequestRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.recording.recording import Recording
    from costaudit.recording.rows import Answer, Task

REPLAY, LADDER, STEP = "replay", "ladder", "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLoad:
    """A closed loop of `concurrency` streams over the `requests`, in order, and what was seen.

    The means and medians are over the requests from place `first` up to, without, `end`, of which
    `answered` were answered whole. A burst that was sent several times shows its median round.

    Attributes:
        purpose: "step", "ladder" or "replay".
        itl_p50_s: None where no request had a second token.
        rounds_s: mean time to the end in each round.
    """

    name: str
    purpose: str
    concurrency: int
    requests: tuple[RequestRow, ...]
    first: int
    end: int
    answered: int
    e2e_mean_s: float
    ttft_mean_s: float
    itl_p50_s: float | None
    held_out: bool = False
    rounds_s: tuple[float, ...] = ()

    @property
    def wall_s(self) -> float:
        """Seconds for which it was watched, all rounds together."""
        return self.answered * self.e2e_mean_s / self.concurrency


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
    found = [_burst(name, group, by_task) for name, group in probes.items()]
    found += [_rung(recording, task, by_task[task.id]) for task in rungs]
    return tuple(load for load in found if load is not None)


def _burst(
    name: str, tasks: Sequence[Task], by_task: Mapping[str, Sequence[Answer]]
) -> ServedLoad | None:
    """The same requests in each round; rounds that did not come whole are left out."""
    spec = tasks[0].spec
    together = int(str(spec["seqs"])) if spec["phase"] == "decode" else 1
    rounds = []
    for task in tasks:
        answers = [a for a in by_task[task.id] if a.ok and ttft_s(a) is not None]
        if answers and len(answers) == len(by_task[task.id]):
            rounds.append(_seen(answers))
    if not rounds:
        return None
    first = sorted(by_task[tasks[0].id], key=lambda a: a.number)
    itls = [itl for *_, itl in rounds if itl is not None]
    return ServedLoad(
        name=name,
        purpose=STEP,
        concurrency=together,
        requests=tuple(_row(answer, None) for answer in first),
        first=0,
        end=len(first),
        answered=len(first) * len(rounds),
        e2e_mean_s=median([e2e for e2e, _, _ in rounds]),
        ttft_mean_s=median([ttft for _, ttft, _ in rounds]),
        itl_p50_s=median(itls) if itls else None,
        held_out=bool(spec["held_out"]),
        rounds_s=tuple(e2e for e2e, _, _ in rounds),
    )


def _rung(recording: Recording, task: Task, answers: Sequence[Answer]) -> ServedLoad | None:
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
    e2e_s, first_s, itl_s = _seen(used)
    return ServedLoad(
        name=task.id,
        purpose=str(task.spec["purpose"]),
        concurrency=int(about.value["concurrency"]),
        requests=tuple(_row(a, drawn[a.number % len(drawn)]) for a in ordered),
        first=ordered.index(used[0]),
        end=ordered.index(used[-1]) + 1,
        answered=len(used),
        e2e_mean_s=e2e_s,
        ttft_mean_s=first_s,
        itl_p50_s=itl_s,
    )


def _seen(answers: Sequence[Answer]) -> tuple[float, float, float | None]:
    """Mean time to the end, mean time to the first token, median gap between tokens."""
    gaps = [gap for answer in answers for gap in gaps_s(answer)]
    return (
        mean([a.end_s - a.intended_s for a in answers]),
        mean([ttft_s(a) or 0.0 for a in answers]),
        median(gaps) if gaps else None,
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
