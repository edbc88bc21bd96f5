"""The kinds of tasks a run is made of, and which come first; later ones are planned on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from costaudit.probe.draw import context_scale, draw
from costaudit.record import about, kv, pressure, replay, steps
from costaudit.record.engines.engine import QuantizableEngine
from costaudit.record.peaks import measure_peaks
from costaudit.record.run import (
    LADDER_SHARE,
    PEAKS_SHARE,
    PRESSURE_SHARE,
    REPLAY_SHARE,
    STEPS_SHARE,
    Run,
    device_of,
)
from costaudit.record.spans import span
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from costaudit.record.options import ProfileOptions

MANY_ROWS = 128  # of a step that multiplies rather than reads
LOW_BIT_ROWS = (1, 4, 16, 32, 64, 128, 256, 512)

Stage = Callable[[Run, Task], None]


def first_tasks(options: ProfileOptions) -> tuple[Task, ...]:
    """What every run begins with; "calibrate" plans the step probes and they the rest.

    `est_s` of a planning task stands for all that it will plan.
    """
    rest = STEPS_SHARE + LADDER_SHARE + REPLAY_SHARE + PRESSURE_SHARE
    planned = {
        "about": 0.1,
        "peaks": options.time_budget_s * PEAKS_SHARE / 2,
        "kv": 0.2,
        "kernels": 0.5,
        "calibrate": options.time_budget_s * rest,
    }
    return tuple(Task(id=k, kind=k, spec={"est_s": est_s}) for k, est_s in planned.items())


def _about(run: Run, task: Task) -> None:
    given = run.options.batch_size is not None
    run.recording.add(
        *about.about_target(run.engine.target, batch_size=run.batch_size, given=given),
        *about.about_device(run.engine),
        *about.about_software(),
        done=task.id,
    )


def _peaks(run: Run, task: Task) -> None:
    """Measured at the start and at the end: the better stands, a neighbour may spoil one."""
    measured = measure_peaks(
        run.engine.timed,
        device=device_of(run.engine),
        dtype=run.engine.target.dtype,
        budget_s=run.options.time_budget_s * PEAKS_SHARE / 2,
        free_bytes=pressure.free_bytes(run.engine),
    )
    before = run.recording.facts().get("device", {})
    facts = [_better(fact, before.get(fact.name)) for fact in measured]
    run.recording.add(*facts, done=task.id)


def _better(fact: Fact, before: Fact | None) -> Fact:
    values = [f.value for f in (fact, before) if f and isinstance(f.value, (int, float))]
    return replace(fact, value=max(values))


def _kernels(run: Run, task: Task) -> None:
    """What the change to int8 would do to this model's own layers, at few rows and at many."""
    rows = (run.batch_size, MANY_ROWS)
    found = run.engine.int8_speedups(rows) if isinstance(run.engine, QuantizableEngine) else {}
    facts = []
    if found:
        value = {"decode": found[rows[0]], "prefill": found[rows[1]]}
        why = f"seconds of its linear layers over those of their int8, at {rows[0]} and {rows[1]}"
        facts.append(Fact(subject="device", name="int8_speedup", value=value, why=f"{why} rows"))
    if isinstance(run.engine, QuantizableEngine):
        by_format = run.engine.low_bit_speedups(LOW_BIT_ROWS)
        facts += [
            Fact(
                subject="device",
                name=f"low_bit_speedup/{form}",
                value={str(count): ratio for count, ratio in ratios.items()},
                why="seconds of the model's own linear layers over those in it, by rows of a step",
            )
            for form, ratios in by_format.items()
        ]
    run.recording.add(*facts, done=task.id)


def _calibrate(run: Run, task: Task) -> None:
    """The longest context that the workload will reach decides how far the probes go."""
    context = run.engine.target.known_shape.max_context_tokens
    longest = max(r.prompt_tokens + r.output_tokens for r in draw(run.workload))
    scale = run.options.scale or context_scale(run.workload, context)
    steps.calibrate(run, task, longest_context_tokens=round(longest * scale))


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "about": _about,
        "peaks": _peaks,
        "kv": kv.measure_kv,
        "kernels": _kernels,
        "calibrate": _calibrate,
        "step": steps.step,
        "span": span,
        "workload": replay.plan_workload,
        "ladder": replay.replay,
        "replay": replay.replay,
        "requests": replay.record_requests,
        "pressure": pressure.ramp,
    }
)
DOING: Mapping[str, str] = MappingProxyType(
    {
        "about": "looking at target and device",
        "peaks": "measuring the device's peaks",
        "kv": "weighing the KV cache",
        "kernels": "timing int8 kernels",
        "calibrate": "sizing the probes",
        "step": "timing prefill and decode steps",
        "span": "reading the driver's counters",
        "workload": "fitting the workload to this machine",
        "ladder": "one prompt alone, then eight together",
        "replay": "replaying the workload",
        "requests": "writing down the requests",
        "pressure": "raising the pressure on the KV cache",
    }
)
