"""A client that was too slow says so; one that was not does not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest
from driving import run
from truth import serving

from costaudit.audit.rung import rung_document
from costaudit.measure.latency import Latencies
from costaudit.record.client.health import Watch
from costaudit.record.client.load import Endpoint, Rung
from costaudit.record.client.process import age_s, peak_rss_bytes


def watched(count=100, *, lag_us=50, own_late_ms=0.01, took_ms=100.0, shared=0, at_s=lambda _: 0):
    """A watch that saw so many answers; one answer differs by its number where functions are."""
    watch = Watch()
    for number in range(count):
        sent_ns = round(1e9 * (1_000 + at_s(number)))
        exchange = SimpleNamespace(
            lags_us=[lag_us(number) if callable(lag_us) else lag_us] * 4,
            own_late_ns=round(own_late_ms * 1e6),
            sent_ns=sent_ns,
            end_ns=sent_ns + round(took_ms * 1e6),
            intended_ns=sent_ns - round(own_late_ms * 1e6),
        )
        answer = SimpleNamespace(event_us=array("I", range(4)).tobytes(), shared_events=shared)
        watch.note(exchange, answer)
    return watch


def why(watch, *, open_loop=False):
    time.sleep(0.02)  # a share of the processor needs a time to be shared
    health = watch.health(connections=1, open_loop=open_loop)
    assert health.bottleneck == bool(health.why)
    return health.why


def test_a_quick_client_is_believed():
    assert why(watched()) == ""
    assert why(watched(), open_loop=True) == ""
    assert why(watched(0)) == ""


def test_events_that_the_server_sent_together_are_no_fault_of_the_client():
    assert why(watched(shared=3, lag_us=100)) == ""


def test_events_merged_by_late_reading_are():
    assert "too late to tell apart" in why(watched(shared=3, lag_us=9_000))


def test_streams_that_wait_for_the_client():
    assert "waited for the client" in why(watched(own_late_ms=10))
    assert "waited" not in why(watched(own_late_ms=1))


def test_late_starts_of_an_open_loop():
    assert "late (p99)" in why(watched(own_late_ms=10), open_loop=True)
    assert why(watched(own_late_ms=1), open_loop=True) == ""


def test_growing_lag():
    growing = watched(200, lag_us=lambda n: 300 * n, at_s=lambda n: n * 0.1)
    assert "fell behind" in why(growing)
    assert why(watched(200, lag_us=1_500, at_s=lambda n: n * 0.1)) == ""


def test_a_busy_processor():
    watch = Watch()
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    watch._wall_s = time.monotonic() - 0.05
    assert "of a core" in watch.health(connections=1, open_loop=False).why


def test_a_clock_that_was_set():
    watch = watched()
    watch._clock_s -= 1
    assert "clock" in why(watch)


@pytest.mark.slow
def test_an_overloaded_client_says_so_and_a_paced_one_does_not(truth_server):
    with serving(truth_server, "-t", 0, "-i", 0, "-n", 64, "-b") as truth:
        flooded = run(truth.url, streams=64, requests=3_000)
    with serving(truth_server, "-t", 100, "-i", 20, "-n", 32) as truth:
        paced = run(truth.url, streams=8, requests=24, tokens=32)
    assert flooded.end.health.bottleneck
    assert flooded.end.failed == 0
    if paced.end.health.bottleneck and paced.end.health.lag_p99_s > 0.002:
        pytest.skip(f"a busy machine: {paced.end.health.why}")
    assert not paced.end.health.bottleneck


MANY = """
import sys
sys.path.insert(0, sys.argv[2])
from costaudit.measure.latency import Latencies
from costaudit.record.client.load import Endpoint, Rung
from costaudit.record.client.process import peak_rss_bytes
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.openai_chat import OpenAIChat
from tiny_dialect import shots

def go(count):
    seen = Latencies(open_loop=False)
    rung = Rung(shots=shots(count, tokens=8), concurrency=64, requests=count)
    run_rung(Endpoint(base_url=sys.argv[1]), OpenAIChat(), rung, task="t", on_answer=seen.add)
    assert seen.answers == count, seen.errors
    return peak_rss_bytes()

print(go(2_000), go(20_000))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_requests(truth_server, record_property):
    with serving(truth_server, "-t", 0, "-i", 0, "-n", 8, "-b") as truth:
        folder = str(Path(__file__).parent)
        command = [sys.executable, "-c", MANY, truth.url, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    record_property("peak memory after 2,000 and 22,000 requests, MB", [before / 1e6, after / 1e6])
    assert after < 80e6
    assert after - before < 6e6


def test_the_document_of_a_rung(truth_server):
    with serving(truth_server, "-t", 5, "-i", 1, "-n", 8) as truth:
        ran = run(truth.url, streams=2, requests=4, tokens=8)
        url = truth.url
    seen = Latencies(open_loop=False)
    for answer in ran.answers:
        seen.add(answer)
    document = rung_document(
        Endpoint(base_url=url, headers={"Authorization": "Bearer sk-secret-secret-secret"}),
        Rung(shots=(), concurrency=2, requests=4),
        ran.end,
        seen,
        arrivals={},
        dialect="tiny",
        model="truth",
        process_s=ran.end.wall_s + 0.25,
        peak_rss_bytes=peak_rss_bytes(),
    )
    text = json.dumps(document, allow_nan=False)
    assert "sk-secret" not in text
    assert document["requests"]["sent"] == 4
    tokens = document["tokens"]
    assert (tokens["prompt"], tokens["output"], tokens["answers_untold"]) == (512, 32, 0)
    assert tokens["output_per_s"] == pytest.approx(32 / ran.end.wall_s)
    assert tokens["client_cpu_s_per_1k"] == pytest.approx(ran.end.health.cpu_s / 0.032)
    assert document["fixed_s"] == pytest.approx(0.25)
    assert document["latency"]["ttft_s"]["samples"] == 4
    assert document["latency"]["ttft_s"]["p99"]["enough"] is False
    assert document["latency"]["itl_s"]["samples"] == 28


def test_the_age_of_this_process():
    first = age_s()
    time.sleep(0.05)
    assert 0.03 <= age_s() - first < 5
    assert peak_rss_bytes() > 1e6
