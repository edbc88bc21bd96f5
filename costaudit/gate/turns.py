"""`--ab`: both targets measured in turns, as evidence for the gate."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.contrast.turns import pair_logs, recorded_pairs
from costaudit.gate.confirm import judge_twice
from costaudit.gate.shift import of_pairs
from costaudit.ground.errors import UsageError
from costaudit.record.paired import PairedOptions, record_paired

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.contrast.observation import Observation
    from costaudit.gate.budget import Margin
    from costaudit.gate.shift import Evidence, Shift
    from costaudit.record.options import Listener
    from costaudit.record.paired import Paired

    Recorder = Callable[[str, Path], Path]

PHASES: Mapping[str, tuple[str, ...]] = {
    "usd_per_1m_tokens": ("prefill", "decode"),
    "gpu_s_per_1m_tokens": ("prefill", "decode"),
    "prefill_s_per_1m_tokens": ("prefill",),
    "decode_s_per_1m_tokens": ("decode",),
}
_SERVERS = ("http://", "https://")


def judge_turns(
    options: PairedOptions, margins: Sequence[Margin], *, progress: Listener
) -> tuple[Shift, ...]:
    """Measure both targets in turns and judge the relative lines; an alarm is measured again.

    Raises:
        UsageError: a server and a model in this process cannot take turns; or a flag is wrong.
        TargetError: a target failed.
    """
    servers = {target.startswith(_SERVERS) for target in (options.base, options.new)}
    if len(servers) > 1:
        raise UsageError("a server and a model in this process cannot take turns")
    if servers.pop():
        return _judge_servers(options, margins, progress)
    first = record_paired(options, progress=progress)

    def again() -> tuple[Evidence, Evidence]:
        second = record_paired(options, progress=progress)
        return of_paired(second), of_paired(first, second)

    return judge_twice(of_paired(first), margins, again=again)


def of_paired(*runs: Paired) -> Evidence:
    """Evidence from one run of turns, or several put together."""
    rounds = [each for run in runs for each in run.rounds]
    counted = {side: _counters(runs, side) for side in ("base", "new")}
    return of_pairs(
        {metric: [each.log(*phases) for each in rounds] for metric, phases in PHASES.items()},
        before=counted["base"],
        after=counted["new"],
    )


def of_turns(pairs: Sequence[tuple[Observation, Observation]]) -> Evidence:
    """Evidence from recordings (base, new) taken next to each other."""
    whole = pair_logs(pairs)
    sides = list(zip(*pairs, strict=True))
    before, after = (_common_counters(side) for side in sides)
    return of_pairs(whole, before=before, after=after)


def _judge_servers(
    options: PairedOptions, margins: Sequence[Margin], progress: Listener
) -> tuple[Shift, ...]:
    with tempfile.TemporaryDirectory(prefix="costaudit-ab-") as folder:
        first = _recorded(options, Path(folder), progress)

        def again() -> tuple[Evidence, Evidence]:
            second = _recorded(options, Path(folder), progress)
            return of_turns(second), of_turns([*first, *second])

        return judge_twice(of_turns(first), margins, again=again)


def _recorded(
    options: PairedOptions, folder: Path, progress: Listener
) -> list[tuple[Observation, Observation]]:
    from costaudit.record.probing.options import ServerOptions

    seconds = options.seconds / options.rounds / 2
    base, new = (
        ServerOptions(url=url, path=folder, probe=options.probe, time_budget_s=seconds)
        for url in (options.base, options.new)
    )
    return recorded_pairs(base, new, pairs=options.rounds, folder=folder, progress=progress)


def _counters(runs: Sequence[Paired], side: str) -> dict[str, list[float]]:
    """A pair runs the same requests on both sides; what is left to differ is the cache's bytes."""
    return {"kv_bytes_per_token": [getattr(run, side).kv_bytes_per_token for run in runs]}


def _common_counters(side: Sequence[Observation]) -> dict[str, list[float]]:
    names = set.intersection(*(set(o.counters) for o in side))
    return {name: [o.counters[name] for o in side] for name in names}
