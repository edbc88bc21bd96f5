"""What a set of steps comes to: the changes in their turn, then the cost of the same work."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.playbook.step import Edge, Turn

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
    """Cost of a set of steps, memoised; `draws` counts the step times, the fitted one first."""

    cost: Callable[[Ids, Edge, int], float]
    draws: int
    error_share: float  # of the step times, on probes they were not fitted to

    def saved(self, before: Ids, after: Ids, edge: Edge, draw: int) -> float:
        """Share of the present bill that going from one set to the other saves."""
        whole = self.cost(frozenset(), edge, draw)
        return (self.cost(before, edge, draw) - self.cost(after, edge, draw)) / whole

    def cautious(self, taken: Ids) -> float:
        """Cost where each change brings its least; infinite where nothing could run."""
        try:
            return self.cost(taken, Edge.LOW, FITTED)
        except InconclusiveError:
            return math.inf


def pricer_of(
    steps: Sequence[Step], scenario: Scenario, cost: Callable[[Scenario], float], draws: int
) -> Pricer:
    """A pricer over the fitted step times and so many draws of them.

    A change may make the same work take fewer tokens (shorter prompts). `cost` is per token, so
    it counts for as many tokens as are left of today's.
    """
    fitted = scenario.step_time
    models = (fitted, *fitted.drawn()[:draws])
    in_turn = sorted(steps, key=lambda step: TURNS.index(step.turn))
    memo: dict[tuple[Ids, Edge, int], float] = {}

    def changed(taken: Ids, edge: Edge, draw: int) -> Scenario:
        result = replace(scenario, step_time=models[draw])
        for step in in_turn:
            if step.id in taken:
                result = step.change(result, edge)
        return result

    def priced(taken: Ids, edge: Edge, draw: int) -> float:
        key = (taken, edge, draw)
        if key not in memo:
            wanted = changed(taken, edge, draw)
            if edge is Edge.HIGH and wanted == changed(taken, Edge.LOW, draw):
                memo[key] = priced(taken, Edge.LOW, draw)
            else:
                left = _tokens(wanted.traffic) / _tokens(scenario.traffic)
                memo[key] = cost(wanted) * left
        return memo[key]

    error_share = fitted.error_p90_share or fitted.error_p50_share or 0.0
    return Pricer(cost=priced, draws=len(models), error_share=error_share)


def _tokens(traffic: Traffic) -> int:
    return traffic.prompt_tokens + traffic.output_tokens or 1
