"""How often the gate is wrong: false alarms on equal builds, misses of true slow-downs.

    python bench/gate.py [--folder DIR] [--recordings N] [--runs N] [--json]

Runs a small model again and again, as it is and with 3, 5 and 10 % burned behind each forward
pass: pairs in turns as `costaudit gate --ab` does (`--runs` each without a slow-down, a quarter of
that with), and recordings (`--recordings` of each). From these, 200 more pairs are drawn: rounds
of turns without replacement, or recordings at random. Other gates' rules judge the same samples.
What was run is kept in the folder, so that a second call only judges.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev
from typing import TYPE_CHECKING, Any

from gating.collect import recordings, turns
from gating.rivals import RULES

from costaudit.contrast.observe import observe
from costaudit.gate.budget import Margin, Severity
from costaudit.gate.confirm import judge_twice
from costaudit.gate.shift import judge_margins, of_pairs, of_recordings
from costaudit.ground.stats import median
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.contrast.observation import Observation
    from costaudit.gate.shift import Shift

SLOW = (0.03, 0.05, 0.10)
PAIRS, ROUNDS = 200, 8
QUIET = 0.1  # share of wall time that others may take from an undisturbed recording
SEVERAL = 3  # recordings a side, enough to learn how runs spread
TURN_MARGIN, RUN_MARGIN = 0.02, 0.08
PRIMARY = "usd_per_1m_tokens"
FALSE_ALARMS, SEEN, SEEN_AT = 0.01, 0.95, 0.05  # the bars

Pair = dict[str, float]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the gate and its rivals said of pairs of one true slow-down."""

    pairs: int = 0
    said: Counter[str] = field(default_factory=Counter)
    sure: Counter[str] = field(default_factory=Counter)  # where 5 % was promised to be seen
    rivals: Counter[str] = field(default_factory=Counter)

    def add(self, shift: Shift, base: Sequence[float], new: Sequence[float]) -> None:
        """Count one pair."""
        self.pairs += 1
        self.said[str(shift.result)] += 1
        if shift.seen is not None and shift.seen <= SEEN_AT:
            self.sure[str(shift.result)] += 1
        for name, rule in RULES.items():
            self.rivals[name] += rule(base, new)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, help="where runs are kept (a temporary one)")
    parser.add_argument("--runs", type=int, default=20, help="pairs in turns really run (20)")
    parser.add_argument("--recordings", type=int, default=6, help="of each slow-down (6)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args(arguments)
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="costaudit-bench-gate-"))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tables = {
        "in turns (--ab), really run": in_turns(folder, asked.runs),
        f"in turns, {PAIRS} drawn": in_turns(folder, asked.runs, drawn=PAIRS),
        f"one recording each, {PAIRS} drawn": from_recordings(folder, asked.recordings, 1),
    }
    if asked.recordings >= 2 * SEVERAL:
        several = from_recordings(folder, asked.recordings, SEVERAL)
        tables[f"{SEVERAL} recordings each, {PAIRS} drawn"] = several
    missed = [f"{name}: {why}" for name, table in tables.items() for why in misses(table)]
    if asked.json:
        print(json.dumps({"tables": _plain(tables), "missed": missed}, indent=1))
    else:
        for name, table in tables.items():
            print(f"\n{name}\n{as_text(table)}")
        print(f"\n{spread_text(folder, asked.recordings)}")
        print(f"runs are kept in {folder}")
        print("\n".join(f"MISSED {why}" for why in missed) or "all bars are met")
    return 1 if missed else 0


def in_turns(folder: Path, runs: int, *, drawn: int = 0) -> dict[float, Tally]:
    """Verdicts of `gate --ab` with its confirming re-run, here the next run or the next draw."""
    found = {}
    for share in (0.0, *SLOW):
        count = runs if share <= 0 else max(4, runs // 4)
        each = turns(folder, share=share, runs=count, rounds=ROUNDS, tell=_told)
        pool = [one for run in each for one in run]
        rng = random.Random(f"turns/{share}")
        tally = Tally()
        for number in range(drawn or count):
            if drawn:
                chosen = rng.sample(pool, 2 * ROUNDS)
                first, second = chosen[:ROUNDS], chosen[ROUNDS:]
            else:
                first, second = each[number], each[(number + 1) % count]
            tally.add(judged(first, second), [p["base"] for p in first], [p["new"] for p in first])
        found[share] = tally
    return found


def judged(first: Sequence[Pair], second: Sequence[Pair]) -> Shift:
    """The primary line's verdict; `second` confirms an alarm."""

    def again() -> tuple[Any, Any]:
        return _evidence(second), _evidence([*first, *second])

    (shift,) = judge_twice(_evidence(first), [_line(TURN_MARGIN)], again=again)
    return shift


def from_recordings(folder: Path, count: int, size: int) -> dict[float, Tally]:
    """Verdicts of `gate RUN … --baseline RUN …`, with `size` recordings on each side."""
    paths = recordings(folder, count=count, slow=SLOW, tell=_told)
    seen = {s: [(observe(p), _rounds_s(p)) for p in group] for s, group in paths.items()}
    found = {}
    for share in (0.0, *SLOW):
        rng = random.Random(f"recordings/{share}/{size}")
        tally = Tally()
        for _ in range(PAIRS):
            base = rng.sample(seen[0.0], size)
            others = seen[share] if share > 0 else [s for s in seen[0.0] if s not in base]
            new = rng.sample(others, size)
            evidence = of_recordings(_observed(base), _observed(new))
            (shift,) = judge_margins(evidence, [_line(RUN_MARGIN)])
            tally.add(shift, _pooled(base), _pooled(new))
        found[share] = tally
    return found


def misses(table: Mapping[float, Tally]) -> list[str]:
    """The bars that were missed."""
    found = []
    equal = table[0.0]
    if equal.said["broken"] > FALSE_ALARMS * equal.pairs:
        found.append(f"{equal.said['broken']} of {equal.pairs} equal pairs broken")
    for share, tally in table.items():
        if share >= max(SLOW) and tally.said["passed"]:
            found.append(f"{tally.said['passed']} pairs passed with a true {share:.0%}")
    promised = table[SEEN_AT].sure
    if promised and promised["broken"] < SEEN * promised.total():
        found.append(f"5 % seen in {promised['broken']} of {promised.total()} that promised it")
    return found


def as_text(table: Mapping[float, Tally]) -> str:
    """A row per true slow-down: what the gate said, and how often each rival raised an alarm."""
    head = f"{'true':>6} {'pairs':>6} {'broken':>8} {'undecided':>10} {'passed':>8} {'sure':>9}"
    lines = [head + "".join(f"  {name}" for name in RULES)]
    for share, tally in table.items():
        said = [tally.said[r] / tally.pairs for r in ("broken", "inconclusive", "passed")]
        promised = f"{tally.sure['broken']}/{tally.sure.total()}"
        cells = f"{said[0]:>8.1%} {said[1]:>10.1%} {said[2]:>8.1%} {promised:>9}"
        rivals = "".join(f"  {tally.rivals[name] / tally.pairs:>{len(name)}.1%}" for name in RULES)
        lines.append(f"{share:>6.0%} {tally.pairs:>6} {cells}{rivals}")
    return "\n".join(lines)


def spread_text(folder: Path, count: int) -> str:
    """How recordings spread, and how much slower the disturbed ones are: what the gate assumes.

    Each slow-down is taken off first; the quietest recording is the measure of the others.
    """
    points = [
        (seen.contention_share, math.log(seen.device_s_per_1m / (1 + share)))
        for share, paths in recordings(folder, count=count, slow=SLOW, tell=_told).items()
        for seen in map(observe, paths)
    ]
    quiet = [log for contention, log in points if contention <= QUIET]
    least, floor = min(points)
    slopes = [math.expm1(log - floor) / c for c, log in points if c > max(QUIET, 2 * least)]
    lines = [f"{len(points)} recordings, {len(quiet)} undisturbed (wall time within {QUIET:.0%})"]
    if len(quiet) > 1:
        lines.append(f"spread of ln(seconds) between undisturbed ones: {stdev(quiet):.3f}")
    if slopes:
        told = f"{median(slopes):.2f} in the median, {max(slopes):.2f} at most"
        lines.append(f"seconds added per share of wall time that others took: {told}")
    return "\n".join(lines)


def _evidence(rounds: Sequence[Pair]) -> Any:
    logs = [math.log(one["new"] / one["base"]) for one in rounds]
    return of_pairs({PRIMARY: logs}, before={}, after={})


def _line(margin: float) -> Margin:
    return Margin(metric=PRIMARY, margin=margin, severity=Severity.ERROR, owner="", reason="")


def _observed(side: Sequence[tuple[Observation, list[float]]]) -> list[Observation]:
    return [observation for observation, _ in side]


def _pooled(side: Sequence[tuple[Observation, list[float]]]) -> list[float]:
    return [seconds for _, rounds in side for seconds in rounds]


def _rounds_s(path: Path) -> list[float]:
    """Seconds of each replayed round: the samples that other gates look at."""
    rounds: dict[int, float] = {}
    with Recording.read(path) as recording:
        for sample in recording.samples(Role.REPLAY):
            rounds[sample.round] = rounds.get(sample.round, 0.0) + sample.seconds
    return list(rounds.values())


def _plain(tables: Mapping[str, Mapping[float, Tally]]) -> dict[str, Any]:
    return {
        name: {
            f"{share:g}": {
                "pairs": tally.pairs,
                "said": dict(tally.said),
                "promised": dict(tally.sure),
                "rivals": dict(tally.rivals),
            }
            for share, tally in table.items()
        }
        for name, table in tables.items()
    }


def _told(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
