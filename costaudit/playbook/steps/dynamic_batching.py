"""Dynamic batching on Triton: collect requests for a moment and run them together.

Why it costs      Without a dynamic_batching stanza Triton runs each request by itself: every step
                  reads all weights for a single row.
When it helps     A Triton model that takes batches, requests that overlap, mean batch near one
                  (nv_inference_count over nv_inference_exec_count) while requests are pending.
When it does not  Backends that batch by iteration (TensorRT-LLM in flight, vLLM); decoupled models,
                  which Triton does not batch; clients that send one request after the other.
Risk              Each request waits up to the queue delay; answers of unequal length are padded to
                  the longest of the batch. A delay near the compute time doubles the latency.
Verify            Inferences over executions rises above one; the queue's time stays near the delay
                  and does not grow.
Sources           NVIDIA Triton documentation, "Dynamic Batcher" and "Optimization", 2025 (delay,
                  preferred sizes). Triton server issues 8251, 3624 and 7205. The saving here is
                  replayed on this target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import demand
from costaudit.playbook.evidence import (
    LENGTHS,
    count,
    is_on,
    seconds,
    untold_knob,
)
from costaudit.playbook.step import (
    Applicability,
    Applies,
    Confidence,
    DoesNotApply,
    Edge,
    Effort,
    Risk,
    Situation,
    Step,
)
from costaudit.whatif.scenario import Batching, Scenario

PREFERRED = 16  # requests; a size that the model's max_batch_size must allow
DELAY_S = 2e-3  # two thousandths: a tenth of a usual step of text generation


def assess(situation: Situation) -> Applicability:
    """A Triton model that runs requests one by one although they overlap."""
    scenario = situation.scenario
    if situation.metrics.target.engine != "triton":
        return DoesNotApply(why="only Triton collects requests by a queue delay")
    if blind := untold_knob(situation, "dynamic_batching"):
        return blind
    if why := _needless(situation):
        return DoesNotApply(why=why)
    outcome = situation.outcome
    return Applies(
        evidence=(
            count("requests together at most", outcome.kv.max_concurrency),
            count("requests that overlap", demand(scenario), LENGTHS),
            seconds("idle while requests wait", outcome.queue_idle_s),
        )
    )


def _needless(situation: Situation) -> str:
    """Why there is nothing to collect; "" where there is."""
    if is_on(situation, "decoupled"):
        return "Triton does not batch a decoupled model: its backend has to"
    if is_on(situation, "dynamic_batching"):
        return "the model collects batches already"
    if situation.scenario.knobs.batching is Batching.CONTINUOUS:
        return "requests join and leave between steps already"
    if demand(situation.scenario) < 2:  # noqa: PLR2004 -- two requests make a batch
        return "one request at a time has none to share a batch with"
    return ""


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """Batches of up to PREFERRED, held open for DELAY_S; both edges agree."""
    del edge
    knobs = scenario.knobs
    if knobs.batching is Batching.CONTINUOUS:
        return scenario
    collected = replace(
        knobs,
        max_num_seqs=max(knobs.max_num_seqs, PREFERRED),
        batch_wait_s=max(knobs.batch_wait_s, DELAY_S),
    )
    return replace(scenario, knobs=collected)


STEP = Step(
    id="dynamic-batching",
    title="Let Triton collect batches",
    category="batching",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    excludes=("continuous-batching", "batch-size"),
    snippets={
        "triton": (
            "# config.pbtxt\n"
            "max_batch_size: 16\n"
            "dynamic_batching {\n"
            "  preferred_batch_size: [ 8, 16 ]\n"
            "  max_queue_delay_microseconds: 2000\n"
            "}"
        ),
    },
)
