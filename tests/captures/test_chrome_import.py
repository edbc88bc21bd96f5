"""Chrome traces: a real one of torch.profiler on this CPU, a GPU's by hand, and broken ones."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from costaudit.audit.build import AuditOptions, build_audit
from costaudit.ground.errors import UsageError
from costaudit.record.captures.attribute import NO_CALL, Owner, attribute
from costaudit.record.captures.chrome import read_chrome
from costaudit.record.captures.importing import import_capture
from costaudit.record.captures.phase_names import PhaseNames
from costaudit.report.render import Format, render

if TYPE_CHECKING:
    from pathlib import Path

NAMES = PhaseNames()


def event(cat: str, ts: float, dur: float, **args: Any) -> dict[str, Any]:
    """A complete event on the main thread."""
    name = args.pop("name", cat)
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur,
            "args": args}  # fmt: skip


def test_a_trace_of_torch_profiler_on_a_cpu(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile, record_function

    left = torch.randn(200, 200)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        with record_function("prefill"):
            for _ in range(20):
                left @ left
        left @ left
        with record_function("decode"):
            left[0] @ left
    trace = tmp_path / "trace.json.gz"
    profiler.export_chrome_trace(str(trace))
    found = import_capture(trace, tmp_path / "run.costaudit", NAMES)
    by_phase = {
        phase: sum(ns for owner, ns in found.owners.items() if owner.phase == phase)
        for phase in ("prefill", "decode", "")
    }
    assert all(by_phase.values())
    assert sum(by_phase.values()) == found.busy
    assert found.operations[Owner("prefill", "prefill")] == 20
    assert found.operations[Owner("", "(launched outside any range)")] == 1
    document = build_audit(tmp_path / "run.costaudit", options=AuditOptions())
    assert document["device"]["kind"] == "cpu"
    assert "torch.profiler" in render(document, Format.CONSOLE)


def test_kernels_of_a_gpu_belong_to_the_annotation_around_their_launch(tmp_path: Path) -> None:
    events = [
        event("user_annotation", 0, 10, name="prefill"),
        event("cuda_runtime", 1, 1, correlation=7),
        event("kernel", 100.5, 20, correlation=7, device=0, stream=7),
        event("gpu_memcpy", 130, 5, correlation=9, device=0, stream=7),
        event("gpu_user_annotation", 100, 30, name="prefill"),
        event("kernel", float("nan"), 5, correlation=7),
    ]
    properties = [{"name": "NVIDIA H100", "totalGlobalMem": 85_000_000_000}]
    trace = tmp_path / "trace.json"
    trace.write_text(json.dumps({"traceEvents": events, "deviceProperties": properties}))
    timeline = read_chrome(trace, NAMES)
    assert attribute(timeline).owners == {
        Owner("prefill", "prefill"): 20_000,
        Owner("", NO_CALL): 5_000,
    }
    assert timeline.device.name == "NVIDIA H100"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"traceEvents": 3}',
        b'{"traceEvents": [1, null, {"ph": "X", "cat": "kernel", "ts": "x"}]}',
        gzip.compress(b'{"traceEvents": []}', mtime=0)[:-6],
        b"\x1f\x8bnothing",
    ],
)
def test_a_broken_trace_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    trace = tmp_path / "trace.json"
    trace.write_bytes(content)
    with pytest.raises(UsageError, match=r"trace\.json"):
        import_capture(trace, tmp_path / "run.costaudit", NAMES)
    assert not (tmp_path / "run.costaudit").exists()
