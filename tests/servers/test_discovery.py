"""Every engine is recognised by few safe requests, and described as far as it tells."""

from __future__ import annotations

import json

import dialect_server as fake
import pytest
from answering import Answers, serving

from costaudit.ground.errors import TargetError, UsageError
from costaudit.record.client.load import Endpoint
from costaudit.record.servers import discovery
from costaudit.record.servers.found import Given
from costaudit.target.target import Origin

UNSAFE = (
    "flush",
    "profile",
    "health",
    "terminate",
    "release",
    "shutdown",
    "reset",
    "unload",
    "load_",
)


def discover(url, model=None, **given):
    headers = {"Authorization": "Bearer secret"}
    endpoint = Endpoint(base_url=url, headers=headers)
    return discovery.discover(endpoint, model=model, given=Given(**given))


@pytest.fixture(autouse=True)
def _other_ports(monkeypatch):
    """Triton's metrics port is guessed; no other server of this machine may answer on it."""
    monkeypatch.setattr("costaudit.record.servers.engines.triton.METRICS_PORT", 1)


ENGINES = {
    "vllm": (fake.vllm, "vllm", "0.32.0", "openai_completions", 2048),
    "sglang": (fake.sglang, "sglang", "0.5.9", "openai_completions", 32768),
    "tgi": (fake.tgi, "tgi", "3.3.7", "tgi_generate", 8192),
    "trtllm-serve": (fake.trtllm_serve, "trtllm-serve", "1.2.0", "openai_completions", None),
    "llamacpp": (fake.llama_server, "llamacpp", "b1-0c1e570", "llamacpp_completion", 512),
    "lmdeploy": (fake.lmdeploy, "lmdeploy", "", "openai_completions", 8192),
    "dynamo": (fake.dynamo, "dynamo", "", "openai_completions", 16384),
    "ollama": (fake.ollama, "ollama", "0.33.0", "ollama_generate", 4096),
    "litellm": (fake.litellm, "litellm", "1.109.1", "openai_chat", None),
    "nim": (fake.nim, "nim", "", "openai_completions", None),
    "hosted": (fake.hosted, "openai-compatible", "", "openai_chat", 131072),
    "triton-trtllm": (fake.triton_trtllm, "triton", "2.73.0", "triton_generate", None),
    "triton-vllm": (fake.triton_vllm, "triton", "2.73.0", "triton_generate", None),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_are_told_apart(engine):
    answers, name, version, dialect, context = ENGINES[engine]
    with serving(answers()) as (url, seen, _):
        found = discover(url)
    assert (found.target.engine, found.target.engine_version) == (name, version)
    assert found.dialect.name == dialect
    told = found.max_context_tokens
    if told.origin is Origin.EXPORTED or context is not None:
        assert told.value == context
    assert len(seen) <= 10
    assert len(set(seen)) == len(seen)  # nothing is asked twice
    asked = [line for line in seen if any(word in line for word in UNSAFE)]
    assert asked in ([], ["GET /health"])  # where SGLang, which generates on it, is ruled out
    assert not [line for line in seen if line.startswith("POST") and "generate" in line]
    assert found.evidence[0]


def test_the_draining_metrics_of_trtllm_serve_are_left_alone():
    with serving(fake.trtllm_serve()) as (url, seen, _):
        found = discover(url)
    assert "GET /metrics" not in seen
    assert found.metrics.url == f"{url}/prometheus/metrics"


def test_sglang_is_never_asked_for_its_health():
    with serving(fake.sglang_quiet()) as (url, seen, _):
        found = discover(url)
    assert not any("health" in line for line in seen)
    assert (found.metrics.format, found.metrics.url) == ("loads", f"{url}/v1/loads")


def test_vllm_s_cache_is_read_from_its_labels():
    with serving(fake.vllm()) as (url, _, _):
        found = discover(url)
    kv = {name: value.value for name, value in found.kv.items()}
    assert kv["tokens_total"] == 1_048_576
    assert (kv["blocks_total"], kv["block_size_tokens"]) == (8192, 128)
    assert found.target.knobs["enable_prefix_caching"].origin is Origin.EXPORTED
    assert found.weights_name == "models/tiny-llama"


def test_sglang_tells_all_its_knobs():
    with serving(fake.sglang()) as (url, _, _):
        found = discover(url)
    knobs = {name: value.value for name, value in found.target.knobs.items()}
    assert (knobs["max_num_seqs"], knobs["max_num_batched_tokens"]) == (256, 8192)
    assert (knobs["scheduling_policy"], knobs["enable_prefix_caching"]) == ("lpm", True)
    assert found.parallelism["tensor"].value == 2
    assert found.kv["tokens_total"].value == 500_000
    assert found.target.shape.layers == 32  # by its published configuration


def test_triton_s_tensors_become_the_dialect_s_fields():
    with serving(fake.triton_trtllm()) as (url, _, _):
        found = discover(url)
    tensors = found.dialect.tensors
    assert (tensors.ids, tensors.ids_length) == ("input_ids", "input_lengths")
    assert (tensors.limit, tensors.least, tensors.ids_out) == (
        "request_output_len",
        "min_length",
        "output_ids",
    )
    assert tensors.fixed == {"streaming": True, "end_id": -1}
    assert found.dialect.exact_output
    assert found.dialect.takes_token_ids
    assert found.target.knobs["scheduling_policy"].value == "max_utilization"
    with serving(fake.triton_vllm()) as (url, _, _):
        vllm = discover(url).dialect.tensors
    assert (vllm.sampling_json, vllm.limit) == ("sampling_parameters", "")
    assert vllm.tokens_out == "num_output_tokens"


def test_what_the_user_gives_rules_and_a_default_is_called_one():
    with serving(fake.vllm()) as (url, _, _):
        found = discover(url, knobs={"max_num_seqs": 7}, gpu="H100", gpu_memory_bytes=80 * 1024**3)
        unknown = discover(url)
        chat = discover(url, dialect="openai_chat")
    knobs = found.target.knobs
    assert (knobs["max_num_seqs"].value, knobs["max_num_seqs"].origin) == (7, Origin.GIVEN)
    assert knobs["max_num_batched_tokens"].value == 8192
    assert knobs["max_num_batched_tokens"].origin is Origin.DEFAULT
    assert unknown.target.knobs["max_num_batched_tokens"].value is None
    assert "depending on the GPU" in unknown.target.knobs["max_num_batched_tokens"].why
    assert chat.dialect.name == "openai_chat"


@pytest.mark.parametrize(
    "tail", ["/v1", "/v1/", "/v1/v1", "/v1/chat/completions", "/metrics", "/docs"]
)
def test_an_address_with_a_path_is_corrected_with_a_note(tail):
    with serving(fake.vllm()) as (url, _, _):
        found = discover(url + tail)
    assert found.endpoint.base_url == url
    assert any("taken as" in note for note in found.notes)


def test_the_path_of_a_page_is_corrected_to_the_root():
    answers = fake.vllm().get_text("/chat-ui/v1/models", "<html>", kind="text/html")
    with serving(answers) as (url, _, _):
        found = discover(url + "/chat-ui")
    assert found.endpoint.base_url == url
    assert any("has no API" in note for note in found.notes)


def test_a_wrong_model_is_a_usage_error_that_names_the_served_ones():
    with serving(fake.vllm()) as (url, _, _), pytest.raises(UsageError) as err:
        discover(url, model="tinny")
    assert "tiny" in err.value.message
    assert "did you mean" in err.value.hint


def test_several_models_want_a_choice_but_an_adapter_is_none():
    listed = fake.models("a", "b", owned_by="vllm")
    with serving(Answers().get_json("/v1/models", listed)) as (url, _, _):
        with pytest.raises(UsageError, match="2 models: a, b"):
            discover(url)
        assert discover(url, model="b").model == "b"
    listed["data"][1]["parent"] = "a"
    with serving(Answers().get_json("/v1/models", listed)) as (url, _, _):
        assert discover(url).model == "a"


def test_transformers_lists_no_model():
    with serving(fake.transformers_serve()) as (url, _, _):
        with pytest.raises(UsageError) as err:
            discover(url)
        assert "--model" in err.value.hint
        assert discover(url, model="x").target.engine == "transformers-serve"


def test_a_missing_key_is_told_with_its_variable():
    with serving(fake.vllm(), key="right") as (url, _, _), pytest.raises(TargetError) as err:
        discover(url)
    assert "COSTAUDIT_API_KEY" in err.value.hint
    assert "secret" not in err.value.message


def test_secrets_go_to_no_other_port_and_into_no_text():
    with serving(fake.vllm(), key="secret") as (url, _, _):
        found = discover(url)
    assert "secret" not in repr(found)


def test_a_server_that_is_none():
    page = Answers().get_text("/v1/models", "<html>hi", kind="text/html")
    with serving(page) as (url, _, _), pytest.raises(TargetError, match="page for people"):
        discover(url)
    plain = b"<html>The plain HTTP request was sent to HTTPS port"
    answers = Answers({("GET", "/v1/models"): (400, {"content-type": "text/html"}, plain)})
    with serving(answers) as (url, _, _), pytest.raises(TargetError) as err:
        discover(url)
    assert "https://" in err.value.hint
    with pytest.raises(TargetError, match="nothing listens") as err:
        discover("http://127.0.0.1:1")
    assert "8000 vLLM" in err.value.hint
    with serving(fake.vllm()) as (url, _, _), pytest.raises(UsageError, match="no engine"):
        discover(url, engine="vlm")


def test_triton_s_metrics_port_alone_is_told_apart():
    answers = Answers().captured("/metrics", "triton/metrics_after.prom")
    with serving(answers) as (url, _, _), pytest.raises(TargetError) as err:
        discover(url)
    assert "8000" in err.value.hint


def test_a_given_configuration_is_the_model_s_shape(tmp_path):
    config = {"model_type": "llama", "num_hidden_layers": 7, "hidden_size": 64, "vocab_size": 99}
    config |= {"num_attention_heads": 4, "max_position_embeddings": 512, "intermediate_size": 128}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with serving(fake.hosted()) as (url, _, _):
        found = discover(url, model_config=tmp_path)
        assert (found.target.shape.layers, found.target.shape.vocab) == (7, 99)
        for broken in ("{", "[1]", '{"a": 1}'):
            (tmp_path / "config.json").write_text(broken)
            with pytest.raises((UsageError, TargetError)) as err:
                discover(url, model_config=tmp_path / "config.json")
            assert "config" in err.value.message


def test_a_known_name_is_enough_for_a_shape_and_another_says_what_to_give():
    listed = fake.models("meta-llama/Llama-3.1-8B-Instruct", "my-model", owned_by="x")
    with serving(Answers().get_json("/v1/models", listed)) as (url, _, _):
        known = discover(url, model="meta-llama/Llama-3.1-8B-Instruct")
        unknown = discover(url, model="my-model")
    assert known.target.shape.layers == 32
    assert unknown.target.shape is None
    assert "--model-config" in unknown.notes[-1]


def test_metrics_may_be_elsewhere():
    page = Answers().captured("/metrics", "vllm/metrics_after.prom")
    page.get_text("/other", "x 1\n")
    with serving(page) as (there, _, _), serving(fake.hosted()) as (url, seen, _):
        found = discover(url, metrics_url=f"{there}/metrics")
        assert found.metrics.servers == ("vllm-v1", "vllm-v0")
        assert "Authorization" not in found.metrics.headers  # another server gets no secrets
        with pytest.raises(TargetError, match="no metrics of an LLM server"):
            discover(url, metrics_url=f"{there}/other")
    assert seen


def test_an_engine_can_be_named_where_it_hides():
    with serving(fake.hosted()) as (url, _, _):
        found = discover(url, engine="vllm")
    assert (found.target.engine, found.dialect.name) == ("vllm", "openai_completions")
    assert found.metrics is None
    assert any("--metrics-url" in note for note in found.notes)


def test_vllm_in_development_mode_tells_everything():
    config = {
        "scheduler_config": {"max_num_seqs": 48, "max_num_batched_tokens": 4096, "policy": "fcfs"},
        "parallel_config": {"tensor_parallel_size": 4, "pipeline_parallel_size": 1},
        "model_config": {"dtype": "torch.bfloat16", "quantization": None, "enforce_eager": False},
    }
    answers = fake.vllm().get_json("/server_info?config_format=json", {"vllm_config": config})
    with serving(answers) as (url, _, _):
        found = discover(url)
    knobs = found.target.knobs
    assert (knobs["max_num_seqs"].value, knobs["max_num_seqs"].origin) == (48, Origin.EXPORTED)
    assert knobs["max_num_batched_tokens"].value == 4096
    assert found.parallelism["tensor"].value == 4
    assert found.target.dtype == "bfloat16"
    assert "quantization" not in knobs


@pytest.mark.parametrize(
    "value", [[], "x", 5, None, {"vllm_config": 3}, {"data": {}}, {"data": [5]}]
)
def test_nonsense_in_any_answer_is_survived(value):
    answers = fake.vllm()
    for path in ("/version", "/server_info?config_format=json"):
        answers.get_json(path, value)
    with serving(answers) as (url, _, _):
        assert discover(url).target.engine == "vllm"
    lost = Answers()
    for path in ("/v1/models", "/info", "/props", "/v2", "/api/version", "/api/ps", "/health"):
        lost.get_json(path, value)
    with serving(lost) as (url, _, _), pytest.raises(TargetError):
        discover(url)
