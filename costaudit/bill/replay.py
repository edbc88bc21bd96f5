"""Counterfactual replays: the steps of the window with some of their wastes left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.bill.slices import SliceId
from costaudit.bill.step_log import steps_of
from costaudit.ground.errors import InconclusiveError
from costaudit.whatif.scenario import Batching
from costaudit.whatif.steptime import TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from costaudit.bill.steps_run import StepRun
    from costaudit.target.load import StepLoad
    from costaudit.whatif.scenario import Scenario
    from costaudit.whatif.steptime import StepTime

IN_THE_LOAD = frozenset({SliceId.PADDING, SliceId.DUPLICATE_PREFILL, SliceId.PREEMPTION})
OVERHEAD_TERMS = ("overhead", "sequences")

Known = dict[tuple[bool, frozenset[SliceId]], "list[Mapping[str, float]]"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A window that can be priced with any of its wastes left out.

    The steps are those that were run; a waste is taken out of each of them, and a step of which
    nothing is left is not run. To schedule the traffic anew instead would answer another
    question: where requests arrive by the clock, quicker steps leave smaller batches that share
    less reading of weights, so that a waste could seem to save. Here leaving something out never
    costs, since a step never takes longer for working on less.

    `schedules` holds the steps run and, where they are of padded batches, those of continuous
    batching within the same limits, prompts computed whole as a static batch does. Without
    padding the cheaper of the two counts: at least the padded rows and columns are gone from
    each step; and where that saves more, as in a closed loop, their room goes to other requests,
    so that weights are not read for batches that have all but ended. The latter is also what the
    step "continuous batching" saves of the whole bill.
    """

    step_time: StepTime
    schedules: tuple[tuple[StepRun, ...], ...]
    _known: Known = field(default_factory=dict, repr=False, compare=False)

    def terms_s(self, present: AbstractSet[SliceId]) -> Mapping[str, float]:
        """Busy seconds of one replica by the step time's TERMS, with only the wastes `present`.

        Without kernel_inefficiency steps run at the roofline, without step_overhead they have
        none; without padding see above; without duplicate_prefill no prefix is computed that
        was computed before for another request; without preemption nothing is computed again
        that was computed before a preemption. Idle times are no matter of the steps.
        """
        bare = SliceId.STEP_OVERHEAD not in present
        dropped = dict.fromkeys(OVERHEAD_TERMS if bare else (), 0.0)
        options = [{**terms, **dropped} for terms in self._with_overhead(present)]
        return min(options, key=lambda terms: math.fsum(terms.values()))

    def _with_overhead(self, present: AbstractSet[SliceId]) -> list[Mapping[str, float]]:
        """The same with overhead, by each schedule that may be run."""
        ideal_kernels = SliceId.KERNEL_INEFFICIENCY not in present
        key = ideal_kernels, IN_THE_LOAD - present
        if key not in self._known:
            step_time = self.step_time.without(kernel_inefficiency=ideal_kernels)
            may_run = self.schedules[:1] if SliceId.PADDING in present else self.schedules
            self._known[key] = [_priced(runs, step_time, key[1]) for runs in may_run]
        return self._known[key]


def replay_of(scenario: Scenario) -> Replay:
    """The replay of a scenario that can be simulated.

    Raises:
        InconclusiveError: it has several replicas or drafts tokens; a step's load tells neither.
    """
    knobs = scenario.knobs
    if scenario.replicas > 1 or knobs.speculation:
        raise InconclusiveError(
            "the steps of several replicas, or of drafted tokens, cannot be billed by cause",
            hint="bill the window of one replica, with speculative decoding off",
        )
    schedules = [steps_of(scenario)]
    if knobs.batching is Batching.STATIC:
        free = replace(knobs, batching=Batching.CONTINUOUS, max_num_batched_tokens=None)
        schedules.append(steps_of(replace(scenario, knobs=free), free_resume=True))
    return Replay(step_time=scenario.step_time, schedules=tuple(schedules))


def _priced(
    runs: tuple[StepRun, ...], step_time: StepTime, removed: frozenset[SliceId]
) -> dict[str, float]:
    """Seconds by term of the steps without what is removed from their loads."""
    total = dict.fromkeys(TERMS, 0.0)
    for run in runs:
        load = run.load(removed)
        if load.rows:
            for term, seconds in _seconds(step_time, load, run.steps).items():
                total[term] += seconds
    return total


def _seconds(step_time: StepTime, load: StepLoad, steps: int) -> Mapping[str, float]:
    return step_time.terms_s(load) if steps == 1 else step_time.run_s(load, steps)
