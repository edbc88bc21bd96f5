"""Cap on running sequences: admit as many as the KV memory holds.

Why it costs      Each decode step reads the weights once for all its rows. A cap below what memory
                  holds keeps requests waiting beside an idle cache; a cap above it admits requests
                  that are preempted and computed again.
When it helps     Requests wait while the cache is far from full: raise it. Sequences are preempted:
                  lower it to what fits.
When it does not  The cap was set for a latency SLO; the demand never reaches it; memory, not the
                  cap, ends the growth of the batch. Static batches: there the batch size counts.
Risk              Each row more makes every token of the others slower: hold the SLO's bound on
                  inter-token latency. Other users of the device's memory may need the room.
Verify            Running sequences reach the new cap, waiting ones fall, preemptions stay at zero,
                  inter-token latency p95 stays within the SLO.
Sources           Kwon et al., "Efficient Memory Management for Large Language Model Serving with
                  PagedAttention", SOSP 2023 (batch size is what memory allows). vLLM issues 13508
                  and 14022 (requests wait beside an idle cache). The saving here is replayed on
                  this target's own step times.
"""

from __future__ import annotations

from dataclasses import replace

from costaudit.playbook.admission import demand, fitting
from costaudit.playbook.evidence import (
    LENGTHS,
    SETTINGS,
    count,
    pressed,
    share,
    unknown_pool,
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
    Turn,
)
from costaudit.whatif.scenario import Batching, Scenario


def assess(situation: Situation) -> Applicability:
    """The cap ends the growth of the batch although memory would not, or admits too many."""
    scenario, kv = situation.scenario, situation.outcome.kv
    if blind := untold_knob(situation, "max_num_seqs"):
        return blind
    cap = scenario.knobs.max_num_seqs
    if scenario.knobs.batching is Batching.STATIC:
        return DoesNotApply(why="static batches have a size, no cap: see batch-size")
    if not kv.preemptions and kv.max_concurrency < cap:
        return DoesNotApply(
            why=f"never more than {kv.max_concurrency} sequences ran together, the cap is {cap}"
        )
    if blind := unknown_pool(situation):
        return blind
    return _by_room(situation)


def _by_room(situation: Situation) -> Applicability:
    scenario, kv = situation.scenario, situation.outcome.kv
    changed = change(scenario, Edge.LOW)
    cap, wanted = scenario.knobs.max_num_seqs, changed.knobs.max_num_seqs
    if wanted == cap or (wanted < cap and not kv.preemptions):
        return DoesNotApply(why=f"the cap of {cap} admits all that is wanted and fits")
    return Applies(
        evidence=(
            count("sequences admitted at most", cap, SETTINGS),
            count("sequences that memory holds and demand brings", wanted, LENGTHS),
            count("preemptions for lack of KV memory", kv.preemptions),
            share("KV memory in use at its peak", kv.usage_peak_share),
            *pressed(situation),
        )
    )


def change(scenario: Scenario, edge: Edge) -> Scenario:
    """As many as fit, and no more than ever come; both edges agree."""
    del edge
    knobs = scenario.knobs
    if knobs.kv_budget_tokens <= 0:
        return scenario
    cap = max(1, min(fitting(scenario), demand(scenario)))
    return replace(scenario, knobs=replace(knobs, max_num_seqs=cap))


STEP = Step(
    id="max-num-seqs",
    title="Admit as many sequences as memory holds",
    category="batching",
    effort=Effort.FLAG,
    risk=Risk.LATENCY,
    confidence=Confidence.SIMULATED,
    assess=assess,
    change=change,
    excludes=("batch-size",),
    turn=Turn.LATE,
    snippets={
        "vllm": "vllm serve MODEL --max-num-seqs N",
        "sglang": "python -m sglang.launch_server --model-path MODEL --max-running-requests N",
        "tgi": "text-generation-launcher --model-id MODEL --max-batch-size N",
        "trtllm-serve": "trtllm-serve MODEL --max_batch_size N",
        "triton": "# config.pbtxt\nmax_batch_size: 64",
        "llamacpp": (
            "# -c is the context of all slots together\nllama-server -m MODEL.gguf -np 16 -c 65536"
        ),
        "lmdeploy": "lmdeploy serve api_server MODEL --max-batch-size N",
        "ollama": "OLLAMA_NUM_PARALLEL=8 ollama serve",
        "transformers": (
            "# continuous batching of transformers 5:\n"
            "from transformers import ContinuousBatchingConfig\n"
            "model.generate_batch(list_of_token_ids, generation_config=config,\n"
            "    continuous_batching_config=ContinuousBatchingConfig(max_requests_per_batch=N))"
        ),
    },
)
