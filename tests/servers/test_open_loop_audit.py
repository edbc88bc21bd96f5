"""An audit that replays a trace at its own times, against a server of ours."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest
from paced_server import Paced, paced_server

from costaudit.audit.document import schema
from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]
GAP_S, SCALE, SECONDS = 0.5, 0.1, 6


def test_a_trace_is_sent_when_it_is_due(tmp_path):
    trace, path = tmp_path / "trace.csv", tmp_path / "run.costaudit"
    rows = [f"2024-05-01 00:00:{n * GAP_S:09.6f},{100 + n},10" for n in range(60)]
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *rows]))
    with paced_server(Paced()) as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "costaudit", "profile", url, "--seconds", str(SECONDS)),
                *("--trace", str(trace), "--time-scale", str(SCALE), "--json", "-o", str(path)),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode in (0, 3), done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema())
    told = document["server"]["open_loop"]
    assert told["about"]["arrivals"] == "trace"
    assert told["offered_per_s"] == pytest.approx(1 / (GAP_S * SCALE), rel=0.05)
    assert told["failed"] == 0
    assert told["due"] == told["sent"] == 37  # of 60: those due within its time
    with Recording.read(path) as kept:
        answers = kept.answers("open loop")
        assert sorted(a.prompt_tokens for a in answers) == [100 + n for n in range(37)]
        for answer in answers:
            assert answer.intended_s == pytest.approx(answer.number * GAP_S * SCALE, abs=1e-5)
            assert answer.sent_s >= answer.intended_s - 1e-4
