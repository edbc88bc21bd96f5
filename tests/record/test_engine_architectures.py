"""Every architecture here has the shape that transformers' own class builds from its defaults."""

from __future__ import annotations

import pytest

from costaudit.target.from_config import shape_from_config
from costaudit.target.work import total_params

# Parameters of the formula within a percent of the count (norms and biases are left out).
DESCRIBED = [
    "apertus",
    "arcee",
    "axk2",
    "biogpt",
    "bitnet",
    "bloom",
    "codegen",
    "cohere",
    "cohere2",
    "cohere2_moe",
    "deepseek_v3",
    "emu3",
    "ernie4_5",
    "ernie4_5_moe",
    "exaone4",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3_text",
    "glm",
    "glm4",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "gpt_oss",
    "gptj",
    "granite",
    "granitemoe",
    "helium",
    "internlm3",
    "jais2",
    "llama",
    "llama4_text",
    "minicpm3",
    "minimax_m2",
    "mistral",
    "mixtral",
    "mpt",
    "nanochat",
    "olmo",
    "olmo2",
    "olmo3",
    "olmoe",
    "persimmon",
    "phi",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "seed_oss",
    "smollm3",
    "stablelm",
    "starcoder2",
    "vaultgemma",
    "youtu",
]


@pytest.mark.slow
@pytest.mark.parametrize("model_type", DESCRIBED)
def test_shape_explains_the_parameters(model_type):
    import torch
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    if model_type not in CONFIG_MAPPING:
        pytest.skip(f"this transformers has no {model_type}")
    config = CONFIG_MAPPING[model_type]()
    shape = shape_from_config(config.to_dict(), name=model_type)
    with torch.device("meta"), no_init_weights():
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert total_params(shape) == pytest.approx(counted, rel=0.01)
    said = {**config.to_dict(), **config.get_text_config().to_dict()}
    said.pop("tie_word_embeddings", None)  # published files often leave a default out
    assert shape_from_config(said).tied_embeddings == shape.tied_embeddings
