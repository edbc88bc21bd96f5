"""Autoscaling: switch off the replicas that demand does not need.

Why it costs      Replicas that are sized for the peak idle the rest of the day at full price, and
                  traffic that is spread thin over them reads the weights for few rows each.
When it helps     Several replicas, demand that swings over the day, replicas that can be given back
                  (on demand or spot), a cold start shorter than the swing.
When it does not  One replica; demand that fills them all day; capacity that is committed, which is
                  paid for on or off; cold starts longer than a burst.
Risk              Requests wait for a cold start when demand returns: keep one replica of head-room.
                  Switched-off replicas lose their prefix cache.
Verify            Replica-hours per day fall towards demand over capacity; the p95 of time to first
                  token is kept in the ramps of the morning.
Sources           Newsvendor rule on the load-duration curve: keep a replica on while it is needed.
                  Fu et al., "ServerlessLLM", OSDI 2024 (cold starts of seconds from local
                  checkpoints). The fewer replicas are simulated; hours given back are not in a bill
                  that counts idle time on demand as given back already.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.playbook.evidence import (
    SETTINGS,
    count,
    share,
)
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
    Turn,
    unknown_knob,
)
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

WAITING = {  # what each engine exports of the requests that wait
    "vllm": "vllm:num_requests_waiting",
    "sglang": "sglang:num_queue_reqs",
    "tgi": "tgi_queue_size",
    "trtllm-serve": "trtllm_num_requests_waiting",
    "triton": "nv_inference_pending_request_count",
    "llamacpp": "llamacpp:requests_deferred",
    "lmdeploy": "lmdeploy:num_requests_waiting",
}
TARGET_SHARE = {Edge.LOW: 0.6, Edge.HIGH: 0.8}  # of the time that the kept replicas are busy
MIN_IDLE_SHARE = 0.1  # of the window


def assess(situation: Situation) -> Applicability:
    """Replicas that idle for lack of demand, and may be given back."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "replicas"):
        return blind
    if scenario.prices.reserved:
        return DoesNotApply(why="the capacity is committed: switched off it costs the same")
    if scenario.replicas < 2:  # noqa: PLR2004 -- the last replica stays on
        return DoesNotApply(why="there is one replica, and it stays on")
    if scenario.traffic.concurrency is not None:
        return CannotTell(
            because="the load is closed, so it never idles: a log of real traffic would show the"
            " demand"
        )
    return _by_idle(situation)


def _by_idle(situation: Situation) -> Applicability:
    scenario, outcome = situation.scenario, situation.outcome
    idle = outcome.demand_idle_s / outcome.window_s if outcome.window_s else 0.0
    kept = change(scenario, Edge.LOW)
    if idle < MIN_IDLE_SHARE or kept.replicas >= scenario.replicas:
        return DoesNotApply(why=f"the replicas idle for {idle:.2f} of the time: all are needed")
    return Applies(
        evidence=(
            share("time idle for lack of demand", idle, "simulation of the traffic log"),
            count("replicas", scenario.replicas, SETTINGS),
            count("replicas that the mean demand needs", kept.replicas),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """As many replicas as the mean demand keeps busy for the edge's share of the time."""
    if scenario.replicas < 2 or scenario.traffic.concurrency is not None:  # noqa: PLR2004
        return scenario
    outcome = simulate(scenario)
    busy = 1 - outcome.demand_idle_s / outcome.window_s if outcome.window_s else 1.0
    needed = max(1, math.ceil(scenario.replicas * busy / TARGET_SHARE[edge]))
    return replace(scenario, replicas=min(scenario.replicas, needed))


STEP = Step(
    id="autoscaling",
    title="Switch off idle replicas",
    category="capacity",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    turn=Turn.LATE,
    snippets={
        engine: (
            "# KEDA ScaledObject: one replica more for so many requests that wait\n"
            "minReplicaCount: 1\n"
            "triggers:\n"
            "- type: prometheus\n"
            f"  metadata: {{query: sum({waiting}), threshold: '5'}}"
        )
        for engine, waiting in WAITING.items()
    },
)
