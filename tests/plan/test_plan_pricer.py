"""What a set of steps comes to: changes in their turn, the same work, sets that cannot run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from plan_made_up import kept_shares, make, plan, scenario, taken

from costaudit.ground.errors import InconclusiveError
from costaudit.plan.bounds import Worth
from costaudit.plan.lattice import EXACT_UP_TO
from costaudit.plan.pricer import FITTED, pricer_of
from costaudit.plan.search import FEW_DRAWS, expected_costs
from costaudit.playbook.step import Edge, Turn
from costaudit.traffic.traffic import Request


def budget(change):
    """A step's change of the number of tokens that memory holds."""

    def changed(before, edge):
        del edge
        room = change(before.knobs.kv_budget_tokens)
        return replace(before, knobs=replace(before.knobs, kv_budget_tokens=room))

    return changed


def test_changes_are_made_in_their_turn_whatever_the_order_of_the_steps():
    fit = replace(make("fit", turn=Turn.LATE), change=budget(lambda tokens: tokens + 1))
    twice = replace(make("twice"), change=budget(lambda tokens: tokens * 2))
    device = replace(make("device", turn=Turn.EARLY), change=budget(lambda _: 10))
    for steps in ([fit, twice, device], [device, twice, fit], [twice, fit, device]):
        pricer = pricer_of(steps, scenario(), lambda s: Worth(cost=s.knobs.kv_budget_tokens), 0)
        assert pricer.cost(frozenset({"fit", "twice", "device"}), Edge.LOW, FITTED) == 21


def test_shorter_prompts_are_less_work_not_dearer_tokens():
    """The same answers from half the tokens at the same cost per token: half the bill."""
    long = replace(scenario().traffic, requests=(Request(prompt_tokens=90, output_tokens=10),))
    short = replace(long, requests=(Request(prompt_tokens=40, output_tokens=10),))
    trim = replace(make("trim"), change=lambda before, _: replace(before, traffic=short))
    pricer = pricer_of([trim], replace(scenario(), traffic=long), lambda _: Worth(cost=3.0), 0)
    assert pricer.cautious(frozenset()).cost == 3.0
    assert pricer.cautious(frozenset({"trim"})).cost == pytest.approx(1.5)


def test_two_steps_that_cannot_run_together_are_not_taken_together():
    def cost(changed):
        if {"half", "quarter"} <= set(taken(changed)):
            raise InconclusiveError("a request does not fit")
        return 0.9 ** len(taken(changed))

    found = plan([make("half"), make("quarter"), make("other")], cost)
    assert len(found.best.ids) == 2
    assert "other" in found.best.ids
    outside = next(s for s in found.steps if s.rank is None)
    assert "after the best order" in outside.why_not
    for order in found.conventional:
        assert all(math.isfinite(c) for c in order.cautious_path)


def test_a_beam_is_never_worse_than_a_conventional_order():
    """Each of the convention's steps does harm until all are there: no narrow search finds it."""
    ids = ["weight-quantization", "kv-cache-quantization", "continuous-batching", "paged-kv-cache"]
    decoys = [f"decoy{n}" for n in range(9)]

    def cost(changed):
        there = taken(changed)
        left = 0.2 if set(ids) <= set(there) else 1.2 ** sum(i in there for i in ids)
        return left * 0.99 ** sum(d in there for d in decoys)

    found = plan([make(i) for i in (*ids, *decoys)], cost)
    assert set(ids) <= set(found.best.ids)
    assert all(found.best.cost <= order.cost for order in found.conventional)


@pytest.mark.parametrize("count", [3, EXACT_UP_TO, 12])
def test_about_as_many_costs_are_asked_for_as_expected(count):
    asked = []

    def cost(changed):
        asked.append(changed)
        return kept_shares({f"s{n:02}": (0.8 + n / 40, 0.7) for n in range(count)})(changed)

    plan([make(f"s{n:02}") for n in range(count)], cost, scenario(draws=(0.9, 1.1) * 4))
    assert 0.4 * expected_costs(count, 8) <= len(asked) <= expected_costs(count, 8)


def test_many_applicable_steps_are_priced_under_fewer_draws():
    seen = set()

    def cost(changed):
        seen.add(changed.step_time.coefficients["overhead"])
        return 0.9 ** len(taken(changed))

    draws = tuple(1 + n / 100 for n in range(1, 9))
    plan([make(f"s{n}") for n in range(EXACT_UP_TO + 1)], cost, scenario(draws=draws))
    assert len(seen) == FEW_DRAWS + 1
