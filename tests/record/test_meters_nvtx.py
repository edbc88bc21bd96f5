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
    environ = {k: v for k, v in os.environ.items() if not k.startswith("NVTX_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(calls)],
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
