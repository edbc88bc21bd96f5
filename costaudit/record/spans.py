"""Long homogeneous spans on a GPU, for counters of the driver that need half a second or more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from costaudit.probe.design import StepProbe
from costaudit.record.steps import PROBE_FIELDS, once, prepare
from costaudit.recording.rows import Fact, Task

if TYPE_CHECKING:
    from costaudit.record.run import Run


def span(run: Run, task: Task) -> None:
    """Repeat one probe's steps between two readings of the driver, as long as its counters need.

    Setting the cache back between repetitions costs no work of the device that would count.
    """
    if run.gpu is None:
        run.recording.finish(task.id)
        return
    spec: dict[str, Any] = task.spec
    probe = StepProbe(**{name: spec[name] for name in PROBE_FIELDS})
    prepared = prepare(run.engine, probe, spec["steps"])
    once(run.engine, prepared)
    steps, device_s = 0, 0.0
    with run.gpu.span() as held:
        while not held.enough():
            device_s += once(run.engine, prepared).seconds
            steps += prepared.steps
    reading = None if held.reading is None else asdict(held.reading)
    value = {"probe": probe.id, "steps": steps, "device_s": device_s, "reading": reading}
    run.recording.add(Fact(subject="span", name=probe.phase, value=value), done=task.id)
