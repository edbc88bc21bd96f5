"""Documented wire formats of servers that cannot run here, and what no server may do to us."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.ground.errors import UsageError
from costaudit.record.dialects.dialect import Ask, Chunk
from costaudit.record.dialects.load import dialect, dialects
from costaudit.record.dialects.ollama_generate import OllamaGenerate
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.dialects.sglang_generate import SGLangGenerate
from costaudit.record.dialects.tgi_generate import TGIGenerate
from costaudit.record.dialects.triton_generate import Tensors, TritonGenerate

IDS = Ask(prompt=(5, 6, 7), output_tokens=4)
TEXT = Ask(prompt="one two", output_tokens=4)
KEYS = st.sampled_from(
    [
        "choices",
        "usage",
        "error",
        "delta",
        "text",
        "content",
        "token_ids",
        "finish_reason",
        "completion_tokens",
        "token",
        "details",
        "meta_info",
        "response",
        "done",
        "text_output",
        "output_ids",
        "tokens_predicted",
        "stop",
        "x",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


def read(one, event):
    return one.read(json.dumps(event).encode())


def body(one, ask, model="m"):
    call = one.call(ask, model=model)
    return call.path, json.loads(call.body)


@pytest.mark.parametrize("name", dialects())
@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(payload=st.binary(max_size=200))
def test_no_bytes_make_a_dialect_raise(name, payload):
    assert isinstance(dialect(name).read(payload), Chunk)


@pytest.mark.parametrize("name", dialects())
@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(event=JSON)
def test_no_json_makes_a_dialect_raise_and_no_count_is_negative(name, event):
    chunk = dialect(name).read(json.dumps(event).encode())
    counts = (chunk.tokens, chunk.total_tokens, chunk.prompt_tokens, chunk.output_tokens)
    assert all(count is None or 0 <= count <= 10**9 for count in counts)
    assert len(chunk.error) < 1000


def test_deep_nesting_is_an_error_not_a_crash():
    for one in dialects():
        assert dialect(one).read(b'{"choices":' + b"[" * 100_000).error


def test_a_misspelt_dialect_is_a_usage_error_with_a_hint():
    with pytest.raises(UsageError) as err:
        dialect("openai_chats")
    assert "openai_chat" in err.value.hint


def test_exact_lengths_are_asked_for_where_the_server_takes_them():
    vllm = Fields(least="min_tokens", ignore_eos=True, ids="prompt", running_usage=True)
    path, sent = body(OpenAICompletions(vllm), IDS)
    assert path == "/v1/completions"
    assert sent["prompt"] == [5, 6, 7]
    assert (sent["max_tokens"], sent["min_tokens"], sent["ignore_eos"]) == (4, 4, True)
    assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_a_server_that_refuses_unknown_fields_gets_plain_ones():
    _, sent = body(OpenAICompletions(), TEXT)
    assert sent.keys() == {
        "model",
        "prompt",
        "max_tokens",
        "stream",
        "stream_options",
        "temperature",
    }
    with pytest.raises(TypeError):
        OpenAICompletions().call(IDS, model="m")
    with pytest.raises(TypeError):
        OpenAIChat().call(IDS, model="m")


@pytest.mark.parametrize(
    "key", ["content", "reasoning", "reasoning_content", "thinking", "refusal"]
)
def test_whatever_carries_output_is_output(key):
    event = {"choices": [{"delta": {key: "x"}, "finish_reason": None}]}
    assert read(OpenAIChat(), event).output


def test_tool_calls_are_output_and_roles_are_not():
    call = {"choices": [{"delta": {"role": "assistant", "tool_calls": [{"index": 0}]}}]}
    assert read(OpenAIChat(), call).output
    for content in ("", None):
        role = {"choices": [{"delta": {"role": "assistant", "content": content}}]}
        assert not read(OpenAIChat(), role).output
    ids = {"choices": [{"delta": {"role": "assistant", "content": ""}, "token_ids": [3, 4]}]}
    assert read(OpenAIChat(), ids) == Chunk(output=True, tokens=2)


def test_four_tokens_in_one_event():
    event = {
        "choices": [{"text": "a b c d", "finish_reason": None}],
        "usage": {"completion_tokens": 4},
    }
    assert read(OpenAICompletions(), event) == Chunk(output=True, total_tokens=4)


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "out of memory", "code": 500}},
        {"error": "out of memory"},
        {"object": "error", "message": "out of memory", "code": 400},
        {"choices": [], "error": {"message": "out of memory"}},
        {"detail": [{"msg": "out of memory"}]},
    ],
)
def test_errors_of_every_form_keep_their_sentence(event):
    for one in (OpenAIChat(), OpenAICompletions()):
        assert read(one, event).error == "out of memory"


def test_sglang_counts_in_each_event():
    one = SGLangGenerate()
    path, sent = body(one, IDS)
    assert (path, sent["input_ids"]) == ("/generate", [5, 6, 7])
    assert sent["sampling_params"]["ignore_eos"]
    meta = {"prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 1, "finish_reason": None}
    assert read(one, {"text": "a b", "meta_info": meta}) == Chunk(output=True, total_tokens=2)
    meta |= {"completion_tokens": 4, "finish_reason": {"type": "length", "length": 4}}
    last = read(one, {"text": "a b c d", "meta_info": meta})
    assert (last.finish_reason, last.output_tokens, last.cached_tokens) == ("length", 4, 1)
    meta["finish_reason"] = {"type": "abort", "message": "no room"}
    assert read(one, {"text": "", "meta_info": meta}).error == "no room"


def test_tgi_has_one_token_per_event():
    one = TGIGenerate()
    path, sent = body(one, TEXT)
    assert (path, sent["parameters"]["max_new_tokens"]) == ("/generate_stream", 4)
    token = {"id": 9, "text": " a", "logprob": -1.0, "special": False}
    event = {"index": 1, "token": token, "generated_text": None, "details": None}
    assert read(one, event) == Chunk(output=True, tokens=1)
    details = {"finish_reason": "length", "generated_tokens": 4, "input_length": 3}
    last = read(one, {**event, "generated_text": "a b c d", "details": details})
    assert (last.finish_reason, last.output_tokens, last.prompt_tokens) == ("length", 4, 3)
    assert (
        read(one, {"error": "Request failed", "error_type": "generation"}).error == "Request failed"
    )


def test_ollama_ends_with_done_and_its_counts():
    one = OllamaGenerate()
    path, sent = body(one, TEXT)
    assert (path, sent["options"]["num_predict"], sent["raw"]) == ("/api/generate", 4, True)
    assert read(one, {"model": "m", "response": " a", "done": False}) == Chunk(output=True)
    assert read(one, {"model": "m", "response": "", "thinking": "hm", "done": False}).output
    last = {"done": True, "done_reason": "length", "prompt_eval_count": 3, "eval_count": 4}
    end = read(one, {"model": "m", "response": "", **last})
    assert (end.done, end.output_tokens, end.prompt_tokens) == (True, 4, 3)
    assert read(one, {"error": "model not loaded"}).error == "model not loaded"


def test_triton_speaks_the_model_s_own_tensors():
    trtllm = TritonGenerate(
        Tensors(
            ids="input_ids",
            ids_length="input_lengths",
            limit="request_output_len",
            least="min_length",
            fixed={"streaming": True, "end_id": -1},
            ids_out="output_ids",
        )
    )
    path, sent = body(trtllm, IDS, model="tensorrt_llm")
    assert path == "/v2/models/tensorrt_llm/generate_stream"
    assert sent == {
        "input_ids": [5, 6, 7],
        "input_lengths": 3,
        "request_output_len": 4,
        "min_length": 4,
        "streaming": True,
        "end_id": -1,
    }
    assert read(trtllm, {"model_name": "tensorrt_llm", "output_ids": 77}).tokens == 1
    assert read(trtllm, {"output_ids": [77, 78]}).tokens == 2
    vllm = TritonGenerate(
        Tensors(
            text="text_input",
            sampling_json="sampling_parameters",
            tokens_out="num_output_tokens",
            prompt_out="num_input_tokens",
            finish_out="finish_reason",
        )
    )
    _, sent = body(vllm, TEXT)
    assert json.loads(sent["sampling_parameters"])["ignore_eos"] is True
    some = {
        "text_output": " a",
        "num_output_tokens": 2,
        "num_input_tokens": 9,
        "finish_reason": "None",
    }
    assert read(vllm, some) == Chunk(output=True, tokens=2, prompt_tokens=9)
    assert read(vllm, {**some, "finish_reason": "length"}).finish_reason == "length"
