"""Streams that real servers sent, read by the dialects."""

from __future__ import annotations

from pathlib import Path

import pytest

from costaudit.record.dialects.dialect import Chunk, Ending, Framing
from costaudit.record.dialects.llamacpp_completion import LlamaCppCompletion
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.dialects.triton_generate import Tensors, TritonGenerate
from costaudit.record.servers.canary import payloads

CAPTURES = Path(__file__).parents[1] / "servers/captures"
VLLM = Fields(finish_has_token=True, running_usage=True)


def chunks(dialect, name):
    head, _, body = (CAPTURES / name).read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    assert head.startswith(b"HTTP/1.1 200")
    return [dialect.read(payload) for payload in payloads(body, dialect.framing)]


def final(found, name):
    return [getattr(chunk, name) for chunk in found if getattr(chunk, name) is not None][-1]


@pytest.mark.parametrize(
    ("name", "dialect", "prompt", "output"),
    [
        ("vllm/completions_stream.sse", OpenAICompletions(VLLM), 13, 8),
        ("vllm/completions_per_request_metrics.sse", OpenAICompletions(VLLM), 5, 3),
        ("vllm/chat_stream.sse", OpenAIChat(VLLM), 26, 8),
        ("vllm/chat_stream_contusage.sse", OpenAIChat(VLLM), 26, 8),
        ("vllm/chat_stream_prompt_details.sse", OpenAIChat(VLLM), 96, 3),
        ("llama-server/completions_stream.sse", OpenAICompletions(), 13, 8),
        ("llama-server/chat_stream.sse", OpenAIChat(), 26, 8),
        ("llama-server/native_completion_stream.sse", LlamaCppCompletion(), 3, 4),
        ("transformers-serve/completions_stream.sse", OpenAICompletions(), 13, 8),
        ("transformers-serve/chat_stream.sse", OpenAIChat(), 26, 8),
    ],
)
def test_every_output_event_is_a_token_and_the_counts_are_the_server_s(
    name, dialect, prompt, output
):
    found = chunks(dialect, name)
    assert not [chunk.error for chunk in found if chunk.error]
    assert final(found, "prompt_tokens") == prompt
    assert final(found, "output_tokens") == output
    assert sum(chunk.output for chunk in found) == output
    assert [chunk.finish_reason for chunk in found if chunk.finish_reason] == ["length"]


def test_a_token_without_text_is_output_but_a_role_is_not():
    empty = chunks(OpenAICompletions(VLLM), "vllm/completions_per_request_metrics.sse")
    assert empty[1].output  # its text is still an incomplete character
    role, first = chunks(OpenAIChat(VLLM), "vllm/chat_stream_contusage.sse")[:2]
    assert (role.output, role.total_tokens) == (False, 0)
    assert (first.output, first.total_tokens) == (True, 1)


def test_running_usage_counts_up_to_the_final_count():
    found = chunks(OpenAIChat(VLLM), "vllm/chat_stream_contusage.sse")
    totals = [c.total_tokens for c in found if c.total_tokens is not None]
    assert totals == list(range(9))  # the last token comes with the finish reason
    native = chunks(LlamaCppCompletion(), "llama-server/native_completion_stream.sse")
    assert [c.total_tokens for c in native if c.output] == [1, 2, 3, 4]


def test_cached_tokens_are_told():
    assert (
        final(chunks(OpenAIChat(VLLM), "vllm/chat_stream_prompt_details.sse"), "cached_tokens")
        == 64
    )
    native = chunks(LlamaCppCompletion(), "llama-server/native_completion_stream.sse")
    assert final(native, "cached_tokens") == 2


def test_ends():
    assert chunks(OpenAIChat(), "vllm/chat_stream.sse")[-1].done
    last = chunks(OpenAIChat(), "transformers-serve/chat_stream.sse")[-1]
    assert (last.done, last.finish_reason) == (False, "length")  # it sends no [DONE]
    native = LlamaCppCompletion()
    assert native.ending is Ending.FINISH
    assert chunks(native, "llama-server/native_completion_stream.sse")[-1].finish_reason == "length"


def test_an_error_inside_a_stream_with_status_200_is_a_failure():
    found = chunks(OpenAIChat(), "llama-server/midstream_error_kv_full.sse")
    assert found[-1] == Chunk(error="Context size has been exceeded.")
    assert sum(chunk.output for chunk in found) > 100


def test_triton_s_decoupled_model_one_token_per_response():
    plain = chunks(TritonGenerate(), "triton/generate_stream.sse")
    assert [chunk.output for chunk in plain] == [True] * 6
    assert {chunk.tokens for chunk in plain} == {None}  # it tells no counts
    learnt = TritonGenerate(Tensors(text="text_input", limit="max_tokens", tokens_per_response=1))
    assert {chunk.tokens for chunk in chunks(learnt, "triton/generate_stream.sse")} == {1}
    assert len(chunks(plain_batch(), "triton/generate_stream_on_nondecoupled.sse")) == 1
    whole = chunks(plain_batch(), "triton/err_generate_on_decoupled.http")
    assert "exactly 1 response" in whole[0].error


def plain_batch():
    return TritonGenerate()


def test_framings():
    assert payloads(b'{"a":1}\n\n{"b":2}\n', Framing.NDJSON) == [b'{"a":1}', b'{"b":2}']
    body = b": ping\n\nevent: x\ndata:{1\ndata: 2}\n\ndata: [DONE]\n\n"
    assert payloads(body, Framing.SSE) == [b"{1\n2}", b"[DONE]"]


def test_each_event_of_vllm_tells_its_total_so_that_lumps_can_be_told_apart():
    found = chunks(OpenAIChat(VLLM), "vllm/chat_stream_contusage.sse")
    assert all(chunk.total_tokens is not None for chunk in found if chunk.output)
