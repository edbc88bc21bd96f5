"""What a quantized model lost on a text, with intervals, against a budget."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from costaudit.contrast.change import from_pairs, high, low
from costaudit.ground.stats import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.quality import Scored, Window

SCHEMA = "costaudit.quality/1"
ONE_SIDED = 0.05
MOST_PERPLEXITY_SHARE, MOST_DISAGREEMENT_SHARE = 0.01, 0.02
NOISE = (
    "the weights are random, so the text is noise to both models: this shows how far the"
    " arithmetic is off, not what a user would notice"
)


class Result(StrEnum):
    """Three answers."""

    PASSED = "passed"
    BROKEN = "broken"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One figure of lost quality, as a share, with both ends of its 90 % interval."""

    what: str
    share: float
    interval: Interval
    budget: float

    @property
    def result(self) -> Result:
        """Within the budget, over it, or not known well enough."""
        if self.interval.high <= self.budget:
            return Result.PASSED
        return Result.BROKEN if self.interval.low > self.budget else Result.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Perplexity and greedy agreement of the quantized model beside the other's."""

    perplexity_before: float
    perplexity_after: float
    losses: tuple[Loss, ...]
    tokens: int
    windows: int
    notes: tuple[str, ...]

    @property
    def result(self) -> Result:
        """The worst of its figures."""
        results = {loss.result for loss in self.losses}
        worst = (Result.BROKEN, Result.INCONCLUSIVE, Result.PASSED)
        return next(result for result in worst if result in results)


def judge_quality(scored: Scored, *, budget: float | None) -> Quality:
    """Hold the windows of a text against the budget (None: one and two per cent).

    Perplexity: the mean difference of the log-likelihoods per token, paired window by window.
    Agreement: positions where both models' greedy tokens are the same. Windows are the draws of
    both intervals, since neighbouring tokens are not independent.
    """
    windows, tokens = scored.windows, sum(w.tokens for w in scored.windows)
    before, after = (sum(getattr(w, side) for w in windows) for side in ("base_nats", "new_nats"))
    change = from_pairs([(w.new_nats - w.base_nats) / w.tokens for w in windows])
    noise = (NOISE,) if scored.weights in ("random", "dummy") else ()
    return Quality(
        perplexity_before=_exp(before / tokens),
        perplexity_after=_exp(after / tokens),
        losses=(
            Loss(
                what="perplexity",
                share=change.share,
                interval=Interval(low=low(change, ONE_SIDED), high=high(change, ONE_SIDED)),
                budget=MOST_PERPLEXITY_SHARE if budget is None else budget,
            ),
            Loss(
                what="disagreement",
                share=1 - sum(w.agreed for w in windows) / tokens,
                interval=_disagreement(windows),
                budget=MOST_DISAGREEMENT_SHARE if budget is None else budget,
            ),
        ),
        tokens=tokens,
        windows=len(windows),
        notes=(*scored.notes, *noise),
    )


def as_json(quality: Quality) -> dict[str, Any]:
    """For a machine."""
    return {
        "schema": SCHEMA,
        "result": str(quality.result),
        "perplexity": {"before": quality.perplexity_before, "after": quality.perplexity_after},
        "losses": [
            {
                "what": loss.what,
                "share": loss.share,
                "interval": asdict(loss.interval),
                "budget": loss.budget,
                "result": str(loss.result),
            }
            for loss in quality.losses
        ],
        "tokens": quality.tokens,
        "windows": quality.windows,
        "notes": list(quality.notes),
    }


def _disagreement(windows: Sequence[Window]) -> Interval:
    """Student over the windows, and never narrower than if each token were drawn by itself.

    The latter (Clopper and Pearson 1934) has a width where no token disagreed.
    """
    from scipy.special import betaincinv

    tokens = sum(w.tokens for w in windows)
    missed = tokens - sum(w.agreed for w in windows)
    least = float(betaincinv(missed, tokens - missed + 1, ONE_SIDED)) if missed else 0.0
    most = 1.0
    if missed < tokens:
        most = float(betaincinv(missed + 1, tokens - missed, 1 - ONE_SIDED))
    spread = from_pairs([1 - w.agreed / w.tokens for w in windows])
    half = math.log1p(high(spread, ONE_SIDED)) - spread.log
    return Interval(
        low=max(min(least, spread.log - half), 0.0), high=min(max(most, spread.log + half), 1.0)
    )


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))
