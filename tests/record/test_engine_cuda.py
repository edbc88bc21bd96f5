"""The in-process engine on a GPU; skipped where there is none."""

from __future__ import annotations

import time

import pytest
from tiny_models import tiny

from costaudit.record.engines import low_bit
from costaudit.record.engines.open_local import wrap_model
from costaudit.record.options import EngineSettings

pytestmark = pytest.mark.gpu


@pytest.fixture
def engine():
    engine = wrap_model(tiny("GQA").to("cuda"))
    yield engine
    engine.close()


def test_events_time_the_device_and_not_the_host(engine):
    prepared = engine.prepare_decode(seqs=4, context_tokens=32, steps=8)
    engine.timed(prepared.run)  # the first run loads kernels
    prepared.reset()
    timing = engine.timed(prepared.run)
    assert timing.clock == "cuda_event"
    assert 0 < timing.seconds <= timing.wall_s
    waited = engine.timed(lambda: time.sleep(0.05))
    assert waited.wall_s >= 0.05


def test_a_static_batch_runs_there(engine):
    (prefill, decode), token_s = engine.replay_batch([(10, 4), (3, 6)])
    assert token_s == sorted(token_s)
    assert prefill.timing.seconds > 0
    assert decode.timing.seconds > 0


def test_memory_is_that_of_the_device(engine):
    import torch

    used, total = engine.memory_bytes()
    assert 0 < used < total == torch.cuda.mem_get_info()[1]
    assert engine.kv_bytes_held(seqs=2, tokens=10) == 2 * 10 * 3 * 2 * 2 * 8 * 4


def test_a_captured_step_answers_as_one_that_is_launched_kernel_by_kernel():
    import torch

    told = []
    for graphs in ("off", "captured"):
        settings = EngineSettings(cache="static", graphs=graphs)
        engine = wrap_model(tiny("GQA").to("cuda"), settings=settings)
        cache = engine._filled(1, 0, 24)
        with torch.inference_mode():
            ids = torch.arange(1, 9, device="cuda")[None]
            tokens = [engine._forward("prefill", ids, cache)]
            step = engine._captured(cache, input_ids=tokens[0])
            for _ in range(10):
                tokens.append(engine._forward("decode", tokens[-1], cache, step).clone())
        told.append(torch.cat(tokens, dim=1).tolist())
        engine.replay_batch([(10, 4), (3, 6)])
        engine.close()
    assert told[0] == told[1]


@pytest.mark.parametrize("form", low_bit.FORMATS)
def test_a_format_that_this_device_multiplies_is_near_the_layer(form):
    import torch

    if why := low_bit.why_not(form, "cuda"):
        pytest.skip(f"{form}: {why}")
    linear = torch.nn.Linear(512, 256, bias=False, dtype=torch.bfloat16, device="cuda")
    rows = torch.randn(8, 512, dtype=torch.bfloat16, device="cuda")
    with torch.inference_mode():
        true, near = linear(rows), low_bit.low_bit_linear(linear, form)(rows)
    assert float((near - true).norm() / true.norm()) < 0.2
