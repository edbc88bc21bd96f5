import pytest

from costaudit.facts.models import known_model, known_models
from costaudit.target import work
from costaudit.target.from_config import shape_from_config


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.name)
def test_shape_has_the_published_number_of_parameters(model):
    shape = shape_from_config(model.config, name=model.name)
    assert work.total_params(shape) == pytest.approx(model.params, rel=0.011)
    assert model.source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nvidia/DeepSeek-R1-NVFP4", "deepseek-ai/DeepSeek-V3"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-V3"),
        ("Qwen/Qwen3-235B-A22B-FP8", "Qwen/Qwen3-235B-A22B"),
        ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.1-70B"),
        ("Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "meta-llama/Llama-3.1-8B"),
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b"),
    ],
)
def test_variants_of_a_model_are_the_model(name, expected):
    model = known_model(name)
    assert model is not None
    assert model.name == expected


@pytest.mark.parametrize("name", ["Qwen3-32", "somebody/my-finetune-7B", "", "Llama-3.1-70B-mini"])
def test_nothing_is_matched_in_part(name):
    assert known_model(name) is None
