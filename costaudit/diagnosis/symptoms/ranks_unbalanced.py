"""Ranks or replicas are loaded unevenly.

Why       Requests are spread by count, but their lengths differ; or affinity sends all to one.
Signature The fullest rank has 1.5 times the mean running requests or KV usage of all; SGLang also
          counts its imbalance itself.
Not       A few requests, where a count of two and one says nothing.
Sources   vllm-project/vllm#36748, #40279, #48808, PR #40795, PR #47420.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, DoesNotShow, Shows, Symptom
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from costaudit.measure.window import Window

UNEVEN = 1.5
BUSY = 4.0  # requests a rank on average; below, single requests make the difference
_KV = "kv.usage_fraction"
KV_USED = 0.1


def judge(w: Window) -> Answer:
    """The fullest over the mean."""
    told = w.mean("dp.imbalance_ratio")
    if told is not None:
        if told < UNEVEN:
            return DoesNotShow(why="the server finds its ranks even")
        return Shows(
            evidence=(signs.seen(w, "dp.imbalance_ratio", "fullest over mean rank", told),),
            cost_share=1 - 1 / told,
        )
    if len(w.ranks.get(RUNNING, {})) < 2:  # noqa: PLR2004 - several
        return CannotTell(because="there is one rank, or ranks are not told apart")
    uneven = [
        (name, ratio)
        for name, least in ((RUNNING, BUSY), (_KV, KV_USED))
        if (ratio := _ratio(w, name, least)) is not None and ratio >= UNEVEN
    ]
    if not uneven:
        return DoesNotShow(why="ranks are evenly loaded, or hardly loaded")
    evidence = tuple(signs.seen(w, name, "fullest over mean rank", ratio) for name, ratio in uneven)
    worst = max(ratio for _, ratio in uneven)
    return Shows(evidence=evidence, cost_share=1 - 1 / worst)


def _ratio(w: Window, name: str, least: float) -> float | None:
    means = [levels.mean for levels in w.ranks.get(name, {}).values()]
    whole = sum(means) / len(means) if means else 0.0
    return max(means) / whole if whole >= least else None


SYMPTOM = Symptom(
    id="ranks-unbalanced",
    title="Ranks or replicas are loaded unevenly",
    cause="requests are spread without regard to their lengths, so the fullest rank sets the pace",
    judge=judge,
    advice="balance by tokens or KV in use, not by requests; loosen session affinity",
    steps=("prefix-affine-routing", "replicas-instead"),
)
