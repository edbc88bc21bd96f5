"""The in-process engine on a GPU; skipped where there is none."""

from __future__ import annotations

import time

import pytest
from tiny_models import tiny

from costaudit.record.engines.open_local import wrap_model

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
