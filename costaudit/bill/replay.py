"""Counterfactual replays: the same traffic with some wastes left out."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import TYPE_CHECKING

from costaudit.bill.slices import SliceId
from costaudit.whatif.simulate import Relief, simulate

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario


def replay(scenario: Scenario, present: AbstractSet[SliceId]) -> Outcome:
    """The traffic served with only the wastes in `present`.

    Without kernel_inefficiency steps run at the roofline, without step_overhead they have none;
    without padding the batching is continuous, at the same `max_num_seqs` and in the same KV
    memory; without duplicate_prefill no shared prefix is computed twice; without preemption a
    preempted sequence comes back with its cache, as if swapped in at no cost. Idle times are not
    switched here: removing them changes no step.

    Raises:
        InconclusiveError: a request needs more KV memory than there is.
    """
    step_time = scenario.step_time.without(
        kernel_inefficiency=SliceId.KERNEL_INEFFICIENCY not in present,
        step_overhead=SliceId.STEP_OVERHEAD not in present,
    )
    relief = Relief(
        padding=SliceId.PADDING not in present,
        duplicate_prefill=SliceId.DUPLICATE_PREFILL not in present,
        preemption=SliceId.PREEMPTION not in present,
    )
    return simulate(changed(scenario, step_time=step_time), relief)
