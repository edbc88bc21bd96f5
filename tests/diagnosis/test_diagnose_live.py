"""Real servers brought into states: diagnose names the true cause first, and asks for no token."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from vllm_states import KV_TOKEN_BYTES, STATES, loaded

from costaudit.cli.main import run
from costaudit.diagnosis.diagnosis import Price, State
from costaudit.diagnosis.run import Asked, diagnose_live
from costaudit.diagnosis.symptom import Confidence
from costaudit.record.servers.fetch import fetch

pytestmark = pytest.mark.servers
SETTLE_S = 3
NO_CHUNKS = STATES["unchunked"]
# One server for two states: few may run, and nothing is kept of a prompt.
CAPPED_AND_OFF = ("--max-num-seqs", "4", "--no-enable-prefix-caching")
SHARED = replace(STATES["prefix_off"].loads[0], clients=4)  # all of them may run


def named(found):
    return [one.id for one in found.findings] or [found.state.value]


@pytest.mark.parametrize("name", ["idle", "healthy", "client_limited"])
def test_a_vllm_with_room_for_all(vllm_server, name):
    state = STATES[name]
    with loaded(vllm_server, state.loads):
        time.sleep(SETTLE_S if state.loads else 0)
        began = time.monotonic()
        found = diagnose_live(
            Asked(url=vllm_server.base_url, seconds=14), Price(usd_per_device_h=2)
        )
        assert time.monotonic() - began < 30
    assert named(found) == [state.first]
    assert (found.window.engine, found.window.version) == ("vllm", "0.32.0")
    assert (found.facts.usd_per_1m_tokens is None) == (name == "idle")


def looked_at(server, *loads, seconds=13):
    with loaded(server, loads):
        time.sleep(SETTLE_S)
        began = time.monotonic()
        found = diagnose_live(Asked(url=server.base_url, seconds=seconds))
        assert time.monotonic() - began < 30
    return found


def test_a_vllm_without_memory(start_server):
    state = STATES["kv_starved"]
    server = start_server("vllm", *state.flags, kv_bytes=state.kv_tokens * KV_TOKEN_BYTES)
    assert named(looked_at(server, *state.loads)) == [state.first]


def test_a_vllm_that_does_not_cut_prompts(start_server):
    """Long enough that some long prompts end on a busy machine, too."""
    found = looked_at(start_server("vllm", *NO_CHUNKS.flags), *NO_CHUNKS.loads, seconds=22)
    assert named(found) == ["prefill-stalls"]
    assert found.findings[0].confidence is Confidence.SURE
    assert "--enable-chunked-prefill" in found.findings[0].fixes[0].flag


def test_a_vllm_with_few_places_and_no_prefix_cache(start_server):
    server = start_server("vllm", *CAPPED_AND_OFF)
    capped = looked_at(server, *STATES["seqs_capped"].loads)
    assert named(capped) == ["batch-cap"]
    assert capped.findings[0].fixes[0].flag == "--max-num-seqs 8"
    shared = looked_at(server, SHARED)
    assert named(shared) == ["prefix-caching-off"]
    assert shared.state is State.SUSPECT  # that prompts are alike is in no metric
    assert shared.findings[0].fixes[0].flag == "--enable-prefix-caching"


def test_no_token_is_generated(vllm_server):
    def generated():
        page = fetch(vllm_server.metrics_url, headers={}).text()
        return [line for line in page.splitlines() if line.startswith("vllm:generation_tokens")]

    before = generated()
    diagnose_live(Asked(url=vllm_server.base_url, seconds=6))
    assert generated() == before


def test_transformers_serve_has_no_metrics_and_is_not_called_healthy(transformers_server, capsys):
    assert run(["diagnose", transformers_server.base_url, "--seconds", "4", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["engine"], told["state"]) == ("transformers-serve", "cannot tell")
    assert told["findings"] == []
    assert told["facts"]["kv_usage"] is None


def test_triton_idle_by_either_port(triton_server):
    metrics_port = triton_server.metrics_url.removesuffix("/metrics")
    for url in (triton_server.base_url, metrics_port):
        found = diagnose_live(Asked(url=url, seconds=9))
        assert found.window.engine == "triton"
        assert named(found) == ["idle"]
        assert found.facts.kv_usage is None
