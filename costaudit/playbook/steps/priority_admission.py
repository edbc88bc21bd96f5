"""Admission by priority: let work that can wait, wait.

Why it costs      First come, first served makes interactive requests stand behind batch work. To
                  keep their latency all the same, capacity is bought for the peaks of both.
When it helps     Requests of different urgency on one server; a bound on time to first token that
                  is missed while requests queue; batch work that may run at night.
When it does not  All requests are equally urgent; nothing waits; the bound is missed although
                  nothing waits (then prefill itself is too slow).
Risk              Requests of low priority starve under lasting load: cap their wait. Preempting a
                  running request throws its cache away.
Verify            The p95 of time to first token of urgent requests is kept at a higher load; the
                  wait of the others stays below its own bound.
Sources           Sun et al., "Llumnix: Dynamic Scheduling for Large Language Model Serving", OSDI
                  2024 (up to 36 % fewer instances at the same tail latency). Sheng et al.,
                  "Fairness in Serving Large Language Models", OSDI 2024. Which request is urgent is
                  not in the traffic: the effect is literature, 0 to 36 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.playbook.admission import demand
from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    count,
    knob,
    seconds,
)
from costaudit.playbook.latency import latencies_s, misses
from costaudit.playbook.slowdown import EVERYTHING, with_seconds
from costaudit.playbook.step import (
    Applicability,
    Applies,
    CannotTell,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
    unknown_knob,
)

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

SECONDS_LEFT = {Edge.LOW: 1.0, Edge.HIGH: 0.64}  # of all seconds; Llumnix at the better end


def assess(situation: Situation) -> Applicability:
    """Requests that wait beyond their bound under first come, first served."""
    scenario, outcome = situation.scenario, situation.outcome
    if str(knob(situation, "scheduling_policy") or "fcfs") == "priority":
        return DoesNotApply(why="the scheduler admits by priority already")
    if blind := unknown_knob(situation, "scheduling_policy"):
        return blind
    bound = situation.metrics.workload.slo.get("ttft_s")
    if not bound:
        return CannotTell(
            because="the workload declares no bound on time to first token: without one nothing is"
            " urgent"
        )
    full = outcome.kv.max_concurrency >= scenario.knobs.max_num_seqs < demand(scenario)
    if not misses(situation, "ttft_s") or not full:
        return DoesNotApply(why="the bound on time to first token is kept, or nothing waits")
    return Applies(
        evidence=(
            seconds("bound on time to first token", float(bound), "workload: SLO"),
            seconds("p95 of time to first token", latencies_s(outcome)["ttft_s"]),
            count("requests that want to run", demand(scenario), LENGTHS),
            count("sequences admitted at most", scenario.knobs.max_num_seqs, SETTINGS),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """All seconds by a factor, by literature: no request says how urgent it is."""
    return with_seconds(scenario, SECONDS_LEFT[edge], EVERYTHING)


STEP = Step(
    id="priority-admission",
    title="Admit by priority",
    category="scheduling",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "vllm": (
            '# each request then carries {"priority": 0} or a larger, later number\n'
            "vllm serve MODEL --scheduling-policy priority"
        ),
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL --enable-priority-scheduling"
        ),
        "triton": (
            "# config.pbtxt\n"
            "dynamic_batching {\n"
            "  priority_levels: 2\n"
            "  default_priority_level: 2\n"
            "}"
        ),
    },
)
