"""Changes are pure, idempotent and commute; what each does to a scenario."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook_situation import COEFFICIENTS, EXPERTS, scenario, traffic

from costaudit.playbook.admission import fitting
from costaudit.playbook.load import load
from costaudit.playbook.step import Edge, Turn
from costaudit.playbook.steps.reserved_capacity import price_fall_factor, term_years
from costaudit.playbook.steps.weight_quantization import recipe
from costaudit.target.load import decode_load, prefill_load
from costaudit.whatif.scenario import Batching, KvLayout, Prices
from costaudit.whatif.simulate import simulate

STEPS = {entry.step.id: entry.step for entry in load()}
LOADS = (
    decode_load(seqs=1, context_tokens=500),
    decode_load(seqs=64, context_tokens=4000),
    prefill_load(new_tokens=512),
)


SETTERS = sorted(
    {
        "attention-backend", "batch-size", "chunked-prefill", "continuous-batching",
        "dynamic-batching", "kv-block-size", "kv-cache-quantization", "max-num-seqs",
        "paged-kv-cache", "prefix-affine-routing", "prefix-caching", "reserved-capacity",
        "speculative-decoding", "token-budget", "w8a8", "weight-quantization",
    }
)  # fmt: skip
FREE = sorted(step.id for step in STEPS.values() if step.turn is Turn.FREE)
ROUNDING_TOKENS = 16  # each change of the pool rounds down to whole tokens, and may be doubled


def may_stand_together(names):
    """The longest beginning of this in which no step excludes another."""
    kept = []
    for name in names:
        if not any(name in STEPS[k].excludes or k in STEPS[name].excludes for k in kept):
            kept.append(name)
    return kept


@st.composite
def scenarios(draw):
    lengths = draw(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 300)), min_size=1))
    concurrency = draw(st.integers(0, 40))
    base = scenario(
        {
            "device_kind": draw(st.sampled_from(["cpu", "cuda", ""])),
            "experts": draw(st.booleans()),
            "step_time": {
                "coefficients": COEFFICIENTS | {"prefill_attention": draw(st.sampled_from([0, 8]))},
                "param_bytes": draw(st.sampled_from([4.0, 2.0, 1.0, 0.5])),
                "kv_element_bytes": draw(st.sampled_from([4.0, 2.0, 1.0])),
            },
            "knobs": {
                "batching": draw(st.sampled_from(list(Batching))),
                "kv_layout": draw(st.sampled_from(list(KvLayout))),
                "max_num_seqs": draw(st.integers(1, 64)),
                "kv_budget_tokens": draw(st.integers(0, 60_000)),
                "prefix_caching": draw(st.booleans()),
                "chunked_prefill": draw(st.booleans()),
                "max_num_batched_tokens": draw(st.sampled_from([None, 512, 16384])),
                "kv_block_tokens": draw(st.sampled_from([16, 64])),
            },
            "prices": {
                "reserved_usd_per_device_h": draw(st.sampled_from([None, 1.0])),
                "reserved_term": draw(st.sampled_from(["", "1y", "36 months"])),
            },
        }
    )
    rows = [{"prompt_tokens": p, "output_tokens": o} for p, o in lengths]
    return replace(base, traffic=traffic(requests=rows, concurrency=concurrency))


def same(one, other):
    """Equal but for the last bit of products taken in another order."""
    times = [[s.step_time.seconds(load) for load in LOADS] for s in (one, other)]
    assert times[0] == pytest.approx(times[1], rel=1e-12)
    assert one.step_time.param_bytes == other.step_time.param_bytes
    assert one.step_time.kv_element_bytes == other.step_time.kv_element_bytes
    room, there = one.knobs, other.knobs
    assert room.kv_budget_tokens == pytest.approx(there.kv_budget_tokens, abs=ROUNDING_TOKENS)
    assert room.max_num_seqs == pytest.approx(there.max_num_seqs, rel=0.05, abs=2)
    sizes = {"kv_budget_tokens": 0, "max_num_seqs": 0}
    one, other = (replace(s, knobs=replace(s.knobs, **sizes)) for s in (one, other))
    assert replace(one, step_time=other.step_time) == other


@settings(deadline=None, max_examples=60)
@given(scenarios(), st.sampled_from(list(Edge)), st.sampled_from(SETTERS))
def test_a_change_taken_twice_is_the_change_taken_once(before, edge, name):
    once = STEPS[name].change(before, edge)
    assert STEPS[name].change(once, edge) == once


@settings(deadline=None, max_examples=120)
@given(
    scenarios(),
    st.sampled_from(list(Edge)),
    st.permutations(FREE),
    st.permutations(FREE),
)
def test_changes_commute(before, edge, one, other):
    for_one = for_other = before
    taken = may_stand_together(one)[:6]
    for name in taken:
        for_one = STEPS[name].change(for_one, edge)
    for name in sorted(taken, key=other.index):
        for_other = STEPS[name].change(for_other, edge)
    same(for_one, for_other)


def test_paging_raises_the_cap_only_where_memory_set_it():
    memory_bound = scenario(
        {"knobs": {"kv_budget_tokens": 3200}, "traffic": {"repeat": 16, "concurrency": 64}}
    )
    paged = STEPS["paged-kv-cache"].change(memory_bound, Edge.LOW)
    assert (fitting(memory_bound), memory_bound.knobs.max_num_seqs) == (4, 8)
    assert paged.knobs.kv_layout is KvLayout.PAGED
    assert paged.knobs.kv_block_tokens == 16
    assert fitting(paged) == 5  # 3200 / (587.5 on average + 7.5 for the last block)
    assert paged.knobs.max_num_seqs == 8  # never lowered
    roomy = replace(memory_bound, knobs=replace(memory_bound.knobs, kv_budget_tokens=20_000))
    assert STEPS["paged-kv-cache"].change(roomy, Edge.LOW).knobs.max_num_seqs == 8


def test_a_static_cache_of_long_slots_gives_way_to_many_more_sequences():
    slots = scenario(
        {
            "knobs": {"kv_layout": "static", "kv_budget_tokens": 32_768, "max_num_seqs": 8},
            "traffic": {"repeat": 16, "concurrency": 64},
        }
    )
    paged = STEPS["paged-kv-cache"].change(slots, Edge.LOW)
    assert fitting(slots) == 8
    assert paged.knobs.max_num_seqs == fitting(paged) == 55
    busy = [simulate(s).busy_s for s in (slots, paged)]
    assert busy[1] < 0.7 * busy[0]


def test_continuous_batching_leaves_no_padding():
    padded = scenario({"traffic": {"repeat": 10}})
    joined = STEPS["continuous-batching"].change(padded, Edge.LOW)
    assert simulate(padded).padded_decode_rows > 0
    assert simulate(joined).padded_decode_rows == 0
    assert simulate(joined).busy_s < simulate(padded).busy_s


def test_a_prefix_is_computed_once_when_it_is_cached():
    row = {"prompt_tokens": 2000, "output_tokens": 50, "prefix_id": 1, "prefix_tokens": 1900}
    before = scenario({"traffic": {"requests": [row], "repeat": 20}})
    paged = STEPS["paged-kv-cache"].change(before, Edge.LOW)
    cached = STEPS["prefix-caching"].change(paged, Edge.LOW)
    assert simulate(cached).prefill_s < 0.5 * simulate(paged).prefill_s


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"device_kind": "cpu"}, "dynamic int8"),
        ({"traffic": {"concurrency": 4}}, "weight-only 4 bits"),
        ({"traffic": {"concurrency": 0}}, "weight-only 4 bits"),
    ],
)
def test_the_recipe_follows_the_device(fields, name):
    assert recipe(scenario(fields)).name == name


def seconds(before, edge, load):
    changed = STEPS["weight-quantization"].change(before, edge)
    return changed.step_time.seconds(load) / before.step_time.seconds(load)


def test_four_bit_weights_speed_up_decoding_of_one_row_and_slow_down_long_prompts():
    few = scenario({"traffic": {"concurrency": 1}})
    one_row, prompt = decode_load(seqs=1, context_tokens=200), prefill_load(new_tokens=4096)
    assert 0.5 < seconds(few, Edge.HIGH, one_row) < seconds(few, Edge.LOW, one_row) < 0.95
    assert seconds(few, Edge.LOW, prompt) > 1.0


def test_quantizing_a_mixture_of_experts_may_do_harm():
    experts = scenario({"experts": True, "traffic": {"concurrency": 8}})
    assert experts.shape.experts == EXPERTS
    for each in LOADS:
        assert seconds(experts, Edge.LOW, each) > 1.0 > seconds(experts, Edge.HIGH, each)


def test_quantized_weights_are_read_at_the_published_speed():
    """Of the weights' seconds: what the head keeps, and the layers at 1.43 times the speed."""
    before = scenario({"traffic": {"concurrency": 128}})
    low = STEPS["w8a8"].change(before, Edge.LOW)
    load = decode_load(seqs=1, context_tokens=1)
    share = low.step_time.terms_s(load)["weights"] / before.step_time.terms_s(load)["weights"]
    layers = 6_979_321_856  # 32·(2·4096² + 2·4096·1024 + 3·4096·14336)
    kept = 4096 * 128_256 / (4096 * 128_256 + layers)
    assert share == pytest.approx(kept + (1 - kept) / 1.43)


@pytest.mark.parametrize(
    ("streams", "output", "least", "most"), [(1, 50, 0.75, 1.28), (512, 4000, 1.14, 1.86)]
)
def test_an_eight_bit_cache_doubles_the_pool_and_is_read_at_the_speed_of_its_size(
    streams, output, least, most
):
    rows = [{"prompt_tokens": 400, "output_tokens": output}]
    paged = {"batching": "continuous", "kv_layout": "paged"}
    traffic = {"requests": rows, "concurrency": streams}
    before = scenario({"traffic": traffic, "knobs": paged})
    load = decode_load(seqs=64, context_tokens=4000)
    kv_before = before.step_time.terms_s(load)["kv"]
    for edge, share in ((Edge.LOW, 1 / least), (Edge.HIGH, 1 / most)):
        after = STEPS["kv-cache-quantization"].change(before, edge)
        assert after.knobs.kv_budget_tokens == 2 * before.knobs.kv_budget_tokens
        assert after.step_time.terms_s(load)["kv"] == pytest.approx(share * kv_before)


def test_an_unfused_cache_on_a_cpu_may_be_far_slower():
    before = scenario({"device_kind": "cpu", "step_time": {"kv_element_bytes": 4.0}})
    load = decode_load(seqs=8, context_tokens=4000)
    after = STEPS["kv-cache-quantization"].change(before, Edge.LOW)
    kv = [s.step_time.terms_s(load)["kv"] for s in (before, after)]
    assert kv[1] == pytest.approx(2.25 * kv[0])


def test_reserving_lets_the_on_demand_price_fall_at_the_low_end():
    before = scenario({"prices": {"reserved_usd_per_device_h": 0.88, "reserved_term": "3y"}})
    high = STEPS["reserved-capacity"].change(before, Edge.HIGH).prices
    low = STEPS["reserved-capacity"].change(before, Edge.LOW).prices
    assert high == Prices(
        usd_per_device_h=2.0,
        reserved_usd_per_device_h=0.88,
        reserved_term="3y",
        reserved=True,
    )
    assert low.reserved_usd_per_device_h == pytest.approx(0.88 * 0.6 / (1 - 0.548812), rel=1e-5)


def test_terms_are_read_in_years_and_months():
    assert term_years("1y") == 1
    assert term_years("36 months") == 3
    assert term_years("") == 3
    assert price_fall_factor(0) == 1
    assert price_fall_factor(1) < price_fall_factor(3)
