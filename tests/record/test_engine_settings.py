"""A static cache, int8 layers, continuous batching: the same model, driven otherwise."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_models import tiny

from costaudit.ground.errors import UsageError
from costaudit.record.engines import low_bit
from costaudit.record.engines.open_local import open_local, wrap_model
from costaudit.record.engines.step_graph import compile_blocks
from costaudit.record.options import EngineSettings, ProfileOptions, check_options

LENGTHS = [(5, 4), (9, 3), (7, 6)]
WIDE = "GQA of whole groups of 4 bits"


@pytest.fixture
def opened():
    engines = []

    def make(kind="GQA", dtype=torch.float32, **settings):
        torch.manual_seed(1)
        sizes = {"hidden_size": 128, "intermediate_size": 256} if kind == WIDE else {}
        model = tiny("GQA" if kind == WIDE else kind, **sizes).to(dtype)
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
        for _ in range(steps - 1):
            tokens.append(engine._forward("decode", tokens[-1], cache))
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


@pytest.mark.parametrize("form", ["fp8", "int8-weights", "int4-weights"])
def test_few_bits_change_the_layers_and_little_else(opened, form):
    ids = list(range(1, 60))
    plain, quantized = opened(WIDE, torch.bfloat16), opened(WIDE, torch.bfloat16, quantize=form)
    before, after = (engine.scores(ids)[0] for engine in (plain, quantized))
    assert before != after
    assert math.fsum(after) == pytest.approx(math.fsum(before), rel=0.05)
    assert quantized.target.knobs["quantization"].value == form
    kept = [m for m in quantized._model.modules() if type(m) is torch.nn.Linear]
    assert kept == [quantized._model.get_output_embeddings()]
    assert low_bit.why_not(form, "cpu") == ""


def test_formats_are_timed_beside_the_model_itself_which_stays(opened):
    engine = opened(WIDE, torch.bfloat16)
    found = low_bit.speedups(engine._model, engine.timed, (1, 3))
    assert set(found) == set(low_bit.FORMATS)
    assert all(set(ratios) == {1, 3} and min(ratios.values()) > 0 for ratios in found.values())
    assert not any(type(m).__name__ == "LowBitLinear" for m in engine._model.modules())
    assert engine.low_bit_speedups((1,)) == {}  # a CPU's are int8


def test_a_cache_in_8_bits_holds_half_and_answers_alike(opened):
    plain = opened(WIDE, torch.bfloat16, cache="static")
    packed = opened(WIDE, torch.bfloat16, cache="static", kv_cache="fp8")
    assert packed.kv_bytes_held(seqs=2, tokens=8) * 2 == plain.kv_bytes_held(seqs=2, tokens=8)
    ids = list(range(1, 60))
    before, after = (engine.scores(ids)[0] for engine in (plain, packed))
    assert before != after
    assert math.fsum(after) == pytest.approx(math.fsum(before), rel=0.02)
    steps = packed.prepare_decode(seqs=2, context_tokens=20, steps=5)
    for _ in range(3):
        steps.reset()
        packed.timed(steps.run)


def test_a_captured_step_gives_the_same_answer(opened):
    """What a CPU can show of it: fixed buffers, and a cache that is as it was before the trials."""
    ids, steps = torch.arange(1, 14)[None], 12
    plain, captured = opened(), opened(cache="static", graphs="captured")
    cache = captured._filled(1, 0, ids.shape[1] + steps)
    with torch.inference_mode():
        tokens = [captured._forward("prefill", ids, cache)]
        step = captured._captured(cache, input_ids=tokens[0])
        for _ in range(steps - 1):
            tokens.append(captured._forward("decode", tokens[-1], cache, step).clone())
    assert torch.cat(tokens, dim=1).tolist() == greedy(plain, ids, steps)
    assert captured.target.knobs["cuda_graphs"].value == "captured"


def test_a_captured_batch_is_padded_as_any_other(opened, monkeypatch):
    seen = {}
    for name, settings in (("plain", {}), ("captured", {"cache": "static", "graphs": "captured"})):
        engine = opened(**settings)
        forward = engine._forward

        def kept(*args, _forward=forward, _name=name, **inputs):
            tokens = _forward(*args, **inputs)
            seen.setdefault(_name, []).append(tokens.clone())
            return tokens

        monkeypatch.setattr(engine, "_forward", kept)
        torch.manual_seed(3)
        spans, token_s = engine.replay_batch(LENGTHS)
        assert [span.steps for span in spans] == [1, 5]
        assert len(token_s) == 6
    assert torch.equal(torch.cat(seen["plain"]), torch.cat(seen["captured"]))


def test_a_decode_step_asks_the_device_nothing_so_it_can_be_captured():
    """On tensors without values: to ask for one would raise, as capturing would."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    settings = EngineSettings(cache="static", graphs="captured")
    with FakeTensorMode(), torch.inference_mode():
        engine = wrap_model(tiny("GQA"), settings=settings)
        cache = engine._filled(2, 0, 16)
        step = engine._step(cache)
        ids, mask = torch.ones(2, 5, dtype=torch.long), torch.ones(2, 16, dtype=torch.long)
        step(input_ids=ids, attention_mask=mask[:, :5])
        tokens = step(input_ids=ids[:, :1], attention_mask=mask, position_ids=ids[:, :1])
        with pytest.raises(DataDependentOutputException):
            int(tokens[0, 0])
        assert tuple(tokens.shape) == (2, 1)


def test_windows_are_not_captured(opened):
    engine = opened("windows Mistral", cache="static", graphs="captured")
    with pytest.raises(UsageError, match="are not captured"):
        engine.prepare_decode(seqs=1, context_tokens=8, steps=2)


@pytest.mark.slow
def test_every_block_is_compiled_once_and_answers_as_before(monkeypatch):
    """Traced only; dynamo itself would give up after so many blocks as its limit says."""
    from torch._dynamo.utils import counters

    counters.clear()
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)
    ids, blocks = torch.tensor([[5], [6]]), 3
    told = {}
    for name in ("plain", "compiled"):
        model = tiny("GQA", num_hidden_layers=blocks)
        if name == "compiled":
            compile_blocks(model, backend="eager")
        engine = wrap_model(model, settings=EngineSettings(cache="static"))
        engine.prepare_decode(seqs=2, context_tokens=8, steps=2).run()
        torch.manual_seed(5)
        with torch.inference_mode():
            told[name] = engine._forward("decode", ids, engine._filled(2, 8, 10)).tolist()
        engine.close()
    assert told["plain"] == told["compiled"]
    assert counters["stats"]["unique_graphs"] == blocks
    assert not counters["unimplemented"]


def test_a_model_that_does_not_name_its_blocks_is_not_compiled():
    model = tiny("GQA")
    model._no_split_modules = None
    with pytest.raises(UsageError, match="which its blocks are"):
        compile_blocks(model)


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
        {"graphs": "captured"},
        {"cache": "static", "graphs": "captured"},
        {"kv_cache": "fp8"},
    ],
)
def test_settings_that_there_are_not(settings):
    with pytest.raises(UsageError):
        open_local("demo", settings=EngineSettings(**settings))


def test_a_recording_is_made_of_static_batches(tmp_path):
    with pytest.raises(UsageError, match="static batches"):
        check_options(ProfileOptions(target="demo", path=tmp_path / "x", batching="continuous"))
