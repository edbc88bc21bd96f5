"""What servers of each kind put on the wire when something goes wrong, as captured or documented.

Streams: an error inside a 200 stream is a failure, whatever its form. Refusals: one sentence, a
hint, and the kind of error that sets the exit code (2 what the user can mend, 4 the server).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.client.framing import Splitter, payload
from costaudit.record.dialects.dialect import Framing
from costaudit.record.dialects.load import dialect
from costaudit.record.servers import paths
from costaudit.record.servers.refusal import refusal

CAPTURES = Path(__file__).parent / "captures"
TOKEN = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"

STREAMS = {
    "vLLM, and [DONE] behind it": (
        "openai_chat",
        TOKEN + b'data: {"error":{"message":"EngineCore died","code":500}}\n\n' + DONE,
        "EngineCore died",
    ),
    "TensorRT-LLM": (
        "openai_chat",
        TOKEN + b'data: {"object":"error","message":"no executor","code":500}\n\n' + DONE,
        "no executor",
    ),
    "llama.cpp's own field": (
        "openai_chat",
        TOKEN + b'error: {"code":500,"message":"no slot","type":"server_error"}\n\n' + DONE,
        "no slot",
    ),
    "TGI": (
        "tgi_generate",
        b'data:{"error":"Request failed during generation","error_type":"generation"}\n\n',
        "Request failed during generation",
    ),
    "Ollama": (
        "ollama_generate",
        b'{"response":"a","done":false}\n{"error":"an error was encountered"}\n',
        "an error was encountered",
    ),
    "SGLang": (
        "sglang_generate",
        b'data: {"error":{"message":"input too long"}}\n\n' + DONE,
        "input too long",
    ),
    "finish_reason": (
        "openai_completions",
        b'data: {"choices":[{"text":"","finish_reason":"error"}]}\n\n' + DONE,
        "finish_reason 'error'",
    ),
}


def said(name, body):
    """The chunks of a body, in order."""
    one = dialect(name)
    blocks = Splitter(one.framing).blocks([body], [len(body)])
    payloads = [payload(block, one.framing) for block, _ in blocks]
    return [one.read(text) for text in payloads if text]


@pytest.mark.parametrize(("name", "body", "words"), STREAMS.values(), ids=STREAMS.keys())
def test_an_error_in_a_stream_is_a_failure(name, body, words):
    assert any(words in chunk.error for chunk in said(name, body))


def test_llama_cpp_s_full_cache_in_mid_answer():
    body = (CAPTURES / "llama-server/midstream_error_kv_full.sse").read_bytes()
    chunks = said("openai_chat", body.replace(b"\r\n", b"\n").partition(b"\n\n")[2])
    assert any("Context size has been exceeded" in chunk.error for chunk in chunks)


@pytest.mark.parametrize("keep_alive", [b": keep-alive\n\n", b":\n\n", b": ping\n\n"])
def test_keep_alives_are_nothing(keep_alive):
    (block, _), *_ = Splitter(Framing.SSE).blocks([keep_alive], [len(keep_alive)])
    assert payload(block, Framing.SSE) == b""


REFUSALS = {
    "vllm/err_too_long": (UsageError, "too long for the server"),
    "vllm/err_unknown_model": (UsageError, "no model 'm'"),
    "vllm/err_no_api_key": (TargetError, "refuses us (HTTP 401): Unauthorized"),
    "vllm/err_bad_max_tokens": (TargetError, "max_tokens must be at least 1"),
    "vllm/err_404": (TargetError, "no such path"),
    "llama-server/err_too_long": (UsageError, "too long for the server"),
    "transformers-serve/err_unknown_model": (UsageError, "pinned"),
    "transformers-serve/err_404": (TargetError, "no such path"),
    "triton/err_unknown_model": (UsageError, "no model 'm'"),
    "triton/err_missing_input": (TargetError, "missing required input"),
    "triton/err_bad_type_stream": (TargetError, "Unable to parse"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_captured_refusal_is_one_sentence_with_a_hint(name):
    kind, words = REFUSALS[name]
    head, _, body = (
        (CAPTURES / f"{name}.http").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    )
    err = refusal(int(head.split()[1]), body, base_url="http://h", model="m", served=["a"])
    assert type(err) is kind
    assert words in err.message
    assert err.hint
    assert "\n" not in err.message


def test_vllm_s_limits_on_lengths_are_the_user_s_to_mend():
    for said_ in (
        "max_tokens (9000) cannot be greater than max_model_len (2048)",
        "This model's maximum context length is 2048 tokens. However, you requested 4000",
    ):
        body = b'{"error":{"message":"%b","code":400}}' % said_.encode()
        assert type(refusal(400, body, base_url="http://h", model="m")) is UsageError


def test_no_path_resets_flushes_or_generates():
    """Some GETs on these servers have side effects; none of them is on the list."""
    harmful = ("flush", "reset", "sleep", "release", "profile", "terminate", "generate", "slow")
    asked = [one.path for one in vars(paths).values() if isinstance(one, paths.Route)]
    assert asked
    assert not [path for path in asked if any(word in path for word in harmful)]
