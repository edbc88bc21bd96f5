"""The pieces of a server audit in order; later ones are planned from what earlier ones saw."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.probing import timing
from costaudit.record.probing.bounds import bounds_of
from costaudit.record.probing.design import (
    ServedProbe,
    burst_tokens,
    rounds_of,
    served_design,
)
from costaudit.record.probing.front_end import front_end
from costaudit.record.probing.open_loop import open_rung
from costaudit.record.probing.pace import pace_of
from costaudit.record.probing.pressure import press
from costaudit.record.probing.replay import ladder_rung, plan_replay, replay_rung
from costaudit.record.probing.rungs import cold_shots, run_rung, step_rung
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from costaudit.record.client.load import Shot
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.probing.probing import Probing
    from costaudit.recording.rows import Answer

Stage = Callable[["Probing", Task], None]

WARM_PROMPT, WARM_OUTPUT, WARM_REQUESTS = 32, 8, 24
ALONE_PROMPT, ALONE_REQUESTS = 512, 8
STEADY_RUNS, STEADY_SHARE = 4, 0.15
REST_SHARE = 1 - timing.WARM_SHARE - timing.STEPS_SHARE / 2  # behind the first round


def first_tasks(options: ServerOptions) -> tuple[Task, ...]:
    """What every server audit begins with; "design" stands for all that it will plan."""
    shares = timing.STEPS_SHARE + timing.REPLAY_SHARE + timing.LADDER_SHARE
    return (
        Task(id="warm", kind="warm", spec={"purpose": "warm", "est_s": 2.0}),
        Task(id="alone", kind="alone", spec={"purpose": "alone", "est_s": 2.0}),
        Task(id="design", kind="design", spec={"est_s": options.time_budget_s * shares}),
    )


def warm(probing: Probing, task: Task) -> None:
    """Small requests one after the other until their times settle, or their time is over."""
    timing.begin(probing.recording)
    budget_s = probing.options.time_budget_s
    last: list[float] = []

    def watch(answer: Answer) -> None:
        if answer.ok:
            last.append(answer.end_s - answer.sent_s)

    def until_settled() -> Iterator[Shot]:
        """No request is cut: both sides are to count the same."""
        for shot in cold_shots(probing, [(WARM_PROMPT, WARM_OUTPUT)] * WARM_REQUESTS):
            recent = last[-STEADY_RUNS:]
            steady = len(recent) == STEADY_RUNS and max(recent) <= min(recent) * (1 + STEADY_SHARE)
            late = last and timing.spent_s(probing) > timing.WARM_SHARE * budget_s
            if steady or late:
                return
            yield shot

    run_rung(
        probing,
        task.id,
        until_settled(),
        requests=WARM_REQUESTS,
        concurrency=1,
        longest_s=timing.LONGEST_WARM_SHARE * budget_s,
        watch=watch,
    )
    if not last and not probing.guard.why:
        raise TargetError(
            f"the server did not end one request of {WARM_OUTPUT} tokens within"
            f" {timing.LONGEST_WARM_SHARE * budget_s:.0f} s",
            hint="is it busy? else give it more time with --seconds",
        )


def alone(probing: Probing, task: Task) -> None:
    """Prompts of some length one after the other, over which both sides' TTFTs are compared.

    None waits for another, and none generates a second token: where engine and front end share
    cores, the next step would keep the first token from being written out.
    """
    probing.settle()
    if (told := front_end(probing)) is not None:
        probing.recording.add(told)
    if probing.asked_s is None:  # there is nothing to compare with
        probing.recording.add(done=task.id)
        return
    prompt = max(1, min(ALONE_PROMPT, probing.context_tokens // 4))
    budget_s = timing.ALONE_SHARE * probing.options.time_budget_s
    began_s = timing.spent_s(probing)

    def in_time() -> Iterator[Shot]:
        for shot in cold_shots(probing, [(prompt, 1)] * ALONE_REQUESTS):
            if timing.spent_s(probing) - began_s > budget_s:
                return
            yield shot

    run_rung(
        probing,
        task.id,
        in_time(),
        requests=ALONE_REQUESTS,
        concurrency=1,
        longest_s=timing.LONGEST_WARM_SHARE * probing.options.time_budget_s,
    )


def design(probing: Probing, task: Task) -> None:
    """Plan the first round of the step probes, and the look back at it.

    Small probes first: where the time is over before all were run, the others make a fit.
    """
    probing.settle()
    probes = _probes(probing)
    order = sorted(range(len(probes)), key=lambda place: probes[place].work)
    budget_s = probing.options.time_budget_s
    later = Task(id="rounds", kind="rounds", spec={"est_s": budget_s * REST_SHARE})
    probing.recording.plan([*rounds_of(probes, [order]), later], done=task.id)


def rounds(probing: Probing, task: Task) -> None:
    """As many further rounds as the time allows, by what the first one took."""
    probes = _probes(probing)
    first = [t for t in probing.recording.tasks() if t.spec.get("round") == 0]
    took_s = sum(
        max((a.end_s for a in probing.recording.answers(t.id)), default=0.0) for t in first
    )
    budget_s = probing.options.time_budget_s
    allowed = int(timing.steps_left_s(probing) / max(took_s, 1e-3))
    count = 1 + max(0, min(probing.options.rounds - 1, allowed))
    orders = [_order(probing, len(probes), number) for number in range(count)]
    tasks = [t for t in rounds_of(probes, orders) if t.spec["round"] != 0]
    rest_s = budget_s * (timing.REPLAY_SHARE + timing.LADDER_SHARE)
    last = Task(id="workload", kind="workload", spec={"est_s": rest_s})
    why = "" if count == probing.options.rounds else "more would not end within the time budget"
    fact = Fact(subject="design", name="rounds", value=count, why=why)
    probing.recording.plan(
        [*(_timed(t, took_s / len(first)) for t in tasks), last], fact, done=task.id
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
        replay_s=budget_s * timing.REPLAY_SHARE,
        ladder_s=budget_s * timing.LADDER_SHARE,
    )


def _probes(probing: Probing) -> tuple[ServedProbe, ...]:
    """The same whenever it is asked for: the warm-up decides how long the bursts are."""
    bounds = bounds_of(
        probing.options, probing.workload, probing.found, exact=probing.prompts.exact
    )
    pace = pace_of((), probing.recording.answers("warm"))
    round_s = probing.options.time_budget_s * timing.STEPS_SHARE / 2
    return served_design(bounds, output_tokens=burst_tokens(pace.step_at(1), round_s))


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
        "alone": alone,
        "design": design,
        "rung": step_rung,
        "rounds": rounds,
        "workload": workload,
        "replay": replay_rung,
        "ladder": ladder_rung,
        "open loop": open_rung,
        "pressure": press,
    }
)
DOING: Mapping[str, str] = MappingProxyType(
    {
        "warm": "warming the server up",
        "alone": "comparing with the server's own clock",
        "design": "sizing the probes",
        "rung": "timing prefill and decode steps",
        "rounds": "sizing the probes",
        "workload": "fitting the workload to this server",
        "replay": "replaying the workload",
        "ladder": "climbing the concurrency ladder",
        "open loop": "sending requests when they are due",
        "pressure": "pressing on the KV cache until its blocks run out",
    }
)
