"""Random small scenarios, and the step times they run on."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from costaudit.target.shape import Experts, ModelShape
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.scenario import Batching, Knobs, KvLayout, Prices, Scenario, Speculation
from costaudit.whatif.steptime import Peaks, StepTime

SHAPE = ModelShape(
    name="tiny",
    architecture="LlamaForCausalLM",
    layers=2,
    hidden=64,
    ffn=128,
    heads=4,
    kv_heads=2,
    head_dim=16,
    vocab=256,
    max_context_tokens=64,
)
STEP_TIME = StepTime(
    shape=SHAPE,
    peaks=Peaks(flops_per_s=1e9, bandwidth_bytes_per_s=1e9),
    param_bytes=4,
    kv_element_bytes=4,
    coefficients={
        "overhead": 3e-4,
        "sequences": 2e-5,
        "prompts": 1e-4,
        "together": 2e-4,
        "weights": 1.2,
        "kv": 1.4,
        "decode_compute": 0.6,
        "prefill_compute": 1.5,
    },
)
WINDOWED = replace(STEP_TIME, shape=replace(SHAPE, windows=(12, None)))
ROUTED = replace(STEP_TIME, shape=replace(SHAPE, experts=Experts(count=8, per_token=2, ffn=64)))
LINKED = replace(
    STEP_TIME,
    peaks=replace(STEP_TIME.peaks, devices=4, link_bytes_per_s=1e7),
    coefficients={
        **STEP_TIME.coefficients,
        "weights_gemm": 0.3,
        "prefill_attention": 0.4,
        "link": 1.5,
        "link_latency": 1e-5,
    },
)
FRONTED = replace(STEP_TIME, coefficients={**STEP_TIME.coefficients, "front": 7e-4})
IDEAL = STEP_TIME.without(kernel_inefficiency=True)
STEP_TIMES = (
    STEP_TIME,
    WINDOWED,
    ROUTED,
    LINKED,
    FRONTED,
    IDEAL,
    WINDOWED.without(kernel_inefficiency=True),
)

EITHER = st.booleans()
LONGEST = 40  # tokens of a request at its end, and room for a draft


@st.composite
def prefixes(draw, prompt_tokens, kind, grain):
    """What the prompt shares: nothing, a prefix with a name, or a path in a tree of hashes."""
    if kind == "named":
        return {
            "prefix_id": draw(st.sampled_from([None, 0, 1])),
            "prefix_tokens": draw(st.sampled_from([10, 17])),
        }
    if kind == "hashed":
        turns = draw(st.lists(st.integers(1, 2), max_size=prompt_tokens // grain))
        path = [0]
        for turn in turns:
            path.append(3 * path[-1] + turn)
        return {"block_hashes": tuple(path[1:])}
    return {}


@st.composite
def traffics(draw):
    grain = draw(st.sampled_from([2, 3, 4, 8]))
    kind = draw(st.sampled_from(["none", "named", "hashed"]))
    spread_s = draw(st.sampled_from([0.001, 0.05, 0.2]))
    requests = []
    for _ in range(draw(st.integers(1, 12))):
        prompt = draw(st.integers(1, 24))
        requests.append(
            Request(
                prompt_tokens=prompt,
                output_tokens=draw(st.integers(1, 16)),
                arrival_s=draw(st.floats(0, spread_s, allow_subnormal=False)),
                **draw(prefixes(prompt, kind, grain)),
            )
        )
    requests.sort(key=lambda request: request.arrival_s)
    return Traffic(
        source="drawn",
        requests=tuple(requests),
        concurrency=draw(st.none() | st.integers(1, 8)),
        think_s=draw(st.sampled_from([0.0, 0.0, 0.003, 0.1])),
        hash_block_tokens=grain,
    )


speculations = st.builds(
    Speculation,
    draft_tokens=st.integers(1, 4),
    accepted_share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    draft_cost_share=st.sampled_from([0.0, 0.1]),
)


@st.composite
def knobs_of(draw, *, caching=EITHER, plain=False):
    chunked = plain or draw(EITHER)
    least = 5 if chunked else LONGEST
    return Knobs(
        batching=Batching.CONTINUOUS,
        max_num_seqs=draw(st.integers(1, 6)),
        kv_layout=draw(st.sampled_from([KvLayout.PAGED, *KvLayout])),
        kv_budget_tokens=draw(st.integers(LONGEST + 8, 200)),
        kv_block_tokens=draw(st.sampled_from([1, 3, 4, 8])),
        max_num_batched_tokens=draw(st.none() | st.integers(least, least + 30)),
        prefix_caching=draw(caching),
        max_model_len=48,
        chunked_prefill=chunked,
        kv_watermark_share=0.0 if plain else draw(st.sampled_from([0.0, 0.2])),
        speculation=None if plain else draw(st.none() | speculations),
    )


@st.composite
def scenarios(draw, *, caching=EITHER, plain=False):
    """`plain`: no speculation, no watermark, prompts in chunks, one kind of step time."""
    knobs = draw(knobs_of(caching=caching, plain=plain))
    models = STEP_TIMES if not (plain or knobs.speculation) else STEP_TIMES[: 1 if plain else 4]
    step_time = draw(st.sampled_from(models))
    return Scenario(
        shape=step_time.shape,
        step_time=step_time,
        knobs=knobs,
        traffic=draw(traffics()),
        prices=Prices(usd_per_device_h=1.0),
    )
