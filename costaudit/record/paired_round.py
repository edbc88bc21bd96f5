"""One round of two engines that take turns: what it runs, and what it comes to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from costaudit.ground.stats import median
from costaudit.record.engines.engine import StreamEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.record.engines.engine import LocalEngine
    from costaudit.record.fitting import Lengths

TURNS = ("base", "new", "new", "base")
PHASES = ("prefill", "decode")
STREAM = "stream"  # of a side that batches continuously: its steps hold both phases
LATENCIES = ("ttft_p50_s", "itl_p50_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRound:
    """Device seconds of one round, by side and phase, summed over batches (mean of two turns).

    `latency_s`, by side: medians over the requests; none of a side that ran as a stream.
    """

    seconds: Mapping[str, Mapping[str, float]]
    latency_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def log(self, *phases: str) -> float:
        """ln(new / base) over these phases, over all without any; nan where one took no time."""
        spent = [
            sum(self.seconds[side].get(phase, 0.0) for phase in phases or self.seconds[side])
            for side in ("base", "new")
        ]
        return math.log(spent[1] / spent[0]) if min(spent) > 0 else math.nan

    def latency_log(self, name: str) -> float:
        """ln(new / base) of a latency; nan where a side has none."""
        both = [self.latency_s.get(side, {}).get(name, 0.0) for side in ("base", "new")]
        return math.log(both[1] / both[0]) if min(both) > 0 else math.nan


def run_round(
    engines: Mapping[str, LocalEngine], batches: Sequence[Lengths], *, swapped: bool
) -> PairedRound:
    """Run all batches on both engines, base first unless `swapped`."""
    other = {"base": "new", "new": "base"}
    turns = [other[side] for side in TURNS] if swapped else list(TURNS)
    seen = {side: Seen() for side in engines}
    streams = any(isinstance(engine, StreamEngine) for engine in engines.values())
    for piece in [batches] if streams else [[lengths] for lengths in batches]:
        for engine in engines.values():
            _run(engine, piece[:1], Seen())  # cold caches and kernels of a new shape
        for side in turns:
            _run(engines[side], piece, seen[side])
    return PairedRound(
        seconds={
            side: {phase: s / TURNS.count(side) for phase, s in found.seconds.items()}
            for side, found in seen.items()
        },
        latency_s={
            side: {
                name: median(values)
                for name, values in zip(LATENCIES, (found.ttft_s, found.gaps_s), strict=True)
                if values
            }
            for side, found in seen.items()
        },
    )


@dataclass(slots=True)
class Seen:
    """What the turns of a side come to, while they are run."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    ttft_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)


def _run(engine: LocalEngine, batches: Sequence[Lengths], seen: Seen) -> None:
    if isinstance(engine, StreamEngine):
        lengths = [pair for batch in batches for pair in batch]
        timing = engine.replay_stream(lengths, rows=max(len(batch) for batch in batches))
        seen.seconds[STREAM] = seen.seconds.get(STREAM, 0.0) + timing.seconds
        return
    for batch in batches:
        spans, token_s = engine.replay_batch(batch)
        for span in spans:
            seen.seconds[span.phase] += span.timing.seconds
        seen.ttft_s += [token_s[0]] * len(batch)
        for _, output in batch:
            seen.gaps_s += [b - a for a, b in pairwise(token_s[:output])]
