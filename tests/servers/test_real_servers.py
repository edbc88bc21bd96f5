"""Discovery, canary, prompts and scrapes against the real servers."""

from __future__ import annotations

import json

import pytest
from parts.transformers_serve import CONTINUOUS

from costaudit.ground.errors import UsageError
from costaudit.measure.server import Own, server_span
from costaudit.record.client.load import Endpoint
from costaudit.record.dialects.dialect import Ask
from costaudit.record.meters.server_metrics import open_server_metrics
from costaudit.record.servers import discovery
from costaudit.record.servers.canary import canary, payloads
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.found import Given
from costaudit.record.servers.prompts import PromptMaker

pytestmark = pytest.mark.servers


def found_at(server, model=None, **given):
    endpoint = Endpoint(base_url=server.base_url)
    return discovery.discover(endpoint, model=model, given=Given(**given))


def generate(found, prompt, output_tokens):
    """(prompt tokens, output tokens) by the server's count, of one whole answer."""
    call = found.dialect.call(Ask(prompt=prompt, output_tokens=output_tokens), model=found.model)
    reply = fetch(found.endpoint.base_url + call.path, headers={}, post=call.body, timeout_s=120)
    assert reply.ok, reply.body[:300]
    chunks = [found.dialect.read(event) for event in payloads(reply.body, found.dialect.framing)]
    assert not [chunk.error for chunk in chunks if chunk.error]
    prompts = [chunk.prompt_tokens for chunk in chunks if chunk.prompt_tokens is not None]
    outputs = [chunk.output_tokens for chunk in chunks if chunk.output_tokens is not None]
    tokens = sum(chunk.tokens or 0 for chunk in chunks)
    return (prompts or [None])[-1], (outputs or [tokens])[-1]


def test_vllm_tells_its_cache_limits_and_lengths(vllm_server):
    told = canary(found_at(vllm_server))
    found = told.found
    assert (found.target.engine, found.target.engine_version) == ("vllm", "0.32.0")
    assert (told.exact_prompt, told.exact_output) == (True, True)
    assert found.parallelism["tensor"].value == 1
    kv = {name: value.value for name, value in found.kv.items()}
    assert kv["tokens_total"] == kv["blocks_total"] * kv["block_size_tokens"]
    assert found.target.knobs["max_num_seqs"].value == 32  # off its command line
    assert (
        found.target.shape.layers
        == json.loads((vllm_server.model_dir / "config.json").read_text())["num_hidden_layers"]
    )


def test_vllm_s_own_counters_agree_with_ours_exactly(vllm_server):
    found = canary(found_at(vllm_server)).found
    maker = PromptMaker.of(found)
    meter = open_server_metrics(found.metrics)
    rows = [*ServerRows(meter).at(0.0)]
    lengths = [(40, 5), (300, 17), (129, 1)]
    counted = [generate(found, maker.cold(prompt), output) for prompt, output in lengths]
    assert counted == lengths
    rows += ServerRows(meter).at(10.0)
    own = Own(
        requests=len(lengths),
        prompt_tokens=sum(p for p, _ in lengths),
        output_tokens=sum(o for _, o in lengths),
    )
    span = server_span(rows, from_s=0.0, to_s=10.0, own=own)
    assert span.foreign == {"prompt_tokens": 0, "generated_tokens": 0, "requests": 0}
    assert span.prefix_hit_share == 0
    assert span.latencies.ttft_s > 0


class ServerRows:
    """A scrape at a time of its own: everything the page has."""

    def __init__(self, meter):
        self.meter = meter

    def at(self, t_s):
        self.meter._read_s = float("-inf")
        self.meter._last = {}
        return self.meter.sample(t_s)


def test_a_prefix_that_is_shared_is_found_in_vllm_s_cache(vllm_server):
    found = canary(found_at(vllm_server)).found
    maker = PromptMaker.of(found)
    meter = ServerRows(open_server_metrics(found.metrics))
    rows = list(meter.at(0.0))
    for _ in range(2):
        generate(found, maker.shared(200, prefix_id=1, prefix_tokens=160), 2)
    rows += meter.at(10.0)
    span = server_span(rows, from_s=0.0, to_s=10.0)
    block = found.kv["block_size_tokens"].value
    assert span.prefix_hit_share == pytest.approx(160 // block * block / 400)


def test_vllm_as_chat(vllm_server):
    told = canary(found_at(vllm_server, dialect="openai_chat"))
    assert told.exact_output
    found = told.found
    maker = PromptMaker.of(found)
    assert maker.exact
    assert [generate(found, maker.cold(n), 3)[0] for n in (60, 200)] == [60, 200]


def test_transformers_s_pinned_model_is_found(transformers_server):
    found = canary(found_at(transformers_server)).found
    assert found.target.engine == "transformers-serve"
    assert found.target.knobs["max_num_seqs"].value == 1
    maker = PromptMaker.of(found)
    assert generate(found, maker.cold(100), 4)[0] == 100


def test_transformers_with_continuous_batching_tells_its_blocks(start_server):
    """A server of its own: one that was left in mid-answer once gave an empty stream after."""
    found = canary(found_at(start_server("transformers", *CONTINUOUS))).found
    assert found.target.knobs["continuous_batching"].value is True
    assert "max_num_seqs" not in found.target.knobs
    assert found.kv["blocks_total"].value > 0
    shape = found.target.shape
    assert found.max_context_tokens.value == shape.max_context_tokens  # a longer prompt kills it
    assert generate(found, PromptMaker.of(found).cold(64), 4)[0] == 64


def test_triton_s_decoupled_model_is_seen_to_send_token_by_token(triton_server):
    with pytest.raises(UsageError, match="2 models"):
        found_at(triton_server)
    told = canary(found_at(triton_server, model="tiny_stream"))
    found = told.found
    assert (told.events, found.dialect.tensors.tokens_per_response) == (8, 1)
    assert found.metrics.url == triton_server.metrics_url  # by its command line
    assert generate(found, PromptMaker.of(found).cold(30), 6)[1] == 6
    batch = found_at(triton_server, model="tiny_batch")
    assert batch.target.knobs["dynamic_batching"].value is True
    meter = open_server_metrics(found.metrics)
    assert meter.last("requests.completed_total") >= 2


def test_a_wrong_model_and_a_long_prompt_are_usage_errors(vllm_server):
    with pytest.raises(UsageError):
        found_at(vllm_server, model="nope")
    found = found_at(vllm_server)
    with pytest.raises(UsageError, match="too long"):
        canary(found, output_tokens=100_000)
