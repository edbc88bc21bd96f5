"""An audit keeps to its time, tokens, dollars and streams, and what it had until then is kept."""

from __future__ import annotations

import json
import time

import pytest
from paced_profile import SECONDS, profile, sentence_of
from paced_server import CONTEXT_TOKENS, Paced, paced_server

from costaudit.recording.recording import Recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_time_budget_holds_on_a_slow_server(tmp_path):
    """Steps 40 times as long as those of the other tests."""
    path, paced = tmp_path / "run.costaudit", Paced(step_s=0.02)
    began_s = time.monotonic()
    with paced_server(paced) as url:
        done = profile(url, path, "--json", seconds=12)
    assert time.monotonic() - began_s < 1.5 * 12 + 5  # 5 s to start and to audit
    assert done.returncode in (0, 3), done.stderr
    assert paced.longest_tokens <= CONTEXT_TOKENS
    if done.returncode == 0:
        assert json.loads(done.stdout)["bill"]["usd_per_1m_tokens"] > 0


def test_a_server_too_slow_for_the_time_says_so(tmp_path):
    with paced_server(Paced(step_s=0.5)) as url:
        done = profile(url, tmp_path / "run.costaudit", seconds=6)
    assert done.returncode == 4
    assert "did not end one request of 8 tokens within" in sentence_of(done)
    assert "--seconds" in done.stderr


LIMITS = {
    "tokens": (["--max-tokens", "20000"], "limit of 20000 tokens"),
    "dollars": (["--max-spend-usd", "0.01", "--token-price", "0.5,1"], "limit of 0.01 USD"),
    "queue": (["--abort-at", "3"], "wait in the server's queue"),
}


@pytest.mark.parametrize(("flags", "says"), LIMITS.values(), ids=LIMITS.keys())
def test_a_limit_ends_it_and_the_recording_is_kept(tmp_path, flags, says):
    path = tmp_path / "run.costaudit"
    queue = (lambda: 100 if paced.generations > 15 else 0) if "--abort-at" in flags else None
    paced = Paced(waiting=queue)
    with paced_server(paced) as url:
        done = profile(url, path, *flags, seconds=2 * SECONDS)
    assert done.returncode == 3
    assert says in sentence_of(done)
    assert paced.running == 0
    if "--max-tokens" in flags:
        assert paced.tokens <= 20_000 + 72 * 2  # the first small request is sent before any limit
    with Recording.read(path) as kept:
        assert says in kept.facts()["server"]["stopped"].value
        assert kept.answers()


def test_a_limit_within_the_replay_leaves_an_audit(tmp_path):
    path, paced = tmp_path / "run.costaudit", Paced()
    with paced_server(paced) as url:
        done = profile(url, path, "--json", "--max-tokens", "400000", seconds=20)
    assert done.returncode in (0, 3), done.stderr
    document = json.loads(done.stdout)
    assert "limit of 400000 tokens" in document["server"]["stopped"]
    assert document["bill"]["gpu_s_per_1m_tokens"] > 0


def test_never_more_streams_than_allowed(tmp_path):
    paced = Paced()
    with paced_server(paced) as url:
        done = profile(url, tmp_path / "run.costaudit", "--max-concurrency", "3")
    assert done.returncode in (0, 3), done.stderr
    assert paced.most_running <= 3


def test_a_dry_run_generates_nothing(tmp_path):
    paced = Paced()
    with paced_server(paced) as url:
        done = profile(url, tmp_path / "run.costaudit", "--dry-run")
    assert done.returncode == 0
    assert "nothing was generated" in done.stdout
    assert paced.generations == 0
    assert not list(tmp_path.iterdir())
