"""Pages of a server → a window: growth, levels, histograms, restarts."""

from __future__ import annotations

import math

from costaudit.diagnosis.diagnose import diagnose
from costaudit.diagnosis.diagnosis import Price, State
from costaudit.facts.quantities import Page, Quantity, falls
from costaudit.measure.window import Spread, window_of
from costaudit.target.target import Origin, Value

OFF = {"enable_prefix_caching": Value(value=False, origin=Origin.EXPORTED)}


def page(t_s, totals=None, **levels):
    held = {n.replace("__", "."): Quantity(value=v, unit="") for n, v in levels.items()}
    held |= {n: Quantity(value=v, unit="", total=True) for n, v in (totals or {}).items()}
    return Page(t_s=t_s, quantities=held)


def test_totals_become_growth_and_rates():
    w = window_of(
        [page(0, {"tokens.prompt_total": 1e6}), page(10, {"tokens.prompt_total": 1e6 + 50})],
        engine="vllm",
    )
    assert (w.seconds, w.scrapes) == (10, 2)
    assert w.grown("tokens.prompt_total") == 50
    assert w.rate("tokens.prompt_total") == 5


def test_a_missing_quantity_is_no_data_and_not_zero():
    w = window_of([page(0), page(1)], engine="vllm")
    assert w.grown("preemptions_total") is None
    assert w.levels("requests.running") is None
    assert w.mean("latency.ttft") is None


def test_one_page_has_levels_and_no_growth():
    w = window_of([page(0, {"tokens.prompt_total": 7}, requests__running=3)], engine="vllm")
    assert w.grown("tokens.prompt_total") is None
    assert w.levels("requests.running").mean == 3


def test_a_label_that_appears_later_grew_from_zero():
    w = window_of([page(0, {}), page(1, {"requests.completed_total": 4})], engine="vllm")
    assert w.grown("requests.completed_total") == 4


def test_levels_while_requests_waited_are_kept_apart():
    w = window_of(
        [
            page(0, requests__running=1, requests__waiting=0),
            page(1, requests__running=8, requests__waiting=3),
        ],
        engine="vllm",
    )
    assert w.levels("requests.running while waiting").low == 8
    assert w.levels("requests.running").low == 1


def test_after_a_restart_only_the_time_since_counts():
    w = window_of(
        [page(t, {"tokens.prompt_total": v}) for t, v in ((0, 100), (10, 500), (20, 5), (30, 25))],
        engine="vllm",
    )
    assert w.restarts == 1
    assert w.seconds == 10
    assert w.grown("tokens.prompt_total") == 20


def test_histograms_keep_their_edges():
    first = {"latency.ttft.sum": 1.0, "latency.ttft.count": 10.0, "latency.ttft.le.0.1": 10.0}
    last = {"latency.ttft.sum": 9.0, "latency.ttft.count": 20.0, "latency.ttft.le.0.1": 15.0}
    w = window_of([page(0, first), page(1, last)], engine="vllm")
    ttft = w.spread("latency.ttft")
    assert (ttft.mean, ttft.edges) == (0.8, ((0.1, 5.0),))
    assert ttft.between(0.5) == (0.0, 0.1)
    assert ttft.between(0.9) == (0.1, math.inf)


def test_a_quantile_is_the_bucket_that_holds_it():
    spread = Spread(count=10, total=5, edges=((0.1, 9.0), (1.0, 10.0), (math.inf, 10.0)))
    assert spread.between(0.9) == (0.0, 0.1)
    assert spread.between(0.99) == (0.1, 1.0)
    assert math.isclose(spread.share_above(0.1), 0.1)
    assert spread.share_above(1.0) == 0.0


def test_dollars_are_of_the_window_alone():
    pages = [
        page(t, {"tokens.prompt_total": t * 100.0, "tokens.generation_total": 0.0 + t * 10.0})
        for t in (0, 36)
    ]
    found = diagnose(window_of(pages, engine="vllm"), Price(usd_per_device_h=2.0, devices=2))
    assert math.isclose(found.facts.usd_per_1m_tokens, 2 * 2 * 36 / 3600 / 3960 * 1e6)


def test_a_fall_is_seen_across_pages_that_lack_the_total():
    pages = [page(0, {"a_total": 9.0}), page(1, {"b_total": 1.0}), page(2, {"a_total": 2.0})]
    assert falls(pages) == [2]
    assert falls(pages[::-1]) == []


def test_another_start_of_the_process_is_a_restart():
    started = "server__started"
    pages = [page(0, **{started: 100.0}), page(1, **{started: 100.2}), page(2, **{started: 160.0})]
    assert window_of(pages, engine="vllm").restarts == 1


def test_of_pages_with_gauges_alone_nothing_grew():
    parts = [page(t, requests__running=1) for t in (0, 3)]
    whole = [page(t, {"tokens.prompt_total": 100.0 + t}) for t in (1, 2)]
    w = window_of([parts[0], *whole, parts[1]], engine="vllm")
    assert w.grown("tokens.prompt_total") == 1


def run(batch, waiting=0, **totals):
    grown = {"tokens.generation_total": 900.0, **totals}
    return window_of(
        [
            page(t, {n: v * t / 9 for n, v in grown.items()}, requests__running=batch,
                 requests__waiting=waiting)
            for t in range(10)
        ],
        engine="vllm",
        knobs=OFF,
    )  # fmt: skip


def test_few_clients_are_no_fault():
    one, three = diagnose(run(1)), diagnose(run(3))
    assert (one.state, [f.id for f in one.findings]) == (State.UNDERUSED, ["client-limited"])
    assert (three.state, three.findings) == (State.HEALTHY, ())
    assert [f.id for f in three.possible] == ["client-limited"]


def test_what_is_only_possible_is_a_suspicion_behind_what_is_sure():
    prompts = {"tokens.prompt_total": 90_000.0, "latency.ttft.count": 60.0}
    suspect = diagnose(run(8, **prompts))
    assert (suspect.state, [f.id for f in suspect.findings]) == (
        State.SUSPECT,
        ["prefix-caching-off"],
    )
    sure = diagnose(run(8, **prompts, preemptions_total=50.0))
    assert sure.state is State.TROUBLED
    assert [f.id for f in sure.findings] == ["kv-preemption"]
    assert [f.id for f in sure.possible] == ["prefix-caching-off"]


def test_an_empty_window_cannot_be_told():
    assert diagnose(window_of([], engine="vllm")).state is State.UNKNOWN
