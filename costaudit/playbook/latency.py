"""Whether a change would break the latency that the workload asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import percentile
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.playbook.step import Situation
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Scenario

QUANTILE = 0.95  # of the requests, or of the gaps between tokens, keep the bound
WORDS = {"ttft_s": "the time to first token", "itl_s": "the time between tokens"}


def broken_bound(situation: Situation, changed: Scenario) -> str:
    """Which bound of the SLO is kept today at p95 and would not be any more; "" for none."""
    slo = {name: situation.metrics.workload.slo.get(name) for name in WORDS}
    if not any(slo.values()):
        return ""
    try:
        after = latencies_s(simulate(changed))
    except InconclusiveError:
        return ""  # the plan says why it cannot run
    before = latencies_s(situation.outcome)
    for name, bound in slo.items():
        present, then = before.get(name), after.get(name)
        if bound and then is not None and then > bound and (present is None or present <= bound):
            return f"{WORDS[name]} would be {then:.3g} s at p95, over the SLO's {bound:g} s"
    return ""


def misses(situation: Situation, name: str) -> bool:
    """Whether the workload's bound of this name ("ttft_s", "itl_s") is not kept today at p95."""
    bound = situation.metrics.workload.slo.get(name)
    present = latencies_s(situation.outcome).get(name)
    return bool(bound) and present is not None and present > float(bound or 0.0)


def latencies_s(outcome: Outcome) -> Mapping[str, float]:
    """p95 of the time to first token and of the gaps between tokens, by the SLO's names."""
    found = {}
    if outcome.ttft_s:
        found["ttft_s"] = percentile(outcome.ttft_s, QUANTILE)
    gap = outcome.gaps.quantile_s(QUANTILE) if outcome.gaps.total else None
    if gap is not None:
        found["itl_s"] = gap
    return found
