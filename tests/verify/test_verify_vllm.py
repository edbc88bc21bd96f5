"""`costaudit verify` on a real vLLM: prefix caching off was recorded, on is what is tried."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.servers, pytest.mark.alone, pytest.mark.timeout(600)]
WORKLOAD = """
name = "shared"
stands_for = "Questions behind one of two long preambles."
why = "So that a cache of prefixes saves most of the prefill."
requests = 24
[slo]
why = "none is promised"
[prompt_tokens]
distribution = "uniform"
min = 544
max = 640
[output_tokens]
distribution = "fixed"
tokens = 8
[prefix]
share_tokens = 512
groups = 2
[load]
concurrency = 4
"""


def costaudit(*words):
    return subprocess.run(
        [sys.executable, "-m", "costaudit", *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def verified(session_server, vllm_server, tmp_path_factory):
    """(the verification as JSON, the recording) of the change, with the exit code."""
    folder = tmp_path_factory.mktemp("verify")
    path, probe = folder / "before.costaudit", folder / "shared.toml"
    probe.write_text(WORKLOAD)
    before = session_server("vllm", "--no-enable-prefix-caching")
    done = costaudit(
        *("profile", before.base_url, "--probe", probe, "--seconds", 20, "-o", path, "--json")
    )
    assert path.exists(), done.stderr
    made = costaudit(
        *("verify", path, "--step", "prefix-caching", "--target", vllm_server.base_url),
        *("--rounds", 1, "--json"),
    )
    assert made.returncode in (0, 3), made.stderr
    return json.loads(made.stdout), path, made.returncode


def test_what_prefix_caching_saves_was_predicted(verified, record_property):
    told, _, code = verified
    record_property("verified on a real vLLM", json.dumps(told))
    cost = told["figures"][0]
    assert cost["metric"] == "gpu_s_per_1m_tokens"
    assert cost["predicted"]["low"] < cost["predicted"]["mid"] < cost["predicted"]["high"] <= 1
    assert cost["measured"]["mid"] < 1
    assert cost["predicted"]["mid"] == pytest.approx(cost["measured"]["mid"], rel=0.3)
    assert cost["verdict"] != "outside"
    assert (code == 3) == (cost["verdict"] == "cannot-tell")
    assert not any("not visible" in figure["why"] for figure in told["figures"])


def test_the_pair_is_kept_and_the_report_shows_it(verified):
    told, path, _ = verified
    done = costaudit("report", path, "--format", "json")
    kept = json.loads(done.stdout)["verified"]
    assert kept["tried"] == 1
    assert kept["runs"][0]["figures"] == told["figures"]
    assert "prefix-caching" in costaudit("report", path, "--format", "md").stdout
