"""The client against a server with an exact schedule; truth is that server's own log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from driving import run
from truth import serving

from costaudit.ground.stats import percentile
from costaudit.measure.latency import Latencies

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # all of it together


def latencies(ran, *, open_loop=False):
    seen = Latencies(open_loop=open_loop)
    for answer in ran.answers:
        seen.add(answer)
    return seen


def compare(ran, log, record_property, name):
    """Errors in ms against the server's log: TTFT p50 and p99, ITL p99."""
    truth_ttft = [(sent[0] - arrived) / 1e6 for arrived, sent, _ in log]
    truth_gaps = [(b - a) / 1e6 for _, sent, _ in log for a, b in pairwise(sent)]
    errors = (
        percentile(ran.ttft_ms, 0.5) - percentile(truth_ttft, 0.5),
        percentile(ran.ttft_ms, 0.99) - percentile(truth_ttft, 0.99),
        percentile(ran.gaps_ms, 0.99) - percentile(truth_gaps, 0.99),
    )
    record_property(f"{name}: error of TTFT p50, p99, ITL p99 in ms", [f"{e:+.3f}" for e in errors])
    return errors


@pytest.mark.slow
@pytest.mark.parametrize(("streams", "requests"), [(1, 3), (64, 192), (256, 512)])
def test_percentiles_are_those_of_the_servers_own_log(
    truth_server, streams, requests, record_property
):
    with serving(truth_server, "-t", 200, "-i", 20, "-n", 32) as truth:
        ran = run(truth.url, streams=streams, requests=requests, tokens=32)
        stats, log = truth.stats(), truth.log()
    assert [a.error for a in ran.answers if a.error] == []
    assert stats["requests"] == len(log) == ran.end.sent == requests
    assert ran.end.health.connections == streams
    assert stats["accepts"] == streams + 1  # and the one that asked for the log
    errors = compare(ran, log, record_property, f"{streams} streams")
    health = ran.end.health
    assert health.stamps == "kernel"
    if health.bottleneck:  # a busy machine: it must have said so
        pytest.skip(health.why)
    assert abs(errors[0]) < 0.5
    assert abs(errors[1]) < 5
    assert abs(errors[2]) < 1


def test_stamps_are_the_kernels_not_those_of_a_slow_reader(truth_server):
    """The reader sleeps through 25 tokens of another stream; stamps stay right."""
    with serving(truth_server, "-t", 20, "-i", 30, "-n", 10) as truth:

        def dawdle(_answer=None):
            time.sleep(0.02)
            return ""

        ran = run(truth.url, requests=2, tokens=10, stop=dawdle)
        log = truth.log()
    for answer, (_, sent, _) in zip(ran.answers, log, strict=True):
        truth_us = [(t - sent[0]) / 1e3 for t in sent]
        seen = ran.times_us[answer.number]
        assert [us - seen[0] for us in seen] == pytest.approx(truth_us, abs=5_000)
    assert max(a.lag_s for a in ran.answers) > 0.005


@pytest.mark.parametrize("extra", [[], ["-k", 4], ["-r"], ["-R", 8], ["-b"]])
def test_tokens_are_those_of_usage_whatever_the_chunks(truth_server, extra):
    with serving(truth_server, "-t", 10, "-i", 1, "-n", 16, *extra) as truth:
        ran = run(truth.url, streams=2, requests=4, tokens=16)
    assert [a.output_tokens for a in ran.answers] == [16] * 4
    assert {a.prompt_tokens for a in ran.answers} == {128}
    assert {a.finish_reason for a in ran.answers} == {"length"}
    assert ran.end.failed == 0


@pytest.mark.slow
def test_four_tokens_in_a_chunk_are_four_tokens(truth_server):
    with serving(truth_server, "-t", 200, "-i", 20, "-n", 64, "-k", 4) as truth:
        seen = latencies(run(truth.url, streams=8, requests=8))
    assert seen.itl.spread().p50.value_s == pytest.approx(0.020, abs=0.0005)
    assert seen.tpot.spread().p50.value_s == pytest.approx(0.020, abs=0.0005)
    assert seen.chunk_gap.spread().p50.value_s == pytest.approx(0.080, abs=0.002)
    assert seen.itl.spread().samples == 8 * 60  # tokens of the first chunk waited for none


@pytest.mark.slow
@pytest.mark.parametrize("option", [["-r"], ["-R", 32]])
def test_ttft_is_of_the_first_output_be_it_reasoning_and_never_of_a_role(truth_server, option):
    with serving(truth_server, "-t", 200, "-i", 20, "-n", 64, *option) as truth:
        seen = latencies(run(truth.url, streams=8, requests=8))
    assert seen.ttft.spread().p50.value_s == pytest.approx(0.200, abs=0.003)
    assert seen.itl.spread().p50.value_s == pytest.approx(0.020, abs=0.0005)


@pytest.mark.slow
def test_a_stall_of_the_whole_server_shows(truth_server):
    """Open loop: requests that should have started meanwhile waited. ITL p99 shows it too."""
    starts = [0.02 * n for n in range(60)]
    with serving(truth_server, "-t", 20, "-i", 20, "-n", 32, "-s", "600,400") as truth:
        ran = run(truth.url, streams=64, requests=60, tokens=32, starts=starts)
        log = truth.log()
    seen = latencies(ran, open_loop=True)
    assert seen.ttft.spread().p99.value_s > 0.35
    assert seen.ttft.spread().p50.value_s < 0.1
    assert seen.itl.spread().p99.value_s > 0.2
    server_saw = [(sent[0] - arrived) / 1e9 for arrived, sent, _ in log]
    assert percentile(server_saw, 0.5) < 0.1  # which is what a server's own metric would show


def test_an_open_loop_starts_when_it_was_meant_to(truth_server):
    starts = [0.005 * n for n in range(60)]
    with serving(truth_server, "-t", 5, "-i", 1, "-n", 4) as truth:
        ran = run(truth.url, streams=32, requests=60, tokens=4, starts=starts)
    by_number = sorted(ran.answers, key=lambda answer: answer.number)
    assert [a.intended_s for a in by_number] == pytest.approx(starts, abs=1e-6)
    late = [a.sent_s - a.intended_s for a in by_number]
    assert min(late) >= 0
    assert percentile(late, 0.5) < 0.002
    assert ran.end.health.late_p99_s == pytest.approx(percentile(late, 0.99), abs=1e-5)


def test_a_full_open_loop_counts_from_the_intended_start(truth_server):
    with serving(truth_server, "-t", 100, "-i", 1, "-n", 2) as truth:
        ran = run(truth.url, streams=1, requests=3, tokens=2, starts=[0.0, 0.0, 0.0])
    ttft = latencies(ran, open_loop=True).ttft.spread()
    assert ttft.p99.value_s == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("streams", "requests"), [(1, 1), (4, 3), (3, 10), (16, 100)])
def test_never_one_request_more_nor_one_connection(truth_server, streams, requests):
    with serving(truth_server, "-t", 1, "-i", 0, "-n", 4) as truth:
        ran = run(truth.url, streams=streams, requests=requests, tokens=4)
        stats = truth.stats()
    assert stats["requests"] == requests == ran.end.sent
    assert sorted(a.number for a in ran.answers) == [*range(requests)]
    assert stats["accepts"] - 1 == ran.end.health.connections == min(streams, requests)
    assert stats["most_active"] <= streams


def test_shots_are_drawn_when_they_are_needed(truth_server):
    from tiny_dialect import TinyChat, shots

    from costaudit.record.client.load import Endpoint, Rung
    from costaudit.record.client.run import run_rung

    answers, ahead = [], []

    def watched():
        for shot in shots(50, tokens=2):
            ahead.append(shot.number - len(answers))
            yield shot

    with serving(truth_server, "-t", 1, "-i", 0, "-n", 2) as truth:
        rung = Rung(shots=watched(), concurrency=2, requests=20)
        run_rung(Endpoint(base_url=truth.url), TinyChat(), rung, task="t", on_answer=answers.append)
    assert len(ahead) == 20


def test_the_window_closes(truth_server):
    with serving(truth_server, "-t", 20, "-i", 0, "-n", 2) as truth:
        ran = run(truth.url, streams=2, requests=10_000, tokens=2, window_s=0.3)
    assert 4 <= ran.end.sent <= 32
    assert max(a.sent_s for a in ran.answers) <= 0.31
    assert ran.end.failed == 0
    assert ran.end.stopped == ""


def test_stop_leaves_no_request_running(truth_server):
    asked = []

    def stop():
        asked.append(time.monotonic())
        return "enough" if len(asked) > 2 else ""

    with serving(truth_server, "-t", 5_000, "-i", 1, "-n", 4) as truth:
        ran = run(truth.url, streams=8, requests=100, tokens=4, stop=stop)
        stats = truth.stats()
    assert ran.end.stopped == "enough"
    assert ran.end.sent == ran.end.failed == len(ran.answers) == 8
    assert {a.error for a in ran.answers} == {"cut off: enough"}
    assert (stats["active"], stats["cancelled"], stats["requests"]) == (0, 8, 8)
    assert min(b - a for a, b in pairwise(asked)) > 0.08


def test_what_came_before_it_was_cut_counts(truth_server):
    asked = []

    def stop():
        asked.append(time.monotonic())
        return "enough" if len(asked) > 5 else ""

    with serving(truth_server, "-t", 20, "-i", 20, "-n", 1_000) as truth:
        ran = run(truth.url, streams=2, requests=2, tokens=1_000, stop=stop)
    assert {(a.status, a.error) for a in ran.answers} == {(200, "cut off: enough")}
    assert min(len(a.event_us) // 4 for a in ran.answers) > 10


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from driving import run
try:
    run(sys.argv[1], streams=8, requests=100, tokens=4)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_leaves_no_request_running(truth_server):
    with serving(truth_server, "-t", 20_000, "-i", 1, "-n", 4) as truth:
        command = [sys.executable, "-c", SCRIPT, truth.url, str(Path(__file__).parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 20
            while truth.stats()["active"] < 8 and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGINT)
            said, _ = process.communicate(timeout=20)
        stats = truth.stats()
    assert said.strip() == "interrupted"
    assert (stats["active"], stats["cancelled"], stats["requests"]) == (0, 8, 8)


def test_an_error_in_the_callback_leaves_no_request_running(truth_server):
    from tiny_dialect import TinyChat, shots

    from costaudit.record.client.load import Endpoint, Rung
    from costaudit.record.client.run import run_rung

    def fail(_answer):
        raise RuntimeError("disk full")

    with serving(truth_server, "-t", 50, "-i", 10, "-n", 4) as truth:
        rung = Rung(shots=shots(100, tokens=4), concurrency=8, requests=100)
        with pytest.raises(RuntimeError, match="disk full"):
            run_rung(Endpoint(base_url=truth.url), TinyChat(), rung, task="t", on_answer=fail)
        time.sleep(0.05)
        assert truth.stats()["active"] == 0
