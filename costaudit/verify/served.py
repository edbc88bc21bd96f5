"""A changed server: recorded in turns with the unchanged one, or against the recording alone."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.contrast.change import from_pairs
from costaudit.contrast.comparable import differences
from costaudit.contrast.observe import observe
from costaudit.contrast.sides import change_between
from costaudit.contrast.turns import pair_logs, recorded_pairs
from costaudit.measure.served_derive import derive_served
from costaudit.plan.prediction import METRICS
from costaudit.record.options import Progress
from costaudit.record.probing.options import server_options
from costaudit.recording.recording import Recording
from costaudit.verify.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.contrast.observation import Observation
    from costaudit.measure.metrics import Metrics
    from costaudit.playbook.step import Step
    from costaudit.record.options import Listener
    from costaudit.record.probing.options import ServerOptions

# Parts of the environment that a step is there to change, by its category.
MEANT_TO_DIFFER: Mapping[str, frozenset[str]] = {
    "precision": frozenset({"model"}),
    "model": frozenset({"model"}),
    "parallelism": frozenset({"device", "devices"}),
    "hardware": frozenset({"device", "devices", "driver"}),
}
MOST_ALONE = 2  # recordings as long as RUN; against one recording more would not tell more
LEAST_S = 30.0  # of a recording: shorter ones seldom reach a steady state


def measure_server(
    run: Path,
    steps: Sequence[Step],
    *,
    target: str,
    baseline: str | None,
    rounds: int,
    seconds: float,
    progress: Listener,
) -> Measured:
    """Probe the server with the recording's own workload; times of both sides in turns.

    Raises:
        UsageError: the recording cannot be gone on with.
        TargetError: a server cannot be reached, or failed.
        InconclusiveError: a recording ended before its workload was replayed.
    """
    before = observe(run)
    expected = frozenset[str]().union(
        *(MEANT_TO_DIFFER.get(step.category, frozenset()) for step in steps)
    )
    probing = replace(_probing(run, before), url=target)
    with tempfile.TemporaryDirectory(prefix="costaudit-verify-") as name:
        folder = Path(name)
        if baseline is None:
            base, seen = [before], _alone(probing, rounds, folder, progress)
            told = {metric: change_between(base, seen, metric) for metric in METRICS}
            changes = {metric: change for metric, change in told.items() if change is not None}
            how = f"{len(seen)} recordings of the changed server against the recording alone"
        else:
            probing = replace(probing, time_budget_s=max(seconds / rounds / 2, LEAST_S))
            old = replace(probing, url=baseline)
            pairs = recorded_pairs(old, probing, pairs=rounds, folder=folder, progress=progress)
            base, seen = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            logs = pair_logs(pairs).items()
            changes = {metric: from_pairs(rows) for metric, rows in logs if metric in METRICS}
            how = f"A-B-B-A over both servers, {rounds} pairs of recordings"
        after = _metrics(folder)
    unlike = differences(base, seen, expected=expected)
    return Measured(changes=changes, how=how, refused="; ".join(unlike), after=after)


def _probing(run: Path, before: Observation) -> ServerOptions:
    """As the recording was made, under the very lengths and streams that it came to."""
    with Recording.read(run) as recording:
        options = server_options(recording.meta().get("options"), run)
    streams = before.environment["streams"]
    return replace(
        options,
        scale=float(before.environment["scale"]),
        concurrency=int(streams) if streams else options.concurrency,
    )


def _alone(
    options: ServerOptions, rounds: int, folder: Path, progress: Listener
) -> list[Observation]:
    from costaudit.record.probing.profile import record_server

    seen = []
    rounds = min(rounds, MOST_ALONE)
    for number in range(rounds):
        told = f"recording {number + 1} of {rounds}"
        progress(Progress(fraction=number / rounds, label=told, seconds_left=None))
        path = folder / f"new-{number}.costaudit"
        record_server(replace(options, path=path), progress=lambda _: None)
        seen.append(observe(path))
    return seen


def _metrics(folder: Path) -> Metrics:
    """What the changed server told last."""
    last = max(folder.glob("new*.costaudit"), key=lambda path: path.stat().st_mtime_ns)
    with Recording.read(last) as recording:
        return derive_served(recording).metrics
