from dataclasses import replace
from pathlib import Path

import pytest

from costaudit.record.client.load import Endpoint
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.probing.bounds import context_tokens, kv_tokens, sure_share
from costaudit.record.probing.design import OUTPUT_TOKENS, burst_tokens
from costaudit.record.probing.options import ServerOptions
from costaudit.record.servers.found import Found
from costaudit.target.target import Origin, Target, Value


def told(value):
    return Value(value=value, origin=Origin.EXPORTED)


def found(engine="vllm", context=None, **knobs):
    target = Target(
        kind="server",
        engine=engine,
        engine_version="",
        model="m",
        weights="trained",
        dtype="",
        shape=None,
        knobs={name: told(value) for name, value in knobs.items()},
    )
    one = Found(
        endpoint=Endpoint(base_url="http://h"),
        target=target,
        model="m",
        dialect=OpenAICompletions(Fields()),
        metrics=None,
        tokenize=None,
    )
    return one if context is None else replace(one, max_context_tokens=told(context))


def test_the_context_is_what_the_server_takes_or_a_cautious_guess():
    assert context_tokens(found(context=4096)) == 4096
    assert context_tokens(found(context=4096, max_model_len=1000)) == 1000
    assert context_tokens(found()) == 2048
    assert context_tokens(found(engine="transformers-serve")) == 1024


@pytest.mark.parametrize(
    ("exact", "calibration", "tokenizer", "share"),
    [
        (True, None, None, 1.0),
        (False, ("a b", 2), None, 0.8),
        (False, None, "t.json", 0.8),
        (False, None, None, 0.4),
    ],
)
def test_guessed_lengths_leave_room(exact, calibration, tokenizer, share):
    options = ServerOptions(url="http://h", path=Path("x"), tokenizer=tokenizer)
    one = replace(found(context=1000), calibration=calibration)
    assert sure_share(options, one, exact=exact) == share
    assert context_tokens(one, share=share) == 1000 * share


def test_the_cache_is_what_is_told_or_its_blocks():
    assert kv_tokens(found()) is None
    blocks = {"blocks_total": told(256), "block_size_tokens": told(32)}
    assert kv_tokens(replace(found(), kv=blocks)) == 8192
    assert kv_tokens(replace(found(), kv={**blocks, "tokens_total": told(8000)})) == 8000
    assert kv_tokens(replace(found(), kv={"blocks_total": told("None")})) is None


def test_bursts_are_shorter_where_steps_are_slow():
    assert burst_tokens(1e-3, 10.0) == OUTPUT_TOKENS[0]
    assert burst_tokens(1.0, 10.0) == OUTPUT_TOKENS[-1]
    lengths = [burst_tokens(step_s / 1000, 10.0) for step_s in range(1, 100)]
    assert lengths == sorted(lengths, reverse=True)
    assert set(lengths) == set(OUTPUT_TOKENS)
