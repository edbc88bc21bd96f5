"""What a plan promises: savings as intervals, verdicts with reasons, few questions asked."""

from __future__ import annotations

import itertools
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_made_up import kept_shares, make, plan, scenario, taken

from costaudit.ground.errors import InconclusiveError
from costaudit.plan.convention import CONVENTIONS, conventional
from costaudit.plan.plan import Verdict
from costaudit.playbook.step import (
    CannotTell,
    DoesNotApply,
    Edge,
    Effort,
)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from([*CONVENTIONS["quantize first"], "my-own"]),
        st.tuples(st.floats(0.6, 1.2), st.floats(0.4, 1.2)),
        min_size=1,
    ),
    st.lists(st.floats(0.8, 1.25), max_size=4),
    st.sampled_from([None, 0.1]),
)
def test_a_plan_keeps_its_promises(shares, draws, error):
    steps = [make(i, last=i == "reserved-capacity") for i in sorted(shares)]
    found = plan(steps, kept_shares(shares), scenario(draws=draws, error=error))
    ranked = [s for s in found.steps if s.rank]
    assert [s.rank for s in ranked] == list(range(1, len(found.best.ids) + 1))
    assert tuple(s.id for s in ranked) == found.best.ids
    for order in found.conventional:
        named = set(CONVENTIONS["quantize first"]) & set(shares)
        assert set(order.ids) == named | set(found.best.ids)
        assert found.best.cost <= order.cost * (1 + 1e-9)
        assert len(order.cautious_path) == len(order.ids) + 1
    assert all(a > b for a, b in itertools.pairwise(found.best.cautious_path))
    for saving in [s.marginal for s in ranked] + [s.standalone for s in found.steps]:
        assert saving.share.low <= saving.point_share <= saving.share.high <= 1
        assert saving.cost.low == pytest.approx(saving.share.low * found.present_cost)
    if ranked:
        total = math.fsum(s.marginal.point_share for s in ranked)
        assert total == pytest.approx(found.joint.point_share, abs=1e-12)
    for step in found.steps:
        if step.rank is None:
            assert step.verdict is Verdict.DOES_NOT_APPLY
            assert "does not pay here" in step.why_not


def test_savings_that_cut_the_same_slice_are_not_added_up():
    """Each alone saves 40 %, both together 45 %: the second adds 5 %."""
    costs = {0: 1.0, 1: 0.6, 2: 0.55}
    found = plan([make("a"), make("b")], lambda s: costs[len(taken(s))])
    first, second = found.steps
    assert first.standalone.point_share == second.standalone.point_share == pytest.approx(0.4)
    assert second.marginal.point_share == pytest.approx(0.05)
    assert found.joint.point_share == pytest.approx(0.45)


def test_the_interval_spans_the_edges_the_draws_and_the_models_error():
    shares = {"a": (0.9, 0.6)}
    exact = plan([make("a")], kept_shares(shares)).steps[0].marginal
    assert (exact.share.low, exact.share.high) == pytest.approx((0.1, 0.4))
    assert exact.point_share == pytest.approx(0.25)
    wider = plan([make("a")], kept_shares(shares), scenario(error=0.1)).steps[0].marginal
    ends = (0.1 - 0.1 * 0.1 * 0.9, 0.4 + 0.1 * 0.4 * 0.6)
    assert (wider.share.low, wider.share.high) == pytest.approx(ends)

    def cost(changed):
        """Half of the time is the drawn overhead, which the step removes a fifth of."""
        drawn = changed.step_time.coefficients["overhead"]
        return 1 + drawn * (0.8 if taken(changed) else 1.0)

    drawn = plan([make("a")], cost, scenario(draws=(0.5, 1.0, 2.0))).steps[0].marginal
    assert drawn.share.low == pytest.approx(0.2 / 3 + 0.1 * (0.1 - 0.2 / 3))
    assert drawn.share.high == pytest.approx(0.4 / 3 - 0.1 * (0.4 / 3 - 0.1))
    assert drawn.share.low < drawn.point_share < drawn.share.high


def test_a_loss_is_widened_downwards():
    found = plan([make("a")], kept_shares({"a": (1.2, 1.1)}), scenario(error=0.5))
    alone = found.steps[0].standalone
    ends = (-0.2 - 0.5 * 0.2 * 1.2, -0.1 + 0.5 * 0.1 * 1.1)
    assert (alone.share.low, alone.share.high) == pytest.approx(ends)


def test_verdicts_of_steps_outside_the_order_say_why():
    steps = [
        make("does-not", DoesNotApply(why="it is on already")),
        make("unknown", CannotTell(because="nobody measured it")),
        make("needy", requires=("unknown",)),
        make("harmful"),
        make("good", excludes=("rival",)),
        make("rival"),
    ]
    shares = {"harmful": (1.1, 0.8), "good": (0.5, 0.5), "rival": (0.9, 0.9), "needy": (0.5, 0.5)}
    shares["unknown"] = (1.0, 1.0)
    found = {s.id: s for s in plan(steps, kept_shares(shares)).steps}
    assert found["does-not"].why_not == "it is on already"
    assert found["unknown"].verdict is Verdict.CANNOT_TELL
    assert found["needy"].verdict is Verdict.CANNOT_TELL
    assert found["needy"].why_not == "it needs unknown: nobody measured it"
    assert found["harmful"].why_not == (
        "does not pay here: at its cautious end it brings nothing or costs more, "
        "alone and after the best order"
    )
    assert "good excludes it" in found["rival"].why_not
    assert found["good"].rank == 1


def test_a_requirement_that_is_in_place_already_is_met():
    in_place = make("blocks", DoesNotApply(why="given out already"))
    start = in_place.change(in_place.change(scenario(), Edge.LOW), Edge.HIGH)
    steps = [in_place, make("prefix", requires=("blocks",))]
    shares = {"blocks": (1.0, 1.0), "prefix": (0.7, 0.6)}
    found = plan(steps, kept_shares(shares), start)
    assert found.best.ids == ("prefix",)
    assert found.steps[0].standalone.point_share == pytest.approx(0.35)


def test_a_change_that_cannot_be_simulated_cannot_be_told():
    def cost(changed):
        if "bad" in taken(changed):
            raise InconclusiveError("a request does not fit")
        return 0.9 ** len(taken(changed))

    found = plan([make("bad"), make("good")], cost)
    assert found.best.ids == ("good",)
    assert found.steps[1].verdict is Verdict.CANNOT_TELL
    assert found.steps[1].why_not == "a request does not fit"


@pytest.mark.parametrize("present", [0.0, -1.0, math.nan, math.inf])
def test_a_bill_of_nothing_has_no_savings(present):
    with pytest.raises(InconclusiveError, match="present cost"):
        plan([make("a")], lambda _: present)


def test_no_step_applies_no_order():
    found = plan([make("a", DoesNotApply(why="no"))], lambda _: 2.0)
    assert found.best.ids == ()
    assert found.best.cautious_path == (2.0,)
    assert found.joint is None


def test_the_two_conventions_take_the_same_steps_in_their_own_orders():
    steps = [make(i, last=i == "reserved-capacity") for i in CONVENTIONS["quantize first"]]
    more = [*steps, make("my-own"), make("not-in-the-best")]
    best = ("continuous-batching", "my-own", "w8a8")  # its order is not the conventions'
    quantize, page = (conventional(name, more, best) for name in CONVENTIONS)
    assert quantize[:3] == ("weight-quantization", "w8a8", "kv-cache-quantization")
    assert page[:2] == ("paged-kv-cache", "continuous-batching")
    assert sorted(quantize) == sorted(page)
    assert quantize[-2:] == page[-2:] == ("my-own", "reserved-capacity")


def test_costs_are_asked_for_once_and_not_more_than_promised():
    asked = []

    def cost(changed):
        asked.append((changed.traffic.source, changed.step_time.coefficients["overhead"]))
        return 0.9 ** len(taken(changed))

    draws = tuple(1 + n / 100 for n in range(1, 20))
    plan([make(f"s{n}") for n in range(6)], cost, scenario(draws=draws))
    assert len(asked) == len(set(asked))
    assert len(asked) <= 2**6 + 4 * 6 * 9


def test_a_dozen_steps_are_searched_in_time():
    steps = [make(f"s{n:02}", effort=list(Effort)[n % 4]) for n in range(12)]
    shares = {s.id: (0.8 + n / 40, 0.7) for n, s in enumerate(steps)}
    began = time.perf_counter()
    found = plan(steps, kept_shares(shares))
    assert time.perf_counter() - began < 5
    assert {s for s, (low, _) in shares.items() if low < 1} == set(found.best.ids)
