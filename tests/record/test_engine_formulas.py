"""The formulas against what torch counts and what transformers' caches hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import KINDS, tiny

from costaudit.record.engines.describe import describe_model
from costaudit.record.engines.open_local import wrap_model
from costaudit.target.load import StepLoad
from costaudit.target.work import kv_bytes, prefill_flops, total_params

WIDE = {
    "vocab_size": 4096,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "moe_intermediate_size": 256,
    "kv_lora_rank": 128,
}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [5, 40])
def test_kv_formula_equals_the_tensors_after_a_real_prefill(kind, tokens):
    model = tiny(kind)
    shape = describe_model(model).shape
    ids = torch.randint(2, 96, (3, tokens))
    with torch.inference_mode():
        cache = model(ids, use_cache=True).past_key_values
    real = sum(
        t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values)
    )
    assert real == 3 * kv_bytes(shape, tokens, 4)
    engine = wrap_model(model)
    assert engine.kv_bytes_held(seqs=3, tokens=tokens) == real
    engine.close()


@pytest.mark.parametrize("kind", KINDS)
def test_parameter_formula_equals_the_count_on_the_meta_device(kind):
    special = KINDS[kind][1]
    changes = {k: v for k, v in WIDE.items() if k in special or k in {"vocab_size", "hidden_size"}}
    model = tiny(kind, device="meta", **changes, intermediate_size=1024)
    counted = describe_model(model).shape
    assert counted.params == sum(p.numel() for p in model.parameters())
    # norms and biases are left out of the formula: at this width less than a percent
    assert total_params(replace(counted, params=None)) == pytest.approx(counted.params, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_flops_equal_what_torch_counts_under_eager_attention(kind):
    """Eager attention multiplies all pairs, masked ones too: P² instead of P(P+1)/2, no windows."""
    from torch.utils.flop_counter import FlopCounterMode

    model = tiny(kind, attention="eager", experts_implementation="eager")
    tokens, seqs = 24, 2
    ids = torch.randint(2, 96, (seqs, tokens))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(ids, use_cache=True, logits_to_keep=1)
    shape = replace(describe_model(model).shape, windows=())
    load = StepLoad(prefill_tokens=seqs * tokens, prefill_pairs=seqs * tokens**2, prefill_seqs=seqs)
    assert counter.get_total_flops() == prefill_flops(shape, load)


def test_parameters_that_no_formula_explains_are_reported():
    model = tiny("GQA")
    assert "params_by_formula_share" not in describe_model(model).knobs
    formula = total_params(replace(describe_model(model).shape, params=None))
    model.tower = torch.nn.Linear(100, 100, bias=False)
    said = describe_model(model).knobs["params_by_formula_share"]
    counted = sum(p.numel() for p in tiny("GQA").parameters()) + 100 * 100
    assert said.value == pytest.approx(formula / counted)
    assert said.why
