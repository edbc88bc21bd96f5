"""The pieces of a server audit in order; later ones are planned from what earlier ones saw."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.probing.bounds import bounds_of
from costaudit.record.probing.design import ServedProbe, rounds_of, served_design
from costaudit.record.probing.pace import pace_of
from costaudit.record.probing.replay import ladder_rung, plan_replay, replay_rung
from costaudit.record.probing.rungs import cold_shots, run_rung, step_rung
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer

Stage = Callable[["Probing", Task], None]

STEPS_SHARE, REPLAY_SHARE, LADDER_SHARE = 0.40, 0.40, 0.12  # of the time budget
WARM_PROMPT, WARM_OUTPUT, WARM_REQUESTS = 32, 8, 24
STEADY_RUNS, STEADY_SHARE = 4, 0.15
FEWEST_ROUNDS = 2


def first_tasks(options: ServerOptions) -> tuple[Task, ...]:
    """What every server audit begins with; "design" stands for all that it will plan."""
    shares = STEPS_SHARE + REPLAY_SHARE + LADDER_SHARE
    return (
        Task(id="warm", kind="warm", spec={"purpose": "warm", "est_s": 2.0}),
        Task(id="design", kind="design", spec={"est_s": options.time_budget_s * shares}),
    )


def warm(probing: Probing, task: Task) -> None:
    """Small requests one after the other until their times settle."""
    last: list[float] = []
    failed: list[str] = []

    def watch(answer: Answer) -> None:
        if answer.ok:
            last.append(answer.end_s - answer.sent_s)
        elif answer.error:
            failed.append(answer.error)

    def settled() -> str:
        recent = last[-STEADY_RUNS:]
        steady = len(recent) == STEADY_RUNS and max(recent) <= min(recent) * (1 + STEADY_SHARE)
        return "warm" if steady else ""

    lengths = [(WARM_PROMPT, WARM_OUTPUT)] * WARM_REQUESTS
    run_rung(
        probing,
        task.id,
        cold_shots(probing, lengths),
        requests=WARM_REQUESTS,
        concurrency=1,
        watch=watch,
        stop=settled,
    )
    if failed and not last:
        raise TargetError(f"the server answers no request: {failed[0]}")


def design(probing: Probing, task: Task) -> None:
    """Plan the first round of the step probes, and the look back at it."""
    probing.settle()
    probes = _probes(probing)
    budget_s = probing.options.time_budget_s
    later = Task(id="rounds", kind="rounds", spec={"est_s": budget_s * (1 - STEPS_SHARE / 4)})
    probing.recording.plan(
        [*rounds_of(probes, [_order(probing, len(probes), 0)]), later], done=task.id
    )


def rounds(probing: Probing, task: Task) -> None:
    """As many further rounds as the time allows, by what the first one took."""
    probes = _probes(probing)
    took_s = sum(
        max((a.end_s for a in probing.recording.answers(t.id)), default=0.0)
        for t in probing.recording.tasks()
        if t.spec.get("round") == 0
    )
    budget_s = probing.options.time_budget_s
    allowed = int(budget_s * STEPS_SHARE / max(took_s, 1e-3))
    count = max(FEWEST_ROUNDS, min(probing.options.rounds, allowed))
    orders = [_order(probing, len(probes), number) for number in range(count)]
    tasks = [t for t in rounds_of(probes, orders) if t.spec["round"] != 0]
    rest_s = budget_s * (REPLAY_SHARE + LADDER_SHARE)
    last = Task(id="workload", kind="workload", spec={"est_s": rest_s})
    why = "" if count == probing.options.rounds else "more would not end within the time budget"
    fact = Fact(subject="design", name="rounds", value=count, why=why)
    probing.recording.plan(
        [*(_timed(t, took_s / len(probes)) for t in tasks), last], fact, done=task.id
    )


def workload(probing: Probing, task: Task) -> None:
    """Fit the workload to context and time, then plan its replay and the ladder."""
    probing.settle()
    pace = pace_of(probing.recording.tasks(), probing.recording.answers())
    budget_s = probing.options.time_budget_s
    plan_replay(
        probing,
        task,
        pace,
        replay_s=budget_s * REPLAY_SHARE,
        ladder_s=budget_s * LADDER_SHARE,
    )


def _probes(probing: Probing) -> tuple[ServedProbe, ...]:
    return served_design(bounds_of(probing.options, probing.workload, probing.found))


def _order(probing: Probing, count: int, number: int) -> list[int]:
    """A seeded order of its own for each round: a disturbance spoils one round of many probes."""
    order = list(range(count))
    random.Random(f"{probing.options.seed}/{number}").shuffle(order)
    return order


def _timed(task: Task, est_s: float) -> Task:
    return Task(id=task.id, kind=task.kind, spec={**task.spec, "est_s": est_s})


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "warm": warm,
        "design": design,
        "rung": step_rung,
        "rounds": rounds,
        "workload": workload,
        "replay": replay_rung,
        "ladder": ladder_rung,
    }
)
DOING: Mapping[str, str] = MappingProxyType(
    {
        "warm": "warming the server up",
        "design": "sizing the probes",
        "rung": "timing prefill and decode steps",
        "rounds": "sizing the probes",
        "workload": "fitting the workload to this server",
        "replay": "replaying the workload",
        "ladder": "climbing the concurrency ladder",
    }
)
