"""What a set of steps comes to: the changes in their turn, then the cost of the same work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.plan.bounds import NOTHING_RUNS, Worth
from costaudit.plan.sample import sampled
from costaudit.playbook.step import Edge, Turn
from costaudit.whatif.doubts import error_share

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.playbook.step import Step
    from costaudit.traffic.traffic import Traffic
    from costaudit.whatif.scenario import Scenario

FITTED = 0  # the place of the fitted step times; draws follow
TURNS = tuple(Turn)  # in which the changes of a set are made

Ids = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricer:
    """Sets of steps, priced once each; `draws` counts the step times, the fitted one first.

    `whole` prices over the whole traffic, `part` over a sample of it: the search compares
    hundreds of sets over the sample. Where the traffic is short both are the same.
    """

    whole: Callable[[Ids, Edge, int], Worth]
    part: Callable[[Ids, Edge, int], Worth]
    draws: int
    error_share: float  # of what is simulated, as `whatif.doubts` tells it

    @property
    def samples(self) -> bool:
        """Whether the search sees a sample of the traffic only."""
        return self.whole is not self.part

    def cost(self, taken: Ids, edge: Edge, draw: int) -> float:
        """Cost per 1M tokens; under a draw, as far from the fitted cost as over the sample.

        Raises:
            InconclusiveError: nothing could run.
        """
        fitted = self.whole(taken, edge, FITTED).cost
        if draw == FITTED or not self.samples:
            return fitted if draw == FITTED else self.whole(taken, edge, draw).cost
        return fitted * self.part(taken, edge, draw).cost / self.part(taken, edge, FITTED).cost

    def saved(self, before: Ids, after: Ids, edge: Edge, draw: int) -> float:
        """Share of the present bill that going from one set to the other saves."""
        present = self.cost(frozenset(), edge, draw)
        return (self.cost(before, edge, draw) - self.cost(after, edge, draw)) / present

    def cautious(self, taken: Ids) -> Worth:
        """Where each change brings its least; infinite where nothing could run."""
        return _cautious(self.whole, taken)

    def rough(self, taken: Ids) -> Worth:
        """The same over the sample."""
        return _cautious(self.part, taken)


def _cautious(worths: Callable[[Ids, Edge, int], Worth], taken: Ids) -> Worth:
    try:
        return worths(taken, Edge.LOW, FITTED)
    except InconclusiveError:
        return NOTHING_RUNS


def pricer_of(
    steps: Sequence[Step], scenario: Scenario, price: Callable[[Scenario], Worth], draws: int
) -> Pricer:
    """A pricer over the fitted step times and so many draws of them."""
    fitted = scenario.step_time
    models = (fitted, *fitted.drawn()[:draws])
    in_turn = sorted(steps, key=lambda step: TURNS.index(step.turn))
    short = sampled(scenario.traffic)
    whole = _memoised(in_turn, [replace(scenario, step_time=m) for m in models], price)
    part = whole
    if short is not scenario.traffic:
        starts = [replace(scenario, step_time=m, traffic=short) for m in models]
        part = _memoised(in_turn, starts, price)
    return Pricer(
        whole=whole,
        part=part,
        draws=len(models),
        error_share=error_share(fitted),
    )


def _memoised(
    in_turn: Sequence[Step], starts: Sequence[Scenario], price: Callable[[Scenario], Worth]
) -> Callable[[Ids, Edge, int], Worth]:
    """The worth of a set of steps, from the start of each draw.

    A change may make the same work take fewer tokens (shorter prompts). The cost is per token, so
    it counts for as many tokens as are left of today's.
    """
    memo: dict[tuple[Ids, Edge, int], Worth] = {}
    today_tokens = _tokens(starts[FITTED].traffic)

    def changed(taken: Ids, edge: Edge, draw: int) -> Scenario:
        result = starts[draw]
        for step in in_turn:
            if step.id in taken:
                result = step.change(result, edge)
        return result

    def priced(taken: Ids, edge: Edge, draw: int) -> Worth:
        key = (taken, edge, draw)
        if key not in memo:
            wanted = changed(taken, edge, draw)
            if edge is Edge.HIGH and wanted == changed(taken, Edge.LOW, draw):
                memo[key] = priced(taken, Edge.LOW, draw)
            else:
                found = price(wanted)
                left = 1.0
                if wanted.traffic is not starts[draw].traffic:
                    left = _tokens(wanted.traffic) / today_tokens
                memo[key] = replace(found, cost=found.cost * left)
        return memo[key]

    return priced


def _tokens(traffic: Traffic) -> int:
    return traffic.prompt_tokens + traffic.output_tokens or 1
