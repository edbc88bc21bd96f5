"""Loads that were really put on a server, and the same simulated."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import InconclusiveError
from costaudit.ground.stats import median
from costaudit.whatif.scenario import Prices, Scenario
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.traffic.traffic import Traffic
    from costaudit.whatif.latency import Gaps
    from costaudit.whatif.outcome import Outcome
    from costaudit.whatif.scenario import Knobs
    from costaudit.whatif.steptime import StepTime

USUAL_SHARE = 0.03  # no load of a shared machine repeats better
MOST_TAKEN = 0.3  # beyond it nothing more is lost: neighbours are there in every load then
# A load watched for so long is as often off by chance as by the usual share. With what a stage as a
# whole drifts (`calibrate.DRIFT_SHARE`) it comes to what bench/repeats.py saw on two cores of a
# shared host: loads of up to two seconds differed by 12 to 14 %, of four by 10 %, of eight by 7 %.
BRIEF_S = 10.0
GAP_SHARES = (0.2, 0.5, 0.8)  # at which gaps are compared


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLoad:
    """A closed loop that was really run; what was seen is of requests `first` up to `end`.

    `e2e_s` is each of theirs; `gaps_s` are quantiles of the gaps between tokens, by their share.
    """

    name: str
    traffic: Traffic
    first: int
    end: int
    e2e_s: tuple[float, ...]
    ttft_p50_s: float
    itl_p50_s: float | None
    gaps_s: Mapping[float, float] = field(default_factory=dict)
    stage: str = ""  # loads of one stage ran one after the other: the machine's drift is theirs
    wall_s: float = math.inf  # for which it was watched: disturbances spoil a short one more
    taken_share: float = 0.0  # by others; alone it might have been faster by so much

    @property
    def doubt(self) -> float:
        """What its usual share of error is to be multiplied by."""
        return math.hypot(doubt(self.wall_s), disturbed(self.taken_share))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a simulation says of the same."""

    e2e_s: tuple[float, ...]
    ttft_p50_s: float
    gaps: Gaps
    rows: float  # tokens per step
    context_tokens: float  # of a request, halfway through its answer

    @property
    def itl_p50_s(self) -> float | None:
        """Median gap between tokens; None without gaps."""
        return self.gaps.quantile_s(0.5)


def disturbed(taken_share: float) -> float:
    """Usual errors by which what others took may have slowed a load; bounded: it still tells."""
    return min(taken_share, MOST_TAKEN) / USUAL_SHARE


def doubt(wall_s: float) -> float:
    """By how much more a load is off that is watched for so long, than one watched for ever."""
    return math.sqrt(1 + BRIEF_S / wall_s)


def runs(model: StepTime, load: SeenLoad, knobs: Knobs) -> bool:
    """Whether the simulated engine could serve it; the real one did, so its knobs were not told."""
    try:
        told_of(model, load, knobs)
    except InconclusiveError:
        return False
    return True


def told_of(model: StepTime, load: SeenLoad, knobs: Knobs) -> Told:
    """The load simulated."""
    traffic = replace(load.traffic, think_s=model.request_s)
    scenario = Scenario(
        shape=model.shape,
        step_time=model,
        knobs=knobs,
        traffic=traffic,
        prices=Prices(usd_per_device_h=None),
    )
    outcome = simulate(scenario)
    return Told(
        e2e_s=outcome.e2e_s[load.first : load.end],
        ttft_p50_s=median(outcome.ttft_s[load.first : load.end]),
        gaps=outcome.gaps,
        **operating_point(outcome),
    )


def log_errors(told: Told, seen: SeenLoad) -> tuple[float, float, float]:
    """Logarithms of told over seen: time to the end, to the first token, between tokens.

    The first of all requests together: a rate is a mean, and what slows a machine for some of the
    time is in it; a median request told rates too high. Then medians. 0 where nothing was seen.
    """
    pairs = tuple(zip(told.e2e_s, seen.e2e_s, strict=True))
    return (
        _log(sum(one for one, _ in pairs), sum(other for _, other in pairs)),
        _log(told.ttft_p50_s, seen.ttft_p50_s),
        _gaps_log(told.gaps, seen),
    )


def _gaps_log(told: Gaps, seen: SeenLoad) -> float:
    """Of three quantiles of the gaps the middle error.

    Steps with prompts are many times longer than those without, so one quantile alone jumps from
    the one kind to the other where a term moves by a little, and says nothing of either.
    """
    pairs = {share: seen.gaps_s[share] for share in GAP_SHARES if share in seen.gaps_s}
    if not pairs and seen.itl_p50_s:
        pairs = {0.5: seen.itl_p50_s}
    logs = [_log(told.quantile_s(share), seconds) for share, seconds in pairs.items()]
    return median(logs) if logs else 0.0


def _log(told: float | None, seen: float | None) -> float:
    return math.log(told / seen) if told and seen else 0.0


def operating_point(outcome: Outcome) -> dict[str, float]:
    """Where an engine works: tokens per step, and tokens of a request halfway through."""
    return {
        "rows": outcome.output_tokens / max(outcome.steps, 1),
        "context_tokens": (outcome.prompt_tokens + outcome.output_tokens / 2)
        / max(outcome.requests, 1),
    }


def span_of(told: Sequence[Told]) -> dict[str, tuple[float, float]]:
    """The least and the most of each figure of an operating point, over these loads."""
    points = {"rows": [t.rows for t in told], "context_tokens": [t.context_tokens for t in told]}
    return {name: (min(values), max(values)) for name, values in points.items()}
