"""The whole path on a real model: a tiny one, built from its config alone."""

from __future__ import annotations

import json

import pytest

from costaudit.measure.steps import reduce_rounds
from costaudit.record.options import ProfileOptions
from costaudit.record.profile import record_profile
from costaudit.recording.recording import Recording
from costaudit.recording.rows import Role

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
}


@pytest.mark.slow
def test_a_real_model_is_recorded_within_its_time(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    options = ProfileOptions(
        target=str(folder),
        path=tmp_path / "r.costaudit",
        device="cpu",
        dtype="float32",
        dummy_weights=True,
        probe="short-query",
        time_budget_s=10.0,
        rounds=2,
        replay_rounds=2,
    )
    with Recording.read(record_profile(options, progress=lambda _: None)) as recording:
        facts = recording.facts()
        steps = reduce_rounds(recording.samples(Role.FIT, Role.HELD_OUT))
        replayed = recording.samples(Role.REPLAY)
        requests = recording.requests()
        assert all(task.done for task in recording.tasks())
    assert facts["target"]["weights"].value == "dummy"
    assert facts["kv"]["bytes_per_token"].value == 2 * 2 * 2 * 16 * 4
    assert len(steps) >= 12
    by_load = {s.task: s.seconds for s in steps}
    assert by_load["prefill-1x32"] < by_load["prefill-1x512"]
    assert {s.clock for s in replayed} == {"thread_time"}
    assert all(0 < r.ttft_s <= r.e2e_s for r in requests)
