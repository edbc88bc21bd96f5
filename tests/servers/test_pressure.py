"""KV pressure on the real vLLM with a cache of 4,096 tokens: the knee, and what happens there."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest

from costaudit.audit.document import schema

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
KV_BYTES, KV_TOKENS = 4 << 20, 4096
# Prompts of 300 tokens and answers of 100: eleven of them fill the cache.
WORKLOAD = """
name = "equal"
stands_for = "Requests of one length."
why = "So that the streams that a cache holds can be counted by hand."
requests = 8
[slo]
why = "none is promised"
[prompt_tokens]
distribution = "fixed"
tokens = 300
[output_tokens]
distribution = "fixed"
tokens = 100
[load]
concurrency = 2
"""


@pytest.fixture(scope="module")
def pressed(session_server, tmp_path_factory):
    """(document, recording) of --pressure: of two tries the first that had time for its rungs."""
    server = session_server("vllm", kv_bytes=KV_BYTES)
    for _ in range(2):
        document, path = profiled(server, tmp_path_factory.mktemp("pressure"))
        if "knee" in document["kv_cache"]["pressure"]:
            break
    return document, path


def profiled(server, folder):
    path, probe = folder / "run.costaudit", folder / "equal.toml"
    probe.write_text(WORKLOAD)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "costaudit", "profile", server.base_url, "--pressure"),
            *("--probe", str(probe), "--seconds", "80", "--price", "0.05", "--json"),
            *("-o", str(path)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout), path


def test_blocks_run_out_where_the_requests_no_longer_fit(pressed, record_property):
    document, _ = pressed
    jsonschema.validate(document, schema())
    found = document["kv_cache"]["pressure"]
    record_property("pressure", found)
    assert document["kv_cache"]["capacity_tokens"] == KV_TOKENS
    knee = found["knee"]
    assert knee["usage_peak_share"] > 0.6  # a look a second may miss the peak itself
    assert knee["by"] in ("preemption", "waiting")
    if knee["by"] == "preemption":
        assert knee["preemptions"] > 0
        assert knee["recomputed_tokens"]["high"] > 0
    lengths = document["workload"]
    whole = lengths["prompt_tokens"]["mean"] + lengths["output_tokens"]["mean"]
    for rung in found["rungs"]:
        most = rung.get("prompt_tokens", lengths["prompt_tokens"]["mean"])
        fits = rung["streams"] * (most + whole - lengths["prompt_tokens"]["mean"]) < KV_TOKENS / 1.2
        assert not (fits and rung["full"])  # never full where all of them fit with room to spare


def test_it_is_shown(pressed):
    _, path = pressed
    for form in ("console", "md", "html"):
        done = subprocess.run(
            [sys.executable, "-m", "costaudit", "report", str(path), "--format", form],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "The pressure ramp ended" in done.stdout
