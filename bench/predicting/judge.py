"""Predictions from the recordings, beside what was measured, and how good they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scipy.stats import kendalltau

from costaudit.audit.calibration import served_step_time
from costaudit.audit.scenario import scenario_of
from costaudit.ground.stats import median, percentile
from costaudit.measure.served_derive import derive_served
from costaudit.probe.draw import draw
from costaudit.recording.recording import Recording
from costaudit.traffic.traffic import Request, Traffic
from costaudit.whatif.predict import Predicted, predict
from costaudit.whatif.scenario import Prices, Scenario
from predicting.collect import BEFORE, BUSY_SHARE, STATED, measured, pool_bytes, recording_of
from predicting.flags import changed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from costaudit.probe.workload import Workload
    from predicting.changes import Baseline, Changes
    from predicting.collect import Measured

FIGURES = ("tokens_per_s", "usd_per_1m", "ttft_p50_s", "itl_p50_s")
USD_PER_H = 1.0  # of the machine; any price gives the same errors
MEDIAN_BARS = {"tokens_per_s": 0.08, "usd_per_1m": 0.08, "ttft_p50_s": 0.12, "itl_p50_s": 0.12}
P90_BARS = {"tokens_per_s": 0.20, "usd_per_1m": 0.20}
DISTURBED_SHARE = 0.25  # of the processors that others used: what was measured says nothing
COVERAGE, TAU = (0.85, 0.97), 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One change: its figures as predicted and as measured, and what it saves of the cost."""

    baseline: str
    change: str
    predicted: Mapping[str, Predicted]
    measured: Mapping[str, float]
    saving_predicted: float
    saving_measured: float
    others_share: float

    @property
    def disturbed(self) -> bool:
        """Whether the measurement says nothing: others used too much of the processors."""
        return self.others_share > DISTURBED_SHARE

    def error(self, name: str) -> float:
        """Predicted over measured, less one."""
        return self.predicted[name].value / self.measured[name] - 1

    @property
    def effect_error(self) -> float:
        """The cost after the change over that before: predicted over measured, less one.

        A machine that was faster or slower in everything than while it was recorded is not in it.
        """
        return (1 - self.saving_predicted) / (1 - self.saving_measured) - 1


def judge(changes: Changes, folder: Path) -> list[Row]:
    """A row for each change that was measured, after one of its baseline unchanged.

    Baselines without a recording are left out.
    """
    return [
        row
        for baseline in changes.baselines
        if recording_of(folder, baseline).exists()
        for row in _rows(baseline, changes, folder)
    ]


def _rows(baseline: Baseline, changes: Changes, folder: Path) -> list[Row]:
    scenario = recorded(recording_of(folder, baseline))
    before = calm(measured(folder, baseline, BEFORE))
    if not before:
        return []
    usual, seen_before = (
        predict(_with(scenario, changes.workloads[baseline.traffic])),
        _figures(before),
    )
    rows = [_row(baseline, BEFORE, (usual, usual), (seen_before, seen_before), before)]
    for change in baseline.changes:
        runs = calm(measured(folder, baseline, change.name))
        if not runs:
            continue
        flags = (*STATED, *baseline.flags)
        knobs = changed(scenario.knobs, flags, change.flags, pool=pool_bytes())
        told = predict(_with(replace(scenario, knobs=knobs), changes.workloads[change.traffic]))
        both = (seen_before, _figures(runs))
        rows.append(_row(baseline, change.name, (usual, told), both, (*runs, *before)))
    return rows


def _row(
    baseline: Baseline,
    change: str,
    predicted: tuple[Mapping[str, Predicted], Mapping[str, Predicted]],
    seen: tuple[Mapping[str, float], Mapping[str, float]],
    runs: Sequence[Measured],
) -> Row:
    """Both pairs are before and after."""
    usual, told = predicted
    return Row(
        baseline=baseline.name,
        change=change,
        predicted=told,
        measured=seen[1],
        saving_predicted=1 - told["usd_per_1m"].value / usual["usd_per_1m"].value,
        saving_measured=1 - seen[1]["usd_per_1m"] / seen[0]["usd_per_1m"],
        others_share=max(run.others_share for run in runs),
    )


def recorded(path: Path) -> Scenario:
    """Today's scenario of a recording, as the audit makes it."""
    with Recording.read(path) as recording:
        derived = derive_served(recording)
        step_time = served_step_time(recording, derived)
    prices = Prices(usd_per_device_h=USD_PER_H)
    return scenario_of(derived.metrics, derived.requests, step_time, prices)


def _with(scenario: Scenario, workload: Workload) -> Scenario:
    """The scenario under the very requests that are sent."""
    requests = tuple(
        Request(
            prompt_tokens=one.prompt_tokens,
            output_tokens=one.output_tokens,
            arrival_s=one.arrival_s,
            prefix_id=one.prefix_id,
            prefix_tokens=one.prefix_tokens,
        )
        for one in draw(workload)
    )
    traffic = Traffic(source=workload.name, requests=requests, concurrency=workload.concurrency)
    return replace(scenario, traffic=traffic)


def calm(runs: Sequence[Measured]) -> list[Measured]:
    """Those that no neighbour disturbed, else the one that was disturbed least."""
    least = min((run.others_share for run in runs), default=0.0)
    return [run for run in runs if run.others_share <= max(BUSY_SHARE, least)]


def _figures(runs: Sequence[Measured]) -> dict[str, float]:
    """Medians over the runs."""
    rate = median([run.tokens_per_s for run in runs])
    return {
        "tokens_per_s": rate,
        "usd_per_1m": USD_PER_H / 3600 / rate * 1e6,
        "ttft_p50_s": median([run.ttft_p50_s for run in runs]),
        "itl_p50_s": median([run.itl_p50_s for run in runs]),
    }


def summary(every: Sequence[Row]) -> dict[str, Any]:
    """Errors by figure, how often an interval held, and Kendall's tau of the savings.

    Over the changes that can be judged, if there are any; `disturbed` counts the others.
    """
    every = [row for row in every if row.change != BEFORE]
    rows = [row for row in every if not row.disturbed] or every
    errors = {n: [abs(row.error(n)) for row in rows] for n in FIGURES}
    held = [row.predicted[n].holds(row.measured[n]) for row in rows for n in FIGURES]
    effects = [abs(row.effect_error) for row in rows]
    tau = kendalltau(
        [row.saving_predicted for row in rows], [row.saving_measured for row in rows]
    ).statistic
    return {
        "changes": len(rows),
        "disturbed": sum(row.disturbed for row in every),
        "median": {name: median(values) for name, values in errors.items()},
        "p90": {name: percentile(values, 0.9) for name, values in errors.items()},
        "effect_on_cost": {"median": median(effects), "p90": percentile(effects, 0.9)},
        "coverage": sum(held) / len(held),
        "tau": float(tau),
    }


def misses(told: Mapping[str, Any]) -> list[str]:
    """The bars that were missed."""
    found = [
        f"{name}: {kind} error {told[kind][name]:.1%}, bar {bar:.0%}"
        for kind, bars in (("median", MEDIAN_BARS), ("p90", P90_BARS))
        for name, bar in bars.items()
        if told[kind][name] > bar
    ]
    if not COVERAGE[0] <= told["coverage"] <= COVERAGE[1]:
        found.append(
            f"intervals held {told['coverage']:.0%}, bar {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%}"
        )
    if not told["tau"] >= TAU:
        found.append(f"Kendall's tau of the savings {told['tau']:.2f}, bar {TAU}")
    return found
