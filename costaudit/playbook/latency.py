"""The latency that the workload asks for, and whether it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.ground.stats import percentile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.playbook.step import Situation
    from costaudit.whatif.outcome import Outcome

QUANTILE = 0.95  # of the requests, or of the gaps between tokens, keep the bound
WORDS = {"ttft_s": "the time to first token", "itl_s": "the time between tokens"}


def over_bound(name: str, seconds: float, bound_s: float) -> str:
    """What is broken, as a clause."""
    return f"{WORDS[name]} would be {seconds:.3g} s at p95, over the SLO's {bound_s:g} s"


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
