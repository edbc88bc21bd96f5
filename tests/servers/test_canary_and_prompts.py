"""One small generation, what it teaches, and prompts of exact lengths."""

from __future__ import annotations

import json

import dialect_server as fake
import pytest
from answering import Answers, serving

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.client.load import Endpoint
from costaudit.record.servers import discovery
from costaudit.record.servers.discovery import canary
from costaudit.record.servers.engines.vllm import of_fingerprint
from costaudit.record.servers.found import Given
from costaudit.record.servers.prompts import UNIQUE_TOKENS, PromptMaker
from costaudit.record.servers.refusal import refusal
from costaudit.record.servers.words import words


def found_at(url, **given):
    endpoint = Endpoint(base_url=url)
    return discovery.discover(endpoint, model=None, given=Given(**given))


def vllm_stream(tokens, *, running=True, per_event=1, fingerprint="vllm-0.32.0-tp2-9572837d"):
    events = []
    for total in range(per_event, tokens + 1, per_event):
        usage = {"prompt_tokens": 64, "completion_tokens": total}
        finish = "length" if total == tokens else None
        event = {"choices": [{"text": "x" * per_event, "finish_reason": finish}]}
        events.append({**event, "usage": usage} if running else event)
    end = {"prompt_tokens": 64, "completion_tokens": tokens}
    return [*events, {"choices": [], "usage": end, "system_fingerprint": fingerprint}]


def test_a_good_canary_tells_lengths_ranks_and_version():
    answers = fake.vllm().post_stream("/v1/completions", vllm_stream(8))
    with serving(answers) as (url, seen, bodies):
        told = canary(found_at(url))
    sent = json.loads(bodies[-1])
    assert len(sent["prompt"]) == 64
    assert (told.prompt_tokens, told.output_tokens, told.events) == (64, 8, 8)
    assert told.exact_prompt
    assert told.exact_output
    assert told.counts_tokens
    assert told.found.parallelism["tensor"].value == 2
    assert told.found.target.engine_version == "0.32.0"
    assert seen.count("POST /v1/completions") == 1
    # One token per event: counting as it goes would cost the server time for nothing.
    assert not told.found.dialect.fields.running_usage


def test_lumps_are_asked_for_twice_and_keep_the_running_count():
    answers = fake.vllm().post_stream("/v1/completions", vllm_stream(8, per_event=4))
    with serving(answers) as (url, seen, _):
        told = canary(found_at(url))
    assert (told.events, told.output_tokens) == (2, 8)
    assert seen.count("POST /v1/completions") == 2
    assert told.found.dialect.fields.running_usage


def test_under_speculation_the_running_count_stays():
    answers = fake.vllm().post_stream("/v1/completions", vllm_stream(8))
    answers.captured("/metrics", "vllm/spec_ngram_after.prom")
    with serving(answers) as (url, _, _):
        told = canary(found_at(url))
    assert told.events == 8
    assert told.found.dialect.fields.running_usage


def test_a_short_answer_is_not_exact():
    answers = fake.vllm().post_stream("/v1/completions", vllm_stream(3))
    with serving(answers) as (url, _, _):
        assert canary(found_at(url)).exact_output is False


def test_a_refused_field_is_left_out_and_chat_is_the_last_resort():
    error = {"error": {"message": "unknown field min_tokens", "code": 400}}
    chat = [{"choices": [{"delta": {"content": "x"}, "finish_reason": None}]}] * 8
    answers = fake.vllm().post_json("/v1/completions", error, status=400)
    answers.post_stream(
        "/v1/chat/completions", [*chat, {"choices": [], "usage": {"completion_tokens": 8}}]
    )
    with serving(answers) as (url, seen, bodies):
        told = canary(found_at(url))
    assert seen[-3:] == ["POST /v1/completions"] * 2 + ["POST /v1/chat/completions"]
    assert "min_tokens" not in json.loads(bodies[-2])
    assert told.found.dialect.name == "openai_chat"
    assert any("refuses" in note for note in told.found.notes)


def test_a_server_without_counts_is_seen_to_send_one_token_per_event():
    stream = [{"choices": [{"delta": {"content": "x"}}]}] * 8
    answers = fake.hosted().post_stream("/v1/chat/completions", stream)
    with serving(answers) as (url, _, _):
        told = canary(found_at(url))
    assert told.output_tokens is None
    assert told.exact_output is None
    one = told.found.dialect.read(json.dumps(stream[0]).encode())
    assert one.tokens == 1


TOO_LONG = "request (12 tokens) exceeds the available context size"
PINNED = "Server is pinned to 'a'; requested 'm'."
DEAD = "CB worker is dead and cannot accept request"


@pytest.mark.parametrize(
    ("status", "said", "kind", "words_"),
    [
        (404, {"error": {"message": "The model `m` does not exist."}}, UsageError, "no model"),
        (400, {"detail": PINNED}, UsageError, "pinned"),
        (400, {"error": {"message": "maximum context length is 9"}}, UsageError, "too long"),
        (400, {"error": {"type": "x", "message": TOO_LONG}}, UsageError, "too long"),
        (401, {"error": "Unauthorized"}, TargetError, "refuses us"),
        (404, {"detail": "Not Found"}, TargetError, "no such path"),
        (503, {"detail": DEAD}, TargetError, "turns"),
        (500, b"Internal Server Error", TargetError, "Internal Server Error"),
        (500, b"<html>\xff", TargetError, "HTTP 500"),
    ],
)
def test_refusals_are_one_sentence_with_a_hint(status, said, kind, words_):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    err = refusal(status, body, base_url="http://h:8000", model="m", served=["a"])
    assert type(err) is kind
    assert words_ in err.message
    assert err.hint
    assert "\n" not in err.message


def test_an_error_in_the_stream_and_an_empty_one_are_failures():
    lost = fake.vllm().post_stream("/v1/completions", [{"error": {"message": "out of memory"}}])
    with serving(lost) as (url, _, _), pytest.raises(TargetError, match="out of memory"):
        canary(found_at(url))
    empty = fake.vllm().post_stream("/v1/completions", [])
    with serving(empty) as (url, _, _), pytest.raises(TargetError, match="without any output"):
        canary(found_at(url))


class SilentOnce(Answers):
    """Its model ends the first answer before any text."""

    def get(self, key, default=None):
        answer = super().get(key, default)
        if key[0] == "POST" and not hasattr(self, "asked"):
            self.asked = True
            return (200, answer[1], b"data: [DONE]\n\n")
        return answer


def test_an_answer_without_text_is_asked_for_once_more():
    answers = SilentOnce(fake.vllm().post_stream("/v1/completions", vllm_stream(8)))
    with serving(answers) as (url, seen, _):
        assert canary(found_at(url)).output_tokens == 8
    assert seen.count("POST /v1/completions") == 2


def test_fingerprints():
    version, ranks = of_fingerprint("vllm-0.32.0-tp4-pp2-dp8-ep-9572837d")
    assert version == "0.32.0"
    assert {n: v.value for n, v in ranks.items()} == {
        "tensor": 4, "pipeline": 2, "data": 8, "expert": True,
    }  # fmt: skip
    assert of_fingerprint("vllm-0.32.0-9572837d")[1]["tensor"].value == 1
    for other in ("b1-0c1e570", "fp_44709d6fcb", "", "vllm-x"):
        assert of_fingerprint(other) is None


def test_cold_prompts_have_their_length_and_share_no_beginning():
    with serving(fake.llama_server()) as (url, _, _):
        maker = PromptMaker.of(found_at(url), seed=1)
    prompts = [maker.cold(100) for _ in range(200)]
    assert maker.exact
    assert {len(prompt) for prompt in prompts} == {100}
    assert len({prompt[:8] for prompt in prompts}) == 200
    assert max(max(prompt) for prompt in prompts) < 2048  # the tokenizer's vocabulary


def test_a_second_run_with_the_same_seed_finds_nothing_cached_but_draws_the_same_rest():
    with serving(fake.llama_server()) as (url, _, _):
        one, other = (PromptMaker.of(found_at(url), seed=1).cold(100) for _ in range(2))
    assert one[:UNIQUE_TOKENS] != other[:UNIQUE_TOKENS]
    assert one[UNIQUE_TOKENS:] == other[UNIQUE_TOKENS:]


def test_shared_prompts_share_exactly_their_prefix():
    with serving(fake.llama_server()) as (url, _, _):
        maker = PromptMaker.of(found_at(url))
    short = maker.shared(80, prefix_id=3, prefix_tokens=50)
    longer = maker.shared(200, prefix_id=3, prefix_tokens=150)
    other = maker.shared(80, prefix_id=4, prefix_tokens=50)
    assert (len(short), len(longer)) == (80, 200)
    assert short[:50] == longer[:50] != other[:50]
    assert short[50:58] != longer[50:58]
    assert len(maker.shared(10, prefix_id=3, prefix_tokens=50)) == 10


def test_equal_hashes_are_equal_blocks():
    with serving(fake.llama_server()) as (url, _, _):
        maker = PromptMaker.of(found_at(url))
    one = maker.hashed(70, hashes=[1, 2, 3], block_tokens=16)
    other = maker.hashed(90, hashes=[1, 2, 4, 5], block_tokens=16)
    assert (len(one), len(other)) == (70, 90)
    assert one[:32] == other[:32]
    assert one[32:48] != other[32:48]
    assert maker.hashed(70, hashes=[1, 2, 3], block_tokens=16)[48:] != one[48:]
    assert maker.shared(40, prefix_id=1, prefix_tokens=16)[:16] != one[:16]
    assert len(maker.hashed(10, hashes=[1, 2, 3], block_tokens=16)) == 10


def test_words_of_one_token_are_found_by_the_server_s_own_route(monkeypatch):
    two_tokens = set(words()[::3])  # a tokenizer of ours: every third word is two tokens

    def fetched(url, *, post, **_):
        text = post["inputs"].split()
        ids = [0] + [0 for word in text for _ in range(1 + (word in two_tokens))]
        return type("Reply", (), {"ok": True, "json": lambda _: ids})()

    with serving(fake.tgi()) as (url, _, _):
        found = found_at(url)
    monkeypatch.setattr("costaudit.record.servers.fetch.fetch", fetched)
    monkeypatch.setattr("costaudit.record.servers.vocabulary._MOST_REQUESTS", 2000)
    maker = PromptMaker.of(found)
    drawn = set(maker.cold(500).split())
    assert drawn
    assert not drawn & two_tokens


def test_without_any_tokenizer_the_canary_s_count_calibrates():
    usage = {"choices": [], "usage": {"prompt_tokens": 74, "completion_tokens": 8}}
    stream = [{"choices": [{"delta": {"content": "x"}}]}] * 8
    answers = fake.hosted().post_stream("/v1/chat/completions", [*stream, usage])
    with serving(answers) as (url, _, _):
        told = canary(found_at(url))
    maker = PromptMaker.of(told.found)
    assert not maker.exact
    assert len(maker.cold(110).split()) == 100  # ten are the chat template's


def test_a_tokenizer_that_is_none_is_a_usage_error(tmp_path):
    with serving(fake.hosted()) as (url, _, _):
        found = found_at(url)
    with pytest.raises(UsageError, match="cannot read the tokenizer"):
        PromptMaker.of(found, tokenizer=tmp_path)
