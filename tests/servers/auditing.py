"""`costaudit profile` of real servers as a user runs it, and what every whole audit holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jsonschema
import pytest

from costaudit.audit.document import leaves, schema
from costaudit.ground.stats import P99_MIN_SAMPLES
from costaudit.record.meters.prometheus_text import read_exposition
from costaudit.record.servers.fetch import fetch

PRICE = "0.05"


def command(*arguments):
    return [sys.executable, "-m", "costaudit", *arguments]


def costaudit(*arguments, **environ):
    return subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        timeout=200,
    )


def profiled(server, path, *flags, seconds=20):
    """The document of an audit; with dollars, or else inconclusive for a reason.

    A machine that is too slow for its seconds just now is given more of them.
    """
    for time_s in (seconds, 2 * seconds, 4 * seconds):
        own = ("--seconds", str(time_s), "--price", PRICE, "-o", str(path), "--json", "--force")
        done = costaudit("profile", server.base_url, *own, *flags)
        if "replayed long enough" not in done.stderr:
            break
    assert done.returncode in (0, 3), done.stderr
    document = json.loads(done.stdout)
    assert document["steptime"]["refused"] == (done.returncode == 3)
    assert ("costaudit: inconclusive: " in done.stderr) == (done.returncode == 3)
    return document


def check_whole(document):
    """It keeps to the schema, explains each null, closes its bill and has a playbook."""
    jsonschema.validate(document, schema())
    explained = {entry["what"]: entry["why"] for entry in document["unknown"]}
    nulls = {path for path, value in leaves(document) if value is None}
    assert nulls == explained.keys()
    assert all(explained.values())
    bill = document["bill"]
    known = [part["gpu_s"] for part in bill["slices"] if part["gpu_s"] is not None]
    assert sum(known) == pytest.approx(bill["gpu_s"], rel=1e-6)
    between = bill["gpu_s_per_1m_tokens_interval"]
    assert 0 < between["low"] <= bill["gpu_s_per_1m_tokens"] <= between["high"]
    refused = document["steptime"]["refused"]
    assert (bill["usd_per_1m_tokens"] is None) == refused
    assert len(document["playbook"]) > 5
    for latency in (
        document["phases"]["prefill"]["ttft_s"],
        document["phases"]["decode"]["itl_s"],
    ):
        assert (latency["p99"] is None) == (latency["samples"] < P99_MIN_SAMPLES)
    assert document["server"]["replay"]["failed"] == 0


def counted(server, *names):
    """The sum of these series."""
    page = fetch(server.metrics_url, headers={}).text()
    return sum(one.value for one in read_exposition(page, keep=set(names).__contains__).series)
