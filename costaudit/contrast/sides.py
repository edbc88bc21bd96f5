"""The change between two sides, each of one recording or several.

The unit is the recording: rounds within a run share its memory layout, clocks and neighbours, so
that their spread says too little of how the next run will differ. From several recordings that
difference is learned; with one on each side it is assumed, and said so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.contrast.change import Change
from costaudit.ground.stats import mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.contrast.observation import Observation, Unit

# Assumed standard deviation of ln(seconds) between like runs, by clock. The first is that of
# recordings of bench/gate.py on two shared cores while others left them alone or nearly so; the
# others were not measured here: a GPU's events leave the host out, a server's wall time does not.
RUN_SPREAD: Mapping[str, float] = {"thread_time": 0.02, "cuda_event": 0.01, "wall": 0.02}
LEAST_LEARNED = 0.5  # of it: recordings in a row do not show what another day brings
FREEDOM = 2  # degrees of freedom from which the spread is taken as learned
# Thread seconds that a neighbour on the same memory adds, per share of wall time that it takes:
# bench/gate.py beside other programs saw 0.1 in the median and, over two models, 0.34 at most.
CONTENTION = 0.35
# Of the same small work beside each batch (record/pace.py): looks this close, as ln, are one pace.
# What it loses beyond that a batch may have lost too; bench/gate.py saw batches lose less.
SAME_PACE = 0.05
TAIL = 2.0  # a percentile in the tail spreads so much more between runs; assumed


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A metric made of time: how it is read, and whether more of it is worse (1) or better (-1)."""

    read: Callable[[Observation, frozenset[str]], float | None]
    worse: int
    what: str
    spread: float = 1.0  # between runs, over that of the whole window


def _per_token(seconds: Callable[[Unit], float | None]) -> Callable[..., float | None]:
    def read(observation: Observation, keys: frozenset[str]) -> float | None:
        units = [unit for key, unit in observation.units.items() if key in keys]
        known = [s for unit in units if (s := seconds(unit)) is not None]
        if not units or len(known) < len(units):
            return None
        return math.fsum(known) / sum(unit.tokens for unit in units)

    return read


def _latency(name: str) -> Callable[..., float | None]:
    return lambda observation, _: observation.latencies_s.get(name)


_DEVICE_S = Timing(
    read=_per_token(lambda unit: unit.device_s), worse=1, what="device-seconds per token"
)
TIMINGS: Mapping[str, Timing] = {
    "usd_per_1m_tokens": _DEVICE_S,
    "gpu_s_per_1m_tokens": _DEVICE_S,
    "prefill_s_per_1m_tokens": Timing(
        read=_per_token(lambda unit: unit.prefill_s), worse=1, what="prefill seconds per token"
    ),
    "decode_s_per_1m_tokens": Timing(
        read=_per_token(lambda unit: unit.decode_s), worse=1, what="decode seconds per token"
    ),
    **{
        f"{name}_{share}_s": Timing(
            read=_latency(f"{name}_{share}_s"),
            worse=1,
            what=f"{share} of {name.upper()}",
            spread=1.0 if share == "p50" else TAIL,
        )
        for name in ("ttft", "itl")
        for share in ("p50", "p95", "p99")
    },
}
PRIMARY = ("usd_per_1m_tokens", "gpu_s_per_1m_tokens")  # the same ratio, priced from one book


def common_units(*observations: Observation) -> frozenset[str]:
    """Units that every recording ran."""
    return frozenset.intersection(*(frozenset(o.units) for o in observations))


def change_between(
    base: Sequence[Observation], new: Sequence[Observation], metric: str
) -> Change | None:
    """The change of a timing metric from one side to the other; None where one cannot tell it.

    Raises:
        KeyError: no such timing metric.
    """
    timing, keys = TIMINGS[metric], common_units(*base, *new)
    before = [timing.read(o, keys) for o in base]
    after = [timing.read(o, keys) for o in new]
    if not keys or None in before or None in after:
        return None
    old, late = _logs(before), _logs(after)
    error, freedom, origin = _error(old, late, [*base, *new], timing.spread)
    best = min(_paces([*base, *new], keys), default=None)
    return Change(
        log=timing.worse * (mean(late) - mean(old)),
        error=error,
        freedom=freedom,
        shown=_disturbed(new) + _slowed(new, keys, best),
        hidden=_disturbed(base) + _slowed(base, keys, best),
        origin=origin,
    )


def _logs(values: Sequence[float | None]) -> list[float]:
    return [math.log(value) for value in values if value is not None]


def _error(
    old: Sequence[float], late: Sequence[float], runs: Sequence[Observation], tail: float
) -> tuple[float, float, str]:
    """Standard error of the difference of means, its degrees of freedom, and its origin."""
    share = math.sqrt(1 / len(old) + 1 / len(late))
    assumed = tail * max(RUN_SPREAD[run.clock] for run in runs)
    within = math.sqrt(mean([run.within_share**2 for run in runs]))
    spread = math.hypot(assumed, within)
    freedom = len(old) + len(late) - 2
    if freedom >= FREEDOM:
        squares = sum(math.fsum((v - mean(side)) ** 2 for v in side) for side in (old, late))
        learned = math.sqrt(squares / freedom)
        if learned >= LEAST_LEARNED * spread:
            return learned * share, freedom, f"learned from {len(runs)} recordings"
        half = f"so half of {spread:.2g} stands"
        floor = f"{len(runs)} recordings agree more closely than days do, {half}"
        return LEAST_LEARNED * spread * share, math.inf, floor
    return (
        spread * share,
        math.inf,
        f"a spread of {assumed:g} between runs is assumed; four recordings would measure it",
    )


def _disturbed(side: Sequence[Observation]) -> float:
    """What others on this machine may have added to the thread's time, as ln."""
    return mean([math.log1p(CONTENTION * o.contention_share) for o in side])


def _slowed(side: Sequence[Observation], keys: frozenset[str], best: float | None) -> float:
    """By how much the machine ran below its best pace of both sides, as ln, beyond chance."""
    if best is None:
        return 0.0
    return mean([max(math.log(p / best) - SAME_PACE, 0.0) for p in _paces(side, keys)] or [0.0])


def _paces(side: Sequence[Observation], keys: frozenset[str]) -> list[float]:
    units = [unit for o in side for key, unit in o.units.items() if key in keys]
    return [unit.pace_s for unit in units if unit.pace_s]
