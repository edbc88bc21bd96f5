from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "fakes" / "nvtx_injection.c"
INT64 = 2  # NVTX_PAYLOAD_TYPE_INT64

RUN = """
import json, sys
from dataclasses import asdict
from costaudit.record.meters.nvtx_ranges import PhaseRanges
ranges = PhaseRanges()
for phase, tokens in json.loads(sys.argv[1]):
    if phase == "pop":
        ranges.pop()
    else:
        ranges.push(phase, tokens)
print(json.dumps(asdict(ranges.state)))
"""


SHOW = """
import json, sys
from dataclasses import asdict
from costaudit.record.meters.nvtx_counters import CounterTracks
from costaudit.recording.rows import Gauge, Instrument, State
if sys.argv[1] == "old":
    import nvtx
    from costaudit.record.meters import nvtx_ranges
    class Old:
        "A domain of an nvtx that knows no counters."
        def __init__(self, domain):
            self.mark, self.get_event_attributes = domain.mark, domain.get_event_attributes
    nvtx.get_domain = lambda name, real=nvtx.get_domain: Old(real(name))
tracks = CounterTracks()
for value in (0.25, 0.5):
    tracks.show([Gauge(t_s=1.0, meter="nvml.gpm", name="dram_share", value=value, unit="share"),
                 Instrument(meter="nvml.gpm", state=State.LOST)])
tracks.show([Gauge(t_s=2.0, meter="nvml.memory", name="memory_used", value=3.0, unit="B")])
print(json.dumps(asdict(tracks.state)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    state: dict[str, Any]
    lines: list[list[str]]

    def of(self, kind: str) -> list[list[str]]:
        return [rest for first, *rest in self.lines if first == kind]


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed: the listening tool cannot be built")
    library = tmp_path_factory.mktemp("nvtx") / "libnvtx_tool.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True
    )
    return library


def _hear(calls: list[tuple[str, int]], log: Path, **env: str) -> Heard:
    return _run(RUN, json.dumps(calls), log, **env)


def _run(script: str, argument: str, log: Path, **env: str) -> Heard:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("NVTX_")}
    done = subprocess.run(
        [sys.executable, "-c", script, argument],
        env=environ | {"NVTX_TEST_LOG": str(log)} | env,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return Heard(state=json.loads(done.stdout), lines=[line.split() for line in lines])


def test_a_tool_hears_balanced_ranges_with_names_and_payloads(tool: Path, tmp_path: Path) -> None:
    calls = [("prefill", 512), ("pop", 0)] + [("decode", 8), ("pop", 0)] * 3
    calls += [("decode", 32), ("pop", 0), ("prefill", 512), ("decode", 32), ("pop", 0), ("pop", 0)]
    heard = _hear(calls, tmp_path / "log", NVTX_INJECTION64_PATH=str(tool))
    assert heard.state["state"] == "ok"
    assert ["costaudit"] in heard.of("domain")

    categories = {number: name for domain, number, name in heard.of("category")}
    assert sorted(categories.values()) == ["decode", "prefill"]
    pushed = [
        (domain, categories[category], message, int(kind), int(tokens))
        for domain, category, message, kind, tokens in heard.of("push")
    ]
    expected = [(p, t) for p, t in calls if p != "pop"]
    assert pushed == [("costaudit", p, p, INT64, t) for p, t in expected]

    depth = 0
    for kind, *_ in heard.lines:
        depth += {"push": 1, "pop": -1}.get(kind, 0)
        assert depth >= 0
    assert depth == 0


def test_messages_are_registered_once_however_many_steps(tool: Path, tmp_path: Path) -> None:
    calls = [call for n in range(200) for call in (("decode", n), ("pop", 0))]
    heard = _hear(calls, tmp_path / "log", NVTX_INJECTION64_PATH=str(tool))
    assert len(heard.of("push")) == 200
    assert sorted(text for domain, text in heard.of("string") if domain == "costaudit") == [
        "decode",
        "prefill",
    ]


def test_without_a_tool_the_ranges_are_silent_and_say_why(tmp_path: Path) -> None:
    heard = _hear([("prefill", 4), ("pop", 0)], tmp_path / "log")
    assert heard.state["state"] == "off"
    assert "no tool listens" in heard.state["why"]
    assert heard.lines == []


def test_nvtx_disable_is_respected(tool: Path, tmp_path: Path) -> None:
    heard = _hear(
        [("decode", 4), ("pop", 0)],
        tmp_path / "log",
        NVTX_INJECTION64_PATH=str(tool),
        NVTX_DISABLE="1",
    )
    assert heard.state["state"] == "off"
    assert heard.of("push") == []


def test_without_the_package_the_ranges_are_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from costaudit.record.meters.nvtx_ranges import PhaseRanges

    monkeypatch.setitem(sys.modules, "nvtx", None)
    ranges = PhaseRanges()
    ranges.push("prefill", 3)
    ranges.pop()
    assert ranges.state.state == "absent"


def test_gauges_become_counter_tracks_of_a_tool(tool: Path, tmp_path: Path) -> None:
    heard = _run(SHOW, "new", tmp_path / "log", NVTX_INJECTION64_PATH=str(tool))
    assert (heard.state["meter"], heard.state["state"]) == ("nvtx.counters", "ok")
    assert heard.of("counter") == [
        ["costaudit", "1", "nvml.gpm", "dram_share", "in", "share"],
        ["costaudit", "2", "nvml.memory", "memory_used", "in", "B"],
    ]
    assert heard.of("sample") == [
        ["costaudit", "1", "0.25"],
        ["costaudit", "1", "0.5"],
        ["costaudit", "2", "3"],
    ]


def test_an_older_nvtx_gets_marks_that_bear_the_values(tool: Path, tmp_path: Path) -> None:
    heard = _run(SHOW, "old", tmp_path / "log", NVTX_INJECTION64_PATH=str(tool))
    assert heard.of("counter") == []
    assert [(mark[1:3], float(mark[-1])) for mark in heard.of("mark")] == [
        (["nvml.gpm", "dram_share"], 0.25),
        (["nvml.gpm", "dram_share"], 0.5),
        (["nvml.memory", "memory_used"], 3.0),
    ]


def test_without_a_tool_no_track_is_made(tmp_path: Path) -> None:
    heard = _run(SHOW, "new", tmp_path / "log")
    assert heard.state["state"] == "off"
    assert heard.lines == []
