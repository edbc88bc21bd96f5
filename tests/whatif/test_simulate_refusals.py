"""Scenarios in which nothing could run, or not all of it, are told of."""

from __future__ import annotations

import pytest
from made_scenarios import equal_requests, make

from costaudit.ground.errors import InconclusiveError, UsageError
from costaudit.whatif.scenario import Batching, KvLayout, Speculation
from costaudit.whatif.simulate import simulate


@pytest.mark.parametrize("batching", Batching)
@pytest.mark.parametrize("layout", KvLayout)
def test_a_request_that_fits_nowhere_is_named(batching, layout):
    requests = equal_requests(2, prompt=10, output=5)
    scenario = make(requests, batching=batching, kv_layout=layout, kv_budget_tokens=13)
    with pytest.raises(InconclusiveError, match="14 tokens does not fit into KV memory for 13"):
        simulate(scenario)


@pytest.mark.parametrize(
    ("concurrency", "knobs"),
    [(0, {}), (None, {"max_num_seqs": 0}), (None, {"max_num_batched_tokens": 0})],
)
def test_numbers_that_let_nothing_run_are_refused(concurrency, knobs):
    with pytest.raises(UsageError, match="nothing can run"):
        simulate(make(equal_requests(1), concurrency=concurrency, **knobs))


def test_speculation_and_watermark_are_shares_that_make_sense():
    for knobs, said in (
        ({"speculation": Speculation(draft_tokens=0, accepted_share=0.5)}, "draft_tokens = 0"),
        ({"speculation": Speculation(draft_tokens=2, accepted_share=80)}, "accepted_share = 80"),
        ({"kv_watermark_share": -0.1}, "kv_watermark_share = -0.1"),
    ):
        with pytest.raises(UsageError, match=said):
            simulate(make(equal_requests(1), **knobs))


def test_a_prompt_that_never_fits_a_step_is_told():
    whole = {"batching": Batching.CONTINUOUS, "max_num_batched_tokens": 8}
    assert simulate(make(equal_requests(2), **whole)).requests == 2  # in chunks
    with pytest.raises(InconclusiveError, match="never admit"):
        simulate(make(equal_requests(2), chunked_prefill=False, **whole))
