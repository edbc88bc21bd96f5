"""config.json → shape: what is read, what is refused and in which words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.ground.errors import TargetError
from costaudit.target.from_config import shape_from_config
from costaudit.target.shape import Experts, ModelShape

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
}
OPTIONAL = [
    "sliding_window",
    "use_sliding_window",
    "max_window_layers",
    "layer_types",
    "head_dim",
    "kv_lora_rank",
    "num_experts",
    "num_experts_per_tok",
    "mlp_only_layers",
    "decoder_sparse_step",
    "text_config",
    "tie_word_embeddings",
]


def test_reads_a_llama():
    assert shape_from_config(LLAMA, name="m") == ModelShape(
        name="m",
        architecture="LlamaForCausalLM",
        layers=4,
        hidden=64,
        ffn=128,
        heads=8,
        kv_heads=2,
        head_dim=8,
        vocab=1000,
        max_context_tokens=2048,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": -2}, "num_hidden_layers = -2"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0"),
        ({"num_hidden_layers": 2.5}, "num_hidden_layers = 2.5"),
        ({"num_hidden_layers": "4"}, "num_hidden_layers = 4"),
        ({"num_hidden_layers": True}, "num_hidden_layers = True"),
        ({"num_hidden_layers": None}, "has no num_hidden_layers"),
        ({"hidden_size": math.nan}, "hidden_size = nan"),
        ({"hidden_size": 10**15}, "hidden_size = 1000000000000000"),
        ({"hidden_size": 60}, "hidden size 60 cannot be split over 8"),
        ({"num_key_value_heads": 3}, "8 attention heads cannot share 3"),
        ({"num_key_value_heads": 16}, "8 attention heads cannot share 16"),
        ({"vocab_size": [1]}, "vocab_size = [1]"),
        ({"vocab_size": math.inf}, "vocab_size = inf"),
        ({"sliding_window": -1}, "sliding_window = -1"),
        ({"sliding_window": 8, "layer_types": ["full_attention"]}, "1 layer types for 4 layers"),
        ({"num_experts": 4, "num_experts_per_tok": 5}, "5 of 4 experts"),
        ({"num_experts": 4}, "has no num_experts_per_tok"),
        ({"kv_lora_rank": 16}, "has no qk_rope_head_dim"),
        ({"layer_types": ["linear_attention"] * 4}, "not attention (linear_attention)"),
    ],
)
def test_impossible_numbers_are_named(change, words):
    with pytest.raises(TargetError, match="the configuration of m") as caught:
        shape_from_config({**LLAMA, **change}, name="m")
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 4


@given(
    st.dictionaries(
        st.sampled_from([*LLAMA, *OPTIONAL]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.lists(st.integers(), max_size=3),
    )
)
def test_whatever_a_config_says_the_answer_is_a_shape_or_one_sentence(change):
    try:
        shape = shape_from_config({**LLAMA, **change})
    except TargetError as err:
        assert err.message  # noqa: PT017 either end is right
    else:
        assert min(shape.layers, shape.hidden, shape.heads, shape.head_dim, shape.vocab) > 0
        assert shape.heads % shape.kv_heads == 0


def test_a_multimodal_model_is_read_at_its_language_part():
    vision = {"num_hidden_layers": 99, "hidden_size": 1}
    shape = shape_from_config({"model_type": "x", "text_config": LLAMA, "vision_config": vision})
    assert (shape.layers, shape.hidden) == (4, 64)


def test_windows_by_layer_types_by_pattern_and_on_request():
    kinds = ["sliding_attention", "full_attention"] * 2
    window = {"sliding_window": 16}
    assert shape_from_config({**LLAMA, **window, "layer_types": kinds}).windows == (16, None) * 2
    gemma = {**LLAMA, **window, "model_type": "gemma3_text", "num_hidden_layers": 7}
    assert shape_from_config(gemma).windows == (16,) * 5 + (None, 16)
    assert shape_from_config({**LLAMA, **window, "model_type": "mistral"}).windows == (16,) * 4
    qwen = {**LLAMA, **window, "model_type": "qwen2", "max_window_layers": 3}
    assert shape_from_config(qwen).windows == ()
    on = {**qwen, "use_sliding_window": True}
    assert shape_from_config(on).windows == (None, None, None, 16)


def test_experts_of_qwen_and_deepseek():
    qwen = {
        **LLAMA,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "shared_expert_intermediate_size": 48,
        "decoder_sparse_step": 2,
        "mlp_only_layers": [1],
    }
    assert shape_from_config(qwen).experts == Experts(
        count=8, per_token=2, ffn=32, shared_ffn=48, dense_layers=3
    )
    deepseek = {
        **LLAMA,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "n_shared_experts": 2,
        "first_k_dense_replace": 1,
    }
    assert shape_from_config(deepseek).experts == Experts(
        count=8, per_token=2, ffn=32, shared_ffn=64, dense_layers=1
    )
