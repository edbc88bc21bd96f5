"""A server of ours that speaks as engines do that cannot run here, for tests of discovery.

Its answers follow the engines' documented wire formats (SGLang, TGI, trtllm-serve, LMDeploy,
Dynamo, Ollama, LiteLLM, NIM, Triton's TensorRT-LLM and vLLM backends, hosted APIs), or are captured
bytes of real ones. It generates nothing: it shows what a client asks, and answers from a table.
"""

from __future__ import annotations

from answering import Answers


def models(*ids, owned_by, **more):
    return {"object": "list", "data": [{"id": i, "owned_by": owned_by, **more} for i in ids]}


def vllm():
    return (
        Answers()
        .captured("/v1/models", "vllm/models.http")
        .captured("/version", "vllm/version.http")
        .captured("/metrics", "vllm/metrics_after.prom")
        .captured("/v1/completions", "vllm/completions_stream.sse", "POST")
    )


def sglang():
    info = {
        "model_path": "meta-llama/Llama-3.1-8B-Instruct",
        "dtype": "bfloat16",
        "tp_size": 2,
        "pp_size": 1,
        "dp_size": 1,
        "page_size": 1,
        "chunked_prefill_size": 8192,
        "max_prefill_tokens": 16384,
        "schedule_policy": "lpm",
        "disable_radix_cache": False,
        "mem_fraction_static": 0.88,
        "kv_cache_dtype": "fp8_e4m3",
        "max_total_num_tokens": 500_000,
        "internal_states": [{"effective_max_running_requests_per_dp": 256}],
        "version": "0.5.9",
    }
    page = 'sglang:num_running_reqs{model_name="m",tp_rank="0"} 3\n'
    listed = models("m", owned_by="sglang", max_model_len=32768)
    return (
        Answers()
        .get_json("/v1/models", listed)
        .get_json("/server_info", info)
        .get_text("/metrics", page)
    )


def sglang_quiet():
    answers = sglang()
    del answers["GET", "/metrics"]
    load = {"loads": [{"num_running_reqs": 2, "num_waiting_reqs": 1, "token_usage": 0.5}]}
    return answers.get_json("/v1/loads", load)


def tgi():
    info = {
        "model_id": "meta-llama/Llama-3.1-8B-Instruct",
        "model_dtype": "torch.float16",
        "router": "text-generation-router",
        "version": "3.3.7",
        "max_concurrent_requests": 128,
        "max_total_tokens": 8192,
        "max_input_tokens": 8191,
        "max_batch_total_tokens": 120_000,
    }
    return Answers().get_json("/info", info).get_text("/metrics", "tgi_queue_size 4\n")


def trtllm_serve():
    return (
        Answers()
        .get_json("/v1/models", models("llama", owned_by="tensorrt_llm"))
        .get_json("/version", {"version": "1.2.0"})
        .get_json("/metrics", [{"iter": 1, "numActiveRequests": 2}])
        .get_text("/prometheus/metrics", "trtllm_num_requests_running 2\n")
    )


def llama_server():
    return (
        Answers()
        .captured("/v1/models", "llama-server/models.http")
        .captured("/props", "llama-server/props.http")
        .captured("/metrics", "llama-server/metrics_after.prom")
        .captured("/slots", "llama-server/slots.http")
        .captured("/completion", "llama-server/native_completion_stream.sse", "POST")
    )


def lmdeploy():
    page = (
        'lmdeploy:backend_config_info{block_size="64",max_batch_size="128",session_len="8192",tp="1",'
        'enable_prefix_caching="True",quant_policy="8"} 1\nlmdeploy:num_requests_running 1\n'
    )
    listed = models("internlm", owned_by="lmdeploy")
    return Answers().get_json("/v1/models", listed).get_text("/metrics", page)


def dynamo():
    page = "".join(
        f'dynamo_frontend_model_{name}{{model="llama"}} {value}\n'
        for name, value in (
            ("total_kv_blocks", 4000),
            ("kv_cache_block_size", 16),
            ("max_num_seqs", 512),
            ("max_num_batched_tokens", 8192),
            ("context_length", 16384),
        )
    )
    listed = models("Llama", owned_by="nvidia")
    return Answers().get_json("/v1/models", listed).get_text("/metrics", page)


def ollama():
    loaded = {
        "name": "qwen3:8b",
        "size": 10,
        "size_vram": 8,
        "context_length": 4096,
        "details": {"quantization_level": "Q4_K_M"},
    }
    return (
        Answers()
        .get_json("/v1/models", models("qwen3:8b", owned_by="library"))
        .get_json("/api/version", {"version": "0.33.0"})
        .get_json("/api/ps", {"models": [loaded]})
        .get_text("/", "Ollama is running")
    )


def litellm():
    listed = models("gpt-4o", owned_by="openai")
    headers = {"x-litellm-version": "1.109.1"}
    return Answers().get_json("/v1/models", listed, **headers)


def nim():
    page = "num_requests_running 1\nnum_requests_waiting 0\ngpu_cache_usage_perc 0.25\n"
    listed = models("meta/llama-3.1-8b-instruct", owned_by="system")
    return Answers().get_json("/v1/models", listed).get_text("/v1/metrics", page)


def hosted():
    listed = models("llama-3.3-70b", owned_by="Meta", context_window=131072)
    return Answers().get_json("/v1/models", listed)


def transformers_serve():
    return (
        Answers()
        .captured("/v1/models", "transformers-serve/models_with_cache_dir.http")
        .captured("/health", "transformers-serve/health.http")
    )


def tensor(name, kind, dims=(1,), optional=False):
    return {"name": name, "data_type": kind, "dims": list(dims), "optional": optional}


def triton(config, name):
    return (
        Answers()
        .get_json("/v2", {"name": "triton", "version": "2.73.0"})
        .post_json("/v2/repository/index", [{"name": name}, {"name": "preprocessing"}])
        .get_json(f"/v2/models/{name}/config", config)
    )


def triton_trtllm():
    config = {
        "name": "tensorrt_llm",
        "backend": "tensorrtllm",
        "max_batch_size": 64,
        "input": [
            tensor("input_ids", "TYPE_INT32", (-1,)),
            tensor("input_lengths", "TYPE_INT32"),
            tensor("request_output_len", "TYPE_INT32"),
            tensor("draft_input_ids", "TYPE_INT32", (-1,), optional=True),
            tensor("end_id", "TYPE_INT32", optional=True),
            tensor("min_length", "TYPE_INT32", optional=True),
            tensor("streaming", "TYPE_BOOL", optional=True),
        ],
        "output": [tensor("output_ids", "TYPE_INT32", (-1, -1))],
        "model_transaction_policy": {"decoupled": True},
        "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
        "parameters": {
            "batch_scheduler_policy": {"string_value": "max_utilization"},
            "enable_kv_cache_reuse": {"string_value": "true"},
            "kv_cache_free_gpu_mem_fraction": {"string_value": "0.9"},
        },
    }
    return triton(config, "tensorrt_llm")


def triton_vllm():
    config = {
        "name": "vllm_model",
        "backend": "vllm",
        "max_batch_size": 0,
        "input": [
            tensor("text_input", "TYPE_STRING"),
            tensor("stream", "TYPE_BOOL", optional=True),
            tensor("sampling_parameters", "TYPE_STRING", optional=True),
            tensor("return_num_output_tokens", "TYPE_BOOL", optional=True),
            tensor("return_num_input_tokens", "TYPE_BOOL", optional=True),
            tensor("return_finish_reason", "TYPE_BOOL", optional=True),
        ],
        "output": [
            tensor("text_output", "TYPE_STRING", (-1,)),
            tensor("num_output_tokens", "TYPE_UINT32", (-1,)),
            tensor("num_input_tokens", "TYPE_UINT32"),
            tensor("finish_reason", "TYPE_STRING", (-1,)),
        ],
        "model_transaction_policy": {"decoupled": True},
    }
    return triton(config, "vllm_model")
