"""The bench of load tools: truth, cost, medians, bars and tables are what they should be."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True)
def _bench_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


def test_every_tool_takes_part_once():
    from peers import every_peer

    names = [peer.name for peer in every_peer()]
    assert names == sorted({*names})
    assert {"costaudit", "guidellm", "vllm-python", "vllm-rust"} <= {*names}
    assert [peer.name for peer in every_peer() if not peer.is_python] == ["vllm-rust"]


def test_truth_is_read_from_the_log(monkeypatch):
    from contest import truth

    ms = 1_000_000
    log = f"0 {200 * ms} {280 * ms}\n{10 * ms} {211 * ms} {292 * ms}\n{20 * ms} {230 * ms} x\n"
    answers = {"/__log": log, "/__stats": '{"requests": 3, "cancelled": 1, "accepts": 5}'}
    monkeypatch.setattr(truth, "_get", lambda url: answers[url.removeprefix("http://server")])
    told = truth.told("http://server", tokens=8, per_chunk=4)
    assert (told.requests, told.answered, told.cancelled, told.accepts) == (3, 2, 1, 4)
    assert (told.tokens, told.span_s) == (16, 0.292)
    assert told.ttft_p50_ms == pytest.approx(200.5)
    assert told.itl_p50_ms == pytest.approx(80.5 / 4)
    answers["/__log"] = f"0 {5 * ms} x\n"
    assert truth.told("http://server", tokens=8, per_chunk=4) is None


BURN = """
import subprocess, sys, time
held = bytearray(60_000_000)
if len(sys.argv) > 1:
    child = subprocess.run([sys.executable, sys.argv[0]])
end = time.process_time() + 0.4
while time.process_time() < end: pass
time.sleep(0.5)
print("done")
"""


@pytest.mark.slow
def test_cost_is_that_of_all_processes(tmp_path):
    from contest import process

    script = tmp_path / "burn.py"
    script.write_text(BURN)
    ran = process.run([sys.executable, script, "twice"], {}, folder=tmp_path, timeout_s=60)
    assert ran.exit_code == 0
    assert 0.8 <= ran.cpu_s < 2
    assert ran.processes == 2
    assert ran.peak_rss_bytes > 120e6
    first, last = ran.cpu_at[0][0], ran.cpu_at[-1][0]
    assert ran.cpu_between(first, last) <= ran.cpu_s
    half = ran.cpu_between(first, (first + last) / 2) + ran.cpu_between((first + last) / 2, last)
    assert half == pytest.approx(ran.cpu_between(first, last))
    assert (tmp_path / "printed").read_text() == "done\ndone\n"


def test_a_tool_that_hangs_is_ended_and_its_children_with_it(tmp_path):
    from contest import process

    script = tmp_path / "hang.sh"
    script.write_text("sleep 1000 & echo $!; wait")
    ran = process.run(["sh", script], {}, folder=tmp_path, timeout_s=0.5)
    assert ran.exit_code is None
    child = int((tmp_path / "printed").read_text())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and alive(child):
        time.sleep(0.05)
    assert not alive(child)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_no_key_reaches_a_tool(tmp_path, monkeypatch):
    from contest import process

    monkeypatch.setenv("COSTAUDIT_API_KEY", "secret")
    process.run(["env"], {"MORE": "yes"}, folder=tmp_path, timeout_s=10)
    printed = (tmp_path / "printed").read_text()
    assert "secret" not in printed
    assert "MORE=yes" in printed
    assert f"PATH={os.environ['PATH']}" in printed


def row(peer="costaudit", **known):
    from contest.play import Row

    usual = {
        "scene": "64 streams",
        "kind": "level",
        "version": "1",
        "streams": 64,
        "asked": 256,
        "received": 256,
        "connections": 64,
        "ttft_p50_error_ms": 0.01,
        "ttft_p99_error_ms": 0.02,
        "itl_p99_error_ms": 0.0,
        "fixed_s": 0.3,
    }
    return Row(peer=peer, **{**usual, **known})


def test_the_middle_of_three_runs():
    from contest.play import middle

    runs = [row(fixed_s=0.9), row(fixed_s=0.2, received=257), row(fixed_s=0.3, problem="it hung")]
    found = middle(runs)
    assert (found.fixed_s, found.received, found.runs, found.problem) == (0.3, 256, 3, "it hung")
    assert found.itl_p50_ms is None


def verdicts(rows, python=frozenset({"servebench"})):
    from contest.bars import bars

    return {bar.what: bar.met for bar in bars(rows, {*python})}


def test_bars_are_met_missed_or_not_known():
    assert set(verdicts([row()]).values()) == {True}
    assert verdicts([row(peer="guidellm")]) == {}
    late = verdicts([row(ttft_p99_error_ms=-0.6, itl_p99_error_ms=None)])
    assert late["64 streams: TTFT p99 error ≤ 0.5 ms"] is False
    assert late["64 streams: ITL p99 error ≤ 0.1 ms"] is None
    assert verdicts([row(received=257)])["as many requests as asked"] is False
    assert verdicts([row(connections=65)])["as many connections as streams"] is False


def test_the_cost_is_compared_with_the_rust_client_of_the_same_run():
    def at(peer, cpu_s, **known):
        most = {"scene": "512 streams", "streams": 512, "connections": 512, "asked": 1536}
        return row(peer, cpu_s_per_1k_tokens=cpu_s, received=1536, **{**most, **known})

    what = "512 streams: CPU per 1,000 tokens, start-up included"
    slow = verdicts([at("costaudit", 0.02, peak_rss_mb=40.0), at("vllm-rust", 0.03)])
    assert slow[f"{what} ≤ 0.016 s"] is False
    assert slow[f"{what}, over the Rust client ≤ 1 times"] is True
    alone = verdicts([at("costaudit", 0.01)])
    assert alone[f"{what} ≤ 0.016 s"] is True
    assert alone[f"{what}, over the Rust client ≤ 1 times"] is None


def test_the_ceiling_is_compared_with_the_best_of_others():
    from contest.scenes import ONE_WRITE

    def at(peer, rate, **known):
        fast = {"scene": ONE_WRITE, "kind": "ceiling", "requests_per_s": rate}
        return row(peer, tokens_per_s=64 * rate, fixed_s=None, **{**fast, **known})

    rows = [at("costaudit", 9_000.0), at("vllm-rust", 10_000.0), at("servebench", 2_000.0)]
    met = verdicts(rows)
    assert met[f"{ONE_WRITE}: requests/s over the Rust client ≥ 1 times"] is False
    assert met[f"{ONE_WRITE}: requests/s over the best other Python client ≥ 3 times"] is True
    assert met[f"{ONE_WRITE} ≥ 400,000 tokens/s"] is True
    alone = verdicts([rows[0], replace(rows[1], problem="it hung")])
    assert alone[f"{ONE_WRITE}: requests/s over the Rust client ≥ 1 times"] is None


def test_the_table_leaves_nobody_out():
    from contest.table import notes, tables
    from peers import every_peer

    rows = [
        row(),
        row("guidellm", ttft_p50_error_ms=5_608.0, itl_p99_error_ms=None, problem="no report"),
    ]
    text = "\n".join([*tables(rows), *notes(rows, every_peer(), {"aiperf": "it is not installed"})])
    assert "+5608" in text
    assert "guidellm, 64 streams: no report" in text
    assert "aiperf took no part: it is not installed" in text
    assert "256/256" in text


def test_runs_are_kept_and_the_table_marks_what_stands_on_little(tmp_path):
    from contest.kept import keep, kept
    from contest.table import tables

    file = tmp_path / "runs.jsonl"
    assert kept(file) == kept(None) == []
    runs = [row(ttft_samples=64, itl_samples=4_032, ttft_p99_bound_ms=0.3), row("guidellm")]
    for run in runs:
        keep(run, file)
    assert kept(file) == runs
    ours = next(line for line in "\n".join(tables(runs)).splitlines() if "costaudit" in line)
    assert "+0.02 ≤0.30 *" in ours
    assert ours.count("*") == 1


def test_the_summary_has_a_row_for_each_tool_and_names_what_is_misread():
    from contest.summary import summary

    wrong = {"scene": "early role chunk", "kind": "stream", "ttft_p50_error_ms": -199.7}
    rows = [row(), row("vllm-rust"), row("vllm-rust", **wrong, itl_p50_error_ms=0.0)]
    head, _, ours, rust = summary(rows)
    assert len({line.count("|") for line in (head, ours, rust)}) == 1
    assert ours.startswith("| costaudit | +0.02 / – |")
    assert "early role chunk" in rust
    assert "early role chunk" not in ours


def test_a_wrong_middle_is_marked():
    from contest.table import tables

    wrong = {"scene": "early role chunk", "kind": "stream", "ttft_p50_ms": 0.3}
    rows = [row("vllm-rust", **wrong, itl_p50_ms=20.01, itl_p50_error_ms=0.01)]
    rows = [replace(rows[0], ttft_p50_error_ms=-199.7)]
    assert "0.30 !" in "\n".join(tables(rows))
    assert "20.01 !" not in "\n".join(tables(rows))


def test_requests_fit_the_tool_and_the_level():
    from contest.scenes import ceilings, level, scenes, stall
    from peers import every_peer

    fast, slow = (
        next(peer for peer in every_peer() if peer.name == name)
        for name in ("costaudit", "genai-bench")
    )
    assert level(512).requests_of(slow) == level(512).requests_of(fast) >= 662
    assert ceilings()[0].requests_of(fast) > 10 * ceilings()[0].requests_of(slow)
    hit = stall().streams / (stall().requests * (stall().tokens - 1))
    assert hit > 0.01  # else p99 would not show the stall
    quick = scenes([64], quick=True)
    assert [scene.kind for scene in quick] == ["level", "stream", "ceiling"]


@pytest.mark.slow
def test_words_of_the_server_are_single_tokens():
    from contest import tokenizer, truth
    from tokenizers import Tokenizer

    bpe = Tokenizer.from_file(str(tokenizer.folder() / "tokenizer.json"))
    assert len(bpe.encode("".join(truth.WORDS)).ids) == len(truth.WORDS)


@pytest.mark.slow
def test_costaudit_takes_part_as_its_users_start_it():
    from contest import install, truth
    from contest.play import play
    from contest.scenes import level
    from peers.costaudit import PEER

    try:
        truth.program()
    except install.NotInstalledError as error:
        pytest.skip(str(error))
    found = play(PEER, install.folder_of(PEER), level(4))
    assert found.problem == ""
    assert (found.received, found.connections, found.failed) == (16, 4, 0)
    assert abs(found.ttft_p50_error_ms) < 5
    assert found.cpu_s_per_1k_tokens > found.load_cpu_s_per_1k_tokens > 0
    assert 0 < found.fixed_s < 20
