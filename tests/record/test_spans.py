"""A span repeats one probe's steps until the counters have had their time, and says what it did."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from fake_engine import FakeEngine, step_s

from costaudit.measure.counters import counters_of
from costaudit.measure.phases import Precision
from costaudit.measure.reading import Reading
from costaudit.measure.steps import TimedLoad
from costaudit.probe.workload import load_workload
from costaudit.record.meters.span_reading import Span, SpanReading
from costaudit.record.options import ProfileOptions
from costaudit.record.run import Run
from costaudit.record.spans import span
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Phase, Task
from costaudit.target.load import decode_load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = {"phase": "decode", "held_out": False, "seqs": 8, "new_tokens": 1, "cached_tokens": 256}
TASK = Task(id="span-decode", kind="span", spec=SPEC | {"steps": 4, "repeats": 2})
READING = SpanReading(
    seconds=1.5,
    bandwidth_share=0.5,
    bandwidth_tier="T1'",
    dram_bytes=3e9,
    sm_share=None,
    tensor_share=None,
    energy_j=24.0,
    throttled_share={"sw_power_cap": 0.5},
    memory_accessed_share=0.9,
)


class Gpu:
    """Has had enough when it was asked three times."""

    def __init__(self) -> None:
        self.asked = 0

    @contextmanager
    def span(self) -> Iterator[Span]:
        held = Span(enough=self.enough)
        yield held
        held.reading = READING

    def enough(self) -> bool:
        self.asked += 1
        return self.asked > 3


def spanned(path: Path, gpu: Any) -> tuple[FakeEngine, dict[str, Any], list[Task]]:
    engine = FakeEngine(noise_share=0.0)
    with Recording.create(path) as recording:
        recording.plan([TASK])
        run = Run(
            recording=recording,
            engine=engine,
            options=ProfileOptions(target="demo", path=path),
            workload=load_workload("chat"),
            gpu=gpu,
        )
        span(run, TASK)
        return engine, recording.facts(), recording.tasks()


def test_the_probe_is_repeated_until_the_counters_have_enough(tmp_path: Path) -> None:
    engine, facts, (task,) = spanned(tmp_path / "run.costaudit", Gpu())
    value = facts["span"]["decode"].value
    assert engine.calls == 1 + 3  # the first is cold and outside
    assert value["steps"] == 3 * 4
    assert value["device_s"] == pytest.approx(12 * step_s(decode_load(seqs=8, context_tokens=256)))
    assert task.done


def test_what_a_span_wrote_is_what_is_measured(tmp_path: Path) -> None:
    engine, facts, _ = spanned(tmp_path / "run.costaudit", Gpu())
    probe = facts["span"]["decode"].value["probe"]
    step = TimedLoad(
        task=probe,
        phase=Phase.DECODE,
        load=decode_load(seqs=8, context_tokens=256),
        seconds=1e-3,
        spread_share=0.0,
        rounds=1,
        held_out=False,
    )
    shape, precision = engine.target.known_shape, Precision(param_bytes=4, kv_element_bytes=4)
    seen = counters_of(Reading(facts=facts), Phase.DECODE, [step], shape, precision)
    assert seen is not None
    assert (seen.tier, seen.steps, seen.seconds) == ("T1'", 12, 1.5)
    assert seen.energy_j_per_token == 24.0 / (12 * 8)
    assert seen.throttled_share == {"sw_power_cap": 0.5}
    assert seen.memory_accessed_share == 0.9
    assert seen.traffic_over_formula is not None


def test_without_a_gpu_the_task_is_done_and_nothing_is_said(tmp_path: Path) -> None:
    engine, facts, (task,) = spanned(tmp_path / "run.costaudit", None)
    assert engine.calls == 0
    assert "span" not in facts
    assert task.done
