"""Engines that do not run here, against pages built from the names of `metric_map.csv`.

These pages are ours: they show that names, units and versions lead to the right answer, not that a
real server exports them so. Real pages: vLLM, Triton, transformers serve (test_diagnose_live).
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from costaudit.diagnosis.run import Asked, diagnose_live, diagnose_saved
from costaudit.record.servers.found import Given

READINGS = 8


def pages(folder, gauges, totals):
    """READINGS pages with steady gauges and totals that grow evenly to what is given."""
    for number in range(READINGS):
        lines = [f"{name} {value}" for name, value in gauges.items()]
        share = number / (READINGS - 1)
        lines += [f"{name} {1000 + share * grown}" for name, grown in totals.items()]
        (folder / f"{number:03d}.prom").write_text("\n".join(lines) + "\n")
    return sorted(folder.iterdir())


CASES = {
    "vLLM 0.6 (V0 names): preempted": (
        "vllm",
        {
            'vllm:num_requests_running{model_name="m"}': 12,
            'vllm:num_requests_waiting{model_name="m"}': 7,
            'vllm:gpu_cache_usage_perc{model_name="m"}': 0.97,
            'vllm:gpu_prefix_cache_hit_rate{model_name="m"}': -1,
        },
        {
            'vllm:num_preemptions_total{model_name="m"}': 30,
            'vllm:request_success_total{finished_reason="stop",model_name="m"}': 60,
        },
        ["kv-preemption"],
    ),
    "vLLM 0.10 (old and new names): capped": (
        "vllm",
        {
            'vllm:num_requests_running{engine="0"}': 8,
            'vllm:num_requests_waiting{engine="0"}': 20,
            'vllm:gpu_cache_usage_perc{engine="0"}': 0.1,
            'vllm:kv_cache_usage_perc{engine="0"}': 0.1,
        },
        {'vllm:generation_tokens_total{engine="0"}': 9000},
        ["batch-cap"],
    ),
    "vLLM over two ranks: one does all": (
        "vllm",
        {
            'vllm:num_requests_running{engine="0"}': 30,
            'vllm:num_requests_running{engine="1"}': 1,
            'vllm:num_requests_waiting{engine="0"}': 0,
            'vllm:num_requests_waiting{engine="1"}': 0,
        },
        {'vllm:generation_tokens_total{engine="0"}': 9000},
        ["ranks-unbalanced"],
    ),
    "SGLang 0.5: retracts": (
        "sglang",
        {
            "sglang:num_running_reqs": 40,
            "sglang:num_queue_reqs": 9,
            "sglang:token_usage": 0.99,
            "sglang:new_token_ratio": 0.9,
        },
        {"sglang:num_retracted_requests_total": 25, "sglang:num_requests_total": 60},
        ["retraction-loop"],
    ),
    "TGI: turns requests away": (
        "tgi",
        {"tgi_batch_current_size": 16, "tgi_queue_size": 0},
        {'tgi_request_failure{err="overloaded"}': 50, "tgi_request_success": 100},
        ["rejections"],
    ),
    "trtllm-serve: pauses": (
        "trtllm-serve",
        {
            "trtllm_num_requests_running": 20,
            "trtllm_num_requests_waiting": 0,
            "trtllm_num_paused_requests": 5,
            "trtllm_kv_cache_utilization": 0.98,
        },
        {"trtllm_generation_tokens_total": 9000},
        ["paused-requests"],
    ),
    "Triton with TensorRT-LLM: pauses": (
        "triton",
        {
            'nv_trt_llm_request_metrics{model="t",request_type="active"}': 16,
            'nv_trt_llm_request_metrics{model="t",request_type="waiting"}': 0,
            'nv_trt_llm_inflight_batcher_metrics{inflight_batcher_specific_metric="paused_requests",'
            'model="t"}': 4,
        },
        {'nv_inference_request_success{model="t",version="1"}': 50},
        ["paused-requests"],
    ),
    "Triton's core: one by one": (
        "triton",
        {'nv_inference_pending_request_count{model="t",version="1"}': 6},
        {
            'nv_inference_count{model="t",version="1"}': 100,
            'nv_inference_exec_count{model="t",version="1"}': 100,
            'nv_inference_request_success{model="t",version="1"}': 100,
        },
        ["triton-no-batching"],
    ),
    "llama.cpp: four slots": (
        "llamacpp",
        {"llamacpp:requests_processing": 4, "llamacpp:requests_deferred": 9},
        {"llamacpp:tokens_predicted_total": 3000, "llamacpp:n_decode_total": 800},
        ["batch-cap"],
    ),
    "LMDeploy: one client": (
        "lmdeploy",
        {
            "lmdeploy:num_requests_running": 1,
            "lmdeploy:num_requests_waiting": 0,
            "lmdeploy:gpu_cache_usage_perc": 0.02,
        },
        {"lmdeploy:generation_tokens_total": 900},
        ["client-limited"],
    ),
    "LiteLLM: a proxy tells too little": (
        "litellm",
        {"litellm_in_flight_requests": 3},
        {"litellm_output_tokens_metric_total": 900, "litellm_input_tokens_metric_total": 90},
        ["cannot tell"],
    ),
    "Dynamo's frontend": (
        "dynamo",
        {"dynamo_frontend_queued_requests": 0, "dynamo_frontend_inflight_requests": 0},
        {"dynamo_frontend_output_tokens_total": 0},
        ["idle"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_engine_s_names_lead_to_its_symptom(name, tmp_path):
    engine, gauges, totals, expected = CASES[name]
    found = diagnose_saved(pages(tmp_path, gauges, totals), seconds=30, given=Given())
    assert found.window.engine == engine
    assert ([one.id for one in found.findings] or [found.state.value]) == expected
    for one in found.findings:
        assert one.fixes or one.advice


def test_trtllm_s_draining_page_is_never_asked():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            models = b'{"data":[{"id":"m","owned_by":"tensorrt_llm"}]}'
            page = b"trtllm_num_requests_running 0\ntrtllm_num_requests_waiting 0\n"
            known = {"/v1/models": models, "/prometheus/metrics": page}
            body = known.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        found = diagnose_live(Asked(url=url, seconds=5))
    finally:
        server.shutdown()
    assert found.window.engine == "trtllm-serve"
    assert not {"/metrics", "/perf_metrics"} & set(asked)
