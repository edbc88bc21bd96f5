"""`costaudit profile` of the real vLLM: it agrees with the server, and a neighbour fools nobody.

The machine may be busy: an audit may then be inconclusive (exit code 3), which is the truth, and
what a busy machine can spoil is tried once more. Nothing may be wrong with confidence.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from auditing import PRICE, check_whole, costaudit, profiled

from costaudit.measure.rungs import replay_span
from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.servers, pytest.mark.alone, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def vllm_audit(vllm_server, tmp_path_factory):
    """(document, recording): of two tries the first that had the machine for itself."""
    for _ in range(2):
        path = tmp_path_factory.mktemp("vllm") / "run.costaudit"
        document = profiled(vllm_server, path, seconds=30)
        if document["server"]["agreement"].get("agrees"):
            break
    return document, path


def test_vllm_gives_a_whole_audit(vllm_audit, record_property):
    document, _ = vllm_audit
    check_whole(document)
    assert document["target"]["engine"] == "vllm"
    kv = document["kv_cache"]
    assert kv["capacity_tokens"] == 32_768
    assert 0 < kv["usage_peak_share"] < 1
    assert kv["preemptions"] == 0
    assert kv["bytes_per_token"] > 0
    assert document["server"]["ladder"]
    replay = document["server"]["replay"]
    record_property("vLLM: rate of the replay known to ±", replay["steady"]["half_share"])
    record_property("vLLM: refused", document["steptime"]["why"] or "no")


def test_vllm_s_counters_agree_with_ours(vllm_audit, record_property):
    """Tokens exactly, of the replay too; the mean TTFT within 5 % or 2 ms.

    Where others use the cores, the server's front end, which its clock does not see, takes longer
    to answer any question: then by that much more.
    """
    server = vllm_audit[0]["server"]
    both = server["agreement"]
    record_property("vLLM: step probes that were cut", both.get("cut", 0))
    unseen = both.get("unseen_output_tokens_at_most", 0)  # of a probe that its time cut
    for what in ("requests", "prompt_tokens"):
        assert both[what]["client"] == both[what]["server"]
    ours, theirs = both["output_tokens"]["client"], both["output_tokens"]["server"]
    assert ours <= theirs <= ours + unseen
    ours, theirs = both["ttft_mean_s"]["client"], both["ttft_mean_s"]["server"]
    record_property("vLLM: mean TTFT, client and server, s", (ours, theirs))
    within = max(0.05 * theirs, 0.002)
    assert both["agrees"] == (abs(ours - theirs) <= within), both["why"]
    crowded = server["cores"]["others"] + server["cores"]["steal"] > 0.1
    assert abs(ours - theirs) <= within + crowded * server["front_end_s"]
    with Recording.read(vllm_audit[1]) as recording:
        span = replay_span(recording)
    record_property("vLLM: tokens of the replay beyond ours", span.foreign["generated_tokens"])
    assert span.foreign["generated_tokens"] == 0
    assert span.foreign["requests"] == 0


@pytest.mark.parametrize("form", ["console", "html", "md", "json"])
def test_vllm_s_recording_renders(vllm_audit, form):
    _, path = vllm_audit
    done = costaudit("report", str(path), "--format", form, "--price", PRICE)
    assert done.returncode == 0, done.stderr
    assert "vllm" in done.stdout
    assert "127.0.0.1" in done.stdout


def test_a_busy_neighbour_is_never_a_narrow_wrong_cost(vllm_audit, vllm_server, tmp_path):
    """One core burns beside: the interval holds the quiet cost, or nothing is claimed."""
    quiet = vllm_audit[0]["bill"]
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        document = profiled(vllm_server, tmp_path / "run.costaudit", seconds=30)
    finally:
        burner.kill()
        burner.wait()
    check_whole(document)
    assert document["server"]["cores"]["others"] > 0.3
    assert any("of this machine's" in note for note in document["server"]["notes"])
    if document["bill"]["usd_per_1m_tokens"] is None:
        assert document["steptime"]["why"]
        return
    cost = document["bill"]["gpu_s_per_1m_tokens_interval"]
    assert cost["low"] <= quiet["gpu_s_per_1m_tokens_interval"]["high"]
