"""Batch size of offline work: run as many requests together as memory holds.

Why it costs      A decode step reads all weights whether it has four rows or forty. Nobody waits
                  for a single answer of an offline job, so every row that is missing is given away.
When it helps     Offline jobs in static batches smaller than memory allows; short contexts.
When it does not  Somebody waits for the answers (the workload has an SLO); memory is full; the
                  batch is bound by compute already; an engine that batches by iteration.
Risk              Out of memory at the longest prompts: sort the requests by length, which also
                  saves padding. A batch runs until its longest answer ends.
Verify            Tokens per device-second rise until compute binds; padded rows do not eat the
                  gain; no allocation fails at the longest batch.
Sources           Pope et al., "Efficiently Scaling Transformer Inference", MLSys 2023 (batch size
                  trades latency for cost per token). Sheng et al., "FlexGen", ICML 2023 (offline
                  throughput through large batches). The saving here is replayed on this target's
                  own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import fitting
from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    count,
    unknown_pool,
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
from costaudit.whatif.scenario import Batching, Scenario

OFFLINE = "offline"  # in the name of the workload: nobody waits for a single answer


def assess(situation: Situation) -> Applicability:
    """Static batches of work that nobody waits for, smaller than memory allows."""
    scenario = situation.scenario
    if blind := unknown_knob(situation, "batching"):
        return blind
    if scenario.knobs.batching is Batching.CONTINUOUS:
        return DoesNotApply(why="requests join and leave between steps: max-num-seqs is the cap")
    if situation.metrics.workload.slo:
        return DoesNotApply(why="somebody waits for the answers: the workload has an SLO")
    if OFFLINE not in situation.metrics.workload.probe.lower():
        return CannotTell(
            because="the workload declares no bound on latency, and does not call itself offline:"
            " whether somebody waits for the answers is unknown"
        )
    return unknown_pool(situation) or _by_room(situation)


def _by_room(situation: Situation) -> Applicability:
    scenario = situation.scenario
    present = scenario.knobs.max_num_seqs
    larger = change(scenario, Edge.LOW).knobs.max_num_seqs
    if larger <= present:
        return DoesNotApply(why=f"memory holds no more than the batch of {present}")
    return Applies(
        evidence=(
            count("requests of a batch", present, SETTINGS),
            count("requests that memory holds", larger, LENGTHS),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """All requests are there at once, and as many run together as fit; both edges agree."""
    del edge
    traffic, knobs = scenario.traffic, scenario.knobs
    if knobs.kv_budget_tokens <= 0 or not traffic.requests:
        return scenario
    free = tuple(replace(request, batch=None) for request in traffic.requests)
    together = replace(traffic, requests=free, concurrency=len(free))
    offline = replace(scenario, traffic=together)
    cap = max(knobs.max_num_seqs, min(fitting(offline), len(free)))
    return replace(offline, knobs=replace(knobs, max_num_seqs=cap))


STEP = Step(
    id="batch-size",
    title="Fill the batches of offline work",
    category="batching",
    effort=Effort.FLAG,
    risk=Risk.NONE,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    excludes=("max-num-seqs", "dynamic-batching"),
    turn=Turn.LATE,
    snippets={
        "transformers": (
            "prompts.sort(key=len)  # equal lengths together: less padding\n"
            "for start in range(0, len(prompts), BATCH):\n"
            "    inputs = tokenizer(prompts[start : start + BATCH], padding=True,\n"
            '        return_tensors="pt")\n'
            "    model.generate(**inputs)"
        ),
        "vllm": "vllm run-batch -i requests.jsonl -o answers.jsonl --model MODEL --max-num-seqs N",
        "triton": "# config.pbtxt\nmax_batch_size: 64",
    },
)
