"""Steps, batches and clocks of the in-process engine, on tiny models."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from tiny_models import tiny

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.engines import kv_tensors, memory
from costaudit.record.engines.kv_tensors import filled_cache, restorer
from costaudit.record.engines.open_local import wrap_model
from costaudit.record.engines.static_batch import left_padding
from costaudit.record.meters.host import HostMemory
from costaudit.target.load import decode_load, prefill_load

ALL = ("GQA", "MLA v3", "MoE Mixtral", "windows Mistral", "windows gpt-oss")


class Announced:
    """Ranges that write down what they are told."""

    def __init__(self):
        self.seen = []

    def push(self, phase, tokens):
        self.seen.append((phase, tokens))

    def pop(self):
        self.seen.append("pop")


@pytest.fixture
def opened():
    engines = []

    def make(kind="GQA", **options):
        engines.append(wrap_model(tiny(kind), **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


def test_loads_are_those_asked_for(opened):
    engine = opened()
    prefill = engine.prepare_prefill(seqs=2, new_tokens=5, cached_tokens=7)
    assert (prefill.steps, prefill.load) == (1, prefill_load(new_tokens=5, cached_tokens=7, seqs=2))
    one = engine.prepare_decode(seqs=3, context_tokens=10, steps=1)
    assert one.load == decode_load(seqs=3, context_tokens=10)
    nine = engine.prepare_decode(seqs=3, context_tokens=10, steps=9)
    assert nine.load == decode_load(seqs=3, context_tokens=14)  # the middle of 10 … 18


@pytest.mark.parametrize("kind", ALL)
def test_runs_can_be_repeated_from_the_same_state(opened, kind, monkeypatch):
    engine = opened(kind)
    lengths = []
    forward = engine._model.forward

    def spied(*args, **kwargs):
        lengths.append(kwargs["past_key_values"].get_seq_length())
        return forward(*args, **kwargs)

    for prepared in (
        engine.prepare_decode(seqs=2, context_tokens=12, steps=3),
        engine.prepare_prefill(seqs=2, new_tokens=6, cached_tokens=12),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(engine._model, "forward", spied)
            for _ in range(3):
                prepared.reset()
                prepared.run()
    assert lengths == [12, 13, 14] * 3 + [12] * 3


def test_a_long_cache_is_filled_with_numbers_all_along(monkeypatch):
    monkeypatch.setattr(kv_tensors, "DRAWN_TOKENS", 16)
    with torch.inference_mode():
        cache = filled_cache(tiny("GQA"), seqs=2, tokens=40)
    for layer in cache.layers:
        for states in (layer.keys, layer.values):
            assert states.shape == (2, 2, 40, 8)
            assert states.is_contiguous()
            assert (states.abs().sum(dim=(0, 1, 3)) > 0).all()


@pytest.mark.parametrize("kind", ALL)
def test_a_restored_cache_gives_the_same_logits(kind):
    model = tiny(kind)
    with torch.inference_mode():
        cache = filled_cache(model, seqs=2, tokens=20)
        assert cache.get_seq_length() == 20
        restore = restorer(cache)
        ids = torch.tensor([[5], [9]])
        first = model(ids, past_key_values=cache).logits
        for _ in range(10):
            model(ids, past_key_values=cache)
        restore()
        again = model(ids, past_key_values=cache).logits
    assert torch.equal(first, again)


@pytest.mark.parametrize("kind", ALL)
def test_a_static_batch_yields_the_tokens_of_generate(opened, kind, monkeypatch):
    engine = opened(kind)
    lengths = [(11, 9), (4, 9), (7, 9)]
    seen = []
    forward = engine._forward

    def spied(phase, ids, cache, step=None, **inputs):
        seen.append((ids, forward(phase, ids, cache, step, **inputs)))
        return seen[-1][1]

    monkeypatch.setattr(engine, "_forward", spied)
    engine.replay_batch(lengths)
    tokens = torch.cat([out for _, out in seen], dim=1)
    expected = engine._model.generate(
        seen[0][0],
        attention_mask=left_padding(11, [11, 4, 7], "cpu"),
        max_new_tokens=9,
        do_sample=False,
    )
    assert torch.equal(tokens, expected[:, 11:])
    for (_, produced), (fed, _) in itertools.pairwise(seen):
        assert torch.equal(produced, fed)


def test_spans_count_padding_and_finished_rows(opened):
    (prefill, decode), token_s = opened().replay_batch([(10, 2), (4, 5)])
    assert prefill.load == prefill_load(new_tokens=10, seqs=2)
    assert (decode.steps, decode.load.decode_seqs) == (4, 8)
    assert decode.load.decode_context_tokens == 2 * (10 + 11 + 12 + 13)
    assert len(token_s) == 5
    assert token_s == sorted(token_s)
    assert token_s[0] == prefill.timing.seconds
    assert token_s[-1] == pytest.approx(prefill.timing.seconds + decode.timing.seconds)


def test_one_token_each_is_a_prefill_alone(opened):
    spans, token_s = opened().replay_batch([(3, 1), (2, 1)])
    assert [span.phase for span in spans] == ["prefill"]
    assert len(token_s) == 1


def test_every_step_runs_in_its_range(opened):
    ranges = Announced()
    engine = opened(ranges=ranges)
    engine.prepare_decode(seqs=3, context_tokens=4, steps=2).run()
    engine.replay_batch([(6, 2), (5, 1)])
    assert ranges.seen == [
        *[("decode", 3), "pop"] * 2,
        *[("prefill", 12), "pop", ("decode", 2), "pop"],
    ]


def test_the_clock_counts_work_and_not_waiting(opened):
    engine = opened()
    waited = engine.timed(lambda: time.sleep(0.2))
    assert waited.clock == "thread_time"
    assert waited.wall_s >= 0.2
    assert waited.seconds < 0.05
    worked = engine.timed(lambda: burn(0.05))
    assert worked.seconds >= 0.05


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_the_engine_computes_in_one_thread_and_gives_the_others_back(opened):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        engine = opened()
        assert torch.get_num_threads() == 1
        engine.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "ask",
    [
        lambda e: e.prepare_prefill(seqs=1, new_tokens=200, cached_tokens=57),
        lambda e: e.prepare_decode(seqs=1, context_tokens=250, steps=7),
        lambda e: e.prepare_decode(seqs=0, context_tokens=2, steps=1),
        lambda e: e.replay_batch([(200, 3), (5, 58)]),
        lambda e: e.replay_batch([(0, 3)]),
        lambda e: e.replay_batch([]),
        lambda e: e.kv_bytes_held(seqs=1, tokens=257),
    ],
)
def test_lengths_that_cannot_be_run_are_refused(opened, ask):
    with pytest.raises(UsageError):
        ask(opened())


def test_a_context_is_filled_to_its_last_token(opened):
    engine = opened()
    engine.prepare_prefill(seqs=1, new_tokens=200, cached_tokens=56).run()
    engine.prepare_decode(seqs=1, context_tokens=250, steps=6).run()
    engine.replay_batch([(200, 57)])


def test_an_exhausted_allocator_is_one_sentence():
    def out_of_memory():
        with memory.memory_errors("a test"):
            torch.empty(1 << 60)

    with pytest.raises(TargetError, match="ran out of memory for a test"):
        out_of_memory()
    with pytest.raises(RuntimeError, match="shape"), memory.memory_errors("a test"):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_a_cache_that_cannot_fit_is_refused_before_it_is_filled(opened, monkeypatch):
    engine = opened()
    per_token = 3 * 2 * 2 * 8 * 4  # layers, keys and values, heads, width, bytes
    need = 4 * 100 * per_token * (1 + 2 / 3)
    give_memory(monkeypatch, free=need + 1)
    engine.prepare_decode(seqs=4, context_tokens=99, steps=1)
    give_memory(monkeypatch, free=need - 1)
    with pytest.raises(TargetError, match="not enough memory for a cache of 4 × 100 tokens"):
        engine.prepare_decode(seqs=4, context_tokens=99, steps=1)


def test_memory_is_what_the_host_meter_says(opened, monkeypatch):
    import psutil

    used, total = opened().memory_bytes()
    assert 0 < used < total <= psutil.virtual_memory().total
    give_memory(monkeypatch, free=10, total=5000)
    assert opened().memory_bytes()[1] == 5000


def give_memory(monkeypatch, *, free, total=1 << 40):
    said = HostMemory(total_bytes=total, available_bytes=free, limited_by="cgroup")
    monkeypatch.setattr(memory, "host_memory", lambda: said)
