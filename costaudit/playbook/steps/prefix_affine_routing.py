"""Prefix-affine routing: send requests with the same opening to the same replica.

Why it costs      Behind round robin every replica meets every opening: each computes it and keeps
                  its own copy, and the copies push each other out of the caches.
When it helps     Several replicas with prefix caching, openings shared by many requests, sessions
                  of several turns.
When it does not  One replica; one opening for all requests, which every replica soon holds; prompts
                  that share nothing.
Risk              A popular opening makes its replica hot: let the router fall back to the least
                  loaded one above a bound.
Verify            Cached over prompt tokens rises towards what one replica alone would reach;
                  running sequences stay even across replicas.
Sources           SGLang pull request 2114 (cache-aware router, up to 2 times round robin). vLLM
                  issue 11477. Qin et al., "Mooncake: A KVCache-centric Disaggregated Architecture
                  for LLM Serving", FAST 2025. The saving here is replayed over this target's
                  replicas.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    count,
    share,
)
from costaudit.playbook.sharing import repeated_share
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
from costaudit.whatif.scenario import Router, Scenario

MIN_REPEATED_SHARE = 0.01  # of prompt tokens; below it the gain is lost in the noise


def assess(situation: Situation) -> Applicability:
    """Several replicas whose requests share openings, spread without regard to them."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "router") or unknown_knob(situation, "replicas"):
        return blind
    if scenario.replicas < 2:  # noqa: PLR2004 -- two replicas make a choice
        return DoesNotApply(why="there is one replica: all requests meet there")
    if scenario.router is Router.PREFIX_AFFINITY:
        return DoesNotApply(why="requests with the same opening meet already")
    if why := situation.metrics.unknown.get("workload.prefix_share"):
        return CannotTell(because=f"whether prompts share their openings is unknown: {why}")
    return _by_hits(situation)


def _by_hits(situation: Situation) -> Applicability:
    scenario = situation.scenario
    repeated = repeated_share(scenario.traffic, scenario.knobs.kv_block_tokens)
    if repeated < MIN_REPEATED_SHARE:
        return DoesNotApply(why=f"only {repeated:.3f} of the prompt tokens are shared")
    hits = situation.outcome.kv.prefix_hit_share
    if repeated - hits < MIN_REPEATED_SHARE:
        return DoesNotApply(why=f"of {repeated:.2f} shared prompt tokens {hits:.2f} are found")
    return Applies(
        evidence=(
            count("replicas", scenario.replicas, SETTINGS),
            share("prompt tokens in blocks seen before", repeated, LENGTHS),
            share("prompt tokens found in a replica's cache", hits),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """The same opening to the same replica; both edges agree."""
    del edge
    return replace(scenario, router=Router.PREFIX_AFFINITY)


STEP = Step(
    id="prefix-affine-routing",
    title="Route by shared openings",
    category="prefill",
    effort=Effort.DAYS,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    requires=("prefix-caching",),
    snippets={
        "vllm": (
            "# the production stack's router in front of the replicas\n"
            "vllm-router --routing-logic prefixaware --static-backends URL,URL"
        ),
        "sglang": (
            "python -m sglang_router.launch_router --worker-urls URL URL --policy cache_aware"
        ),
        "tgi": "# nginx in front of the launchers\nhash $http_x_session_id consistent;",
        "trtllm-serve": (
            "# Dynamo in front of the workers\npython -m dynamo.frontend --router-mode kv"
        ),
        "triton": "# nginx in front of the servers\nhash $http_x_session_id consistent;",
        "llamacpp": "# nginx in front of the servers\nhash $http_x_session_id consistent;",
        "lmdeploy": "# nginx in front of the servers\nhash $http_x_session_id consistent;",
    },
)
