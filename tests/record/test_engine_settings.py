"""A static cache, int8 layers, continuous batching: the same model, driven otherwise."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_models import tiny

from costaudit.ground.errors import UsageError
from costaudit.record.engines.open_local import open_local, wrap_model
from costaudit.record.options import EngineSettings, ProfileOptions, check_options

LENGTHS = [(5, 4), (9, 3), (7, 6)]


@pytest.fixture
def opened():
    engines = []

    def make(kind="GQA", dtype=torch.float32, **settings):
        torch.manual_seed(1)
        model = tiny(kind).to(dtype)
        engines.append(wrap_model(model, settings=EngineSettings(**settings)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def greedy(engine, ids, steps):
    """Tokens that the engine's own steps choose behind a prompt."""
    cache = engine._filled(1, 0, ids.shape[1] + steps)
    with torch.inference_mode():
        tokens = [engine._forward("prefill", ids, cache)]
        tokens += [engine._forward("decode", tokens[-1], cache) for _ in range(steps - 1)]
    return torch.cat(tokens, dim=1).tolist()


@pytest.mark.parametrize("kind", ["GQA", "windows Mistral"])
def test_a_static_cache_gives_the_same_answer(opened, kind):
    ids = torch.arange(1, 14)[None]
    told = [greedy(opened(kind, cache=cache), ids, 12) for cache in ("dynamic", "static")]
    assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["GQA", "windows Mistral"])
def test_a_static_cache_is_set_back_and_has_room(opened, kind):
    engine = opened(kind, cache="static")
    steps = engine.prepare_decode(seqs=2, context_tokens=20, steps=5)
    for _ in range(3):  # without the reset the third run would be beyond the room
        steps.reset()
        engine.timed(steps.run)
    spans, token_s = engine.replay_batch(LENGTHS)
    assert [span.steps for span in spans] == [1, 5]
    assert len(token_s) == 6
    assert engine.target.knobs["kv_layout"].value == "static"


def test_a_static_cache_holds_what_a_dynamic_one_holds(opened):
    held = [opened(cache=c).kv_bytes_held(seqs=2, tokens=8) for c in ("dynamic", "static")]
    assert held[0] == held[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_changes_the_layers_and_little_else(opened, dtype):
    ids = list(range(1, 60))
    plain, quantized = opened("MHA", dtype), opened("MHA", dtype, quantize="int8")
    before, after = (engine.scores(ids)[0] for engine in (plain, quantized))
    assert before != after
    assert math.fsum(after) == pytest.approx(math.fsum(before), rel=0.02)
    assert plain.target.shape.params == quantized.target.shape.params
    assert quantized.target.knobs["quantization"].value == "int8"
    assert quantized._model.dtype == dtype  # embedding, norms and cache stay
    linear = [m for m in quantized._model.modules() if type(m) is torch.nn.Linear]
    assert not linear


def test_speedups_are_told_of_what_can_be_quantized(opened):
    found = opened().int8_speedups((2, 8))
    assert set(found) == {2, 8}
    assert all(ratio > 0 for ratio in found.values())
    assert opened(quantize="int8").int8_speedups((2,)) == {}


def test_a_stream_is_served_to_its_last_token(opened):
    engine = opened(batching="continuous")
    timing = engine.replay_stream(LENGTHS * 2, rows=3)
    assert timing.seconds > 0
    assert timing.clock == "thread_time"
    with pytest.raises(UsageError, match="context"):
        engine.replay_stream([(250, 20)], rows=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"batching": "dynamic"},
        {"cache": "paged"},
        {"quantize": "int4"},
        {"batching": "continuous", "cache": "static"},
    ],
)
def test_settings_that_there_are_not(settings):
    with pytest.raises(UsageError):
        open_local("demo", settings=EngineSettings(**settings))


def test_a_recording_is_made_of_static_batches(tmp_path):
    with pytest.raises(UsageError, match="static batches"):
        check_options(ProfileOptions(target="demo", path=tmp_path / "x", batching="continuous"))
