"""Whole audits of real servers that are busy as they may: other engines, stopped runs, dry runs.

The machine may be busy: an audit may then be inconclusive (exit code 3), which is the truth.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time

import pytest
from auditing import PRICE, check_whole, command, costaudit, counted, profiled

from costaudit.ground.errors import UsageError
from costaudit.record.servers.fetch import fetch
from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


def test_transformers_one_by_one(transformers_server, tmp_path):
    document = profiled(transformers_server, tmp_path / "run.costaudit")
    check_whole(document)
    assert document["target"]["knobs"]["max_num_seqs"]["value"] == 1
    kv = document["kv_cache"]
    assert kv["usage_peak_share"] is None
    why = {entry["what"]: entry["why"] for entry in document["unknown"]}
    assert "exports no metrics" in why["kv_cache.usage_peak_share"]


def test_transformers_with_continuous_batching(batching_transformers_server, tmp_path):
    """Its worker dies of a prompt that is too long; afterwards it must answer still."""
    document = profiled(batching_transformers_server, tmp_path / "run.costaudit")
    check_whole(document)
    assert document["server"]["replay"]["sent"] > 8
    done = costaudit(
        *("profile", batching_transformers_server.base_url, "--rung", "2x4"),
        *("--prompt-tokens", "32", "--output-tokens", "8", "--json"),
    )
    assert json.loads(done.stdout)["requests"]["failed"] == 0


def test_triton_decoupled(triton_server, tmp_path):
    flags = ("--model", "tiny_stream", "--tokenizer", str(triton_server.model_dir))
    document = profiled(triton_server, tmp_path / "run.costaudit", *flags)
    check_whole(document)
    both = document["server"]["agreement"]
    cut = both.get("cut", 0)  # to this model a request that its client left has ended well
    assert 0 <= both["requests"]["server"] - both["requests"]["client"] <= cut


def test_triton_with_dynamic_batching(triton_server, tmp_path):
    """It answers in one piece and counts no tokens."""
    flags = ("--model", "tiny_batch", "--tokenizer", str(triton_server.model_dir))
    document = profiled(triton_server, tmp_path / "run.costaudit", *flags, seconds=15)
    check_whole(document)
    assert document["target"]["knobs"]["dynamic_batching"]["value"] is True


def test_triton_wants_to_know_which_model(triton_server, tmp_path):
    done = costaudit("profile", triton_server.base_url, "-o", str(tmp_path / "run.costaudit"))
    assert done.returncode == 2
    assert "2 models" in done.stderr
    assert "tiny_stream" in done.stderr


def in_flight(server):
    """Requests running or waiting there, by the server's own count."""
    return counted(server, "vllm:num_requests_running", "vllm:num_requests_waiting")


def stopped_in_the_replay(server, path, sign):
    """Start an audit, stop it by a signal once the replay runs; (exit code, what it said)."""
    own = ("--seconds", "15", "--price", PRICE, "-o", str(path))
    process = subprocess.Popen(
        command("profile", server.base_url, *own), stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not replays(path):
        time.sleep(0.2)
    process.send_signal(sign)
    return process.communicate(timeout=60)[1], process.returncode


def replays(path):
    """Some answers of the replay are written down."""
    if not path.exists():
        return False
    try:
        with Recording.read(path) as recording:
            return bool(recording.answers("replay"))
    except UsageError:  # it is being made
        return False


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_stopped_audit_leaves_no_request_and_goes_on(vllm_server, tmp_path, sign):
    path = tmp_path / "run.costaudit"
    said, code = stopped_in_the_replay(vllm_server, path, sign)
    until_s = time.monotonic() + 10
    while in_flight(vllm_server) and time.monotonic() < until_s:
        time.sleep(0.1)
    assert in_flight(vllm_server) == 0
    assert code == (130 if sign is signal.SIGINT else -9)
    assert "Traceback" not in said
    done = costaudit("profile", "--resume", str(path), "--price", PRICE, "--json")
    assert done.returncode in (0, 3), done.stderr
    check_whole(json.loads(done.stdout))


def test_a_dry_run_generates_nothing(vllm_server):
    before = counted(vllm_server, "vllm:generation_tokens_total")
    done = costaudit("profile", vllm_server.base_url, "--dry-run")
    assert done.returncode == 0
    assert "nothing was generated" in done.stdout
    assert counted(vllm_server, "vllm:generation_tokens_total") == before


def test_other_people_s_requests_are_told_of(vllm_server, tmp_path):
    """Eight streams of somebody else: their tokens are no longer taken for ours."""
    over = threading.Event()
    others = [threading.Thread(target=ask_until, args=(vllm_server, over)) for _ in range(8)]
    for other in others:
        other.start()
    try:
        document = profiled(vllm_server, tmp_path / "run.costaudit", seconds=15)
    finally:
        over.set()
        for other in others:
            other.join()
    check_whole(document)
    assert any("others used the server" in note for note in document["server"]["notes"])
    assert document["bill"]["usd_per_1m_tokens"] is None
    assert document["server"]["agreement"].get("agrees") is not True


def ask_until(server, over):
    body = {"model": server.model, "prompt": [200] * 64, "max_tokens": 64, "ignore_eos": True}
    while not over.is_set():
        fetch(f"{server.base_url}/v1/completions", headers={}, post=body, timeout_s=60)
