"""Prefill and decode apart: separate replicas for the two phases.

Why it costs      A prompt that joins holds up all streams beside it, and one setting has to serve
                  two phases that want opposite things: prefill few long steps, decode many rows.
When it helps     Several replicas, a bound on inter-token latency that mixed steps break, long
                  prompts and long answers in one traffic, a fast network between devices.
When it does not  One device; chunked prefill keeps the bounds already; short prompts, whose cache
                  is moved for nothing; a mix of traffic that swings, since the two pools are fixed.
Risk              The cache crosses the network for each request. One pool idles when the mix of
                  prompts and answers changes. Two deployments to operate instead of one.
Verify            The p99 of inter-token latency falls to pure decode steps; tokens per
                  device-second over both pools do not fall.
Sources           Zhong et al., "DistServe", OSDI 2024 (7.4 times the requests within the SLO).
                  Patel et al., "Splitwise", ISCA 2024 (1.4 times the throughput at 20 % less cost).
                  The simulation has no pools apart: the effect is literature, from 10 % dearer to
                  29 % cheaper, and rests on the bounds that are broken today.
"""

from __future__ import annotations

from costaudit.playbook.evidence import (
    SETTINGS,
    count,
    seconds,
    share,
)
from costaudit.playbook.latency import misses
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
from costaudit.whatif.scenario import Batching, Scenario

SECONDS_LEFT = {Edge.LOW: 1.1, Edge.HIGH: 1 / 1.4}  # of all seconds; Splitwise at the better end
MIN_MIXED_SHARE = 0.1  # of busy time in steps that prompts share with decoding rows


def assess(situation: Situation) -> Applicability:
    """Streams that miss their bound while prompts ride along, and replicas to take apart."""
    scenario, outcome = situation.scenario, situation.outcome
    if blind := unknown_knob(situation, "replicas"):
        return blind
    if scenario.devices * scenario.replicas < 2:  # noqa: PLR2004 -- one for each phase
        return DoesNotApply(why="there is one device: two phases need one each")
    if scenario.knobs.batching is Batching.STATIC:
        return DoesNotApply(why="in a static batch no prompt joins while others decode")
    if not situation.metrics.workload.slo.get("itl_s"):
        return CannotTell(
            because="the workload declares no bound on inter-token latency, so whether mixed steps"
            " break one is unknown"
        )
    mixed = outcome.mixed_s / outcome.busy_s if outcome.busy_s else 0.0
    if not misses(situation, "itl_s") or mixed < MIN_MIXED_SHARE:
        return DoesNotApply(
            why=f"the bound on inter-token latency is kept, or prompts share only {mixed:.2f} of"
            " the busy time with decoding rows"
        )
    return Applies(
        evidence=(
            share("busy time of steps in which prompts ride along", mixed),
            seconds("p95 between tokens", outcome.gaps.quantile_s(0.95) or 0.0),
            count("devices", scenario.devices * scenario.replicas, SETTINGS),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """All seconds by a factor, by literature: the simulation has no pools apart."""
    return with_seconds(scenario, SECONDS_LEFT[edge], EVERYTHING)


STEP = Step(
    id="prefill-decode-disaggregation",
    title="Run prefill and decode apart",
    category="scheduling",
    effort=Effort.WEEKS,
    risk=Risk.LATENCY,
    confidence=Confidence.LITERATURE,
    assess=assess,
    change=change,
    snippets={
        "vllm": (
            "# one server per phase, and a proxy that sends each prompt to the first one\n"
            "vllm serve MODEL --kv-transfer-config "
            '\'{"kv_connector":"NixlConnector","kv_role":"kv_both"}\''
        ),
        "sglang": (
            "python -m sglang.launch_server --model-path MODEL --disaggregation-mode prefill\n"
            "python -m sglang.launch_server --model-path MODEL --disaggregation-mode decode"
        ),
        "trtllm-serve": "trtllm-serve disaggregated -c disagg_config.yaml",
    },
)
