"""Stored captures of a real vLLM in a real Prometheus: the past tells what the pages tell."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import pytest
from parts.fixtures import part_or_skip

from costaudit.diagnosis.run import diagnose_saved
from costaudit.diagnosis.run_past import PastAsked, diagnose_past
from costaudit.record.servers.found import Given

pytestmark = pytest.mark.servers
FOLDER = Path(__file__).resolve().parents[1] / "diagnosis/captures"
STATES = sorted(path.name for path in FOLDER.glob("*") if path.is_dir())
END_S = int(time.time()) - 3600
_STAMP = re.compile(r"# scraped_at (\S+)")
_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")


def pages(state):
    """(Unix seconds, lines) of a capture, moved so that the last is at END_S."""
    found = []
    for path in sorted((FOLDER / state).glob("*.prom")):
        text = path.read_text()
        found.append((float(_STAMP.search(text)[1]), text.splitlines()))
    last = max(stamp for stamp, _ in found)
    return sorted((END_S + stamp - last, lines) for stamp, lines in found)


def seconds(state):
    stamps = [stamp for stamp, _ in pages(state)]
    return int(stamps[-1] - stamps[0])


@pytest.fixture(scope="module")
def url(session_server, tmp_path_factory):
    """A Prometheus that holds every capture as an instance of its own."""
    folder, rows = tmp_path_factory.mktemp("tsdb"), defaultdict(list)
    for state in STATES:
        for stamp, lines in pages(state):
            for line in lines:
                match = _LINE.match(line)
                if match and not match[1].endswith("_created"):
                    labels = ",".join(filter(None, [match[2], f'instance="{state}",job="vllm"']))
                    rows[match[1]].append(f"{match[1]}{{{labels}}} {match[3]} {stamp:.3f}\n")
    text = folder / "all.txt"
    text.write_text("".join("".join(lines) for lines in rows.values()) + "# EOF\n")
    with part_or_skip():
        from parts.prometheus import promtool

        command = [promtool(), "tsdb", "create-blocks-from", "openmetrics", "-q", text, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    text.unlink()
    return session_server("prometheus", data=folder).base_url


@pytest.mark.parametrize("state", STATES)
def test_the_past_tells_what_the_pages_tell(url, state):
    asked = PastAsked(
        url=url, window=f"{seconds(state)}s", selector=f'instance="{state}"', at_s=END_S
    )
    (member,) = diagnose_past(asked).members
    past = member.diagnosis
    live = diagnose_saved(sorted((FOLDER / state).glob("*.prom")), seconds=None, given=Given())
    assert past.state == live.state
    assert [one.id for one in past.findings] == [one.id for one in live.findings]
    made = live.window.grown("tokens.generation_total")
    assert past.window.grown("tokens.generation_total") == pytest.approx(made, rel=0.15)
