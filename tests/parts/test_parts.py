"""Each real server starts, streams an answer, and exports what it is known to export."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from parts import prometheus, tiny_models
from parts import triton_server as triton
from parts.fixtures import StartServer, part_or_skip
from parts.running import DIRECT, Server

pytestmark = pytest.mark.servers

Figure = Callable[[str, str], None]
TOKENS = 24
PROMPT = "bado kire fuzo"
COMPLETION = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0, "stream": True}


@contextmanager
def posted(url: str, body: dict[str, Any]) -> Iterator[Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with DIRECT.open(request, timeout=60) as answer:
        yield answer


def events(url: str, body: dict[str, Any]) -> list[Any]:
    """The data of every server-sent event; `[DONE]` stays text."""
    with posted(url, body) as answer:
        assert answer.status == 200
        data = [line[5:].strip() for line in answer if line.startswith(b"data:")]
    return [d.decode() if d == b"[DONE]" else json.loads(d) for d in data]


def streamed(server: Server, **more: Any) -> list[Any]:
    return events(
        f"{server.base_url}/v1/completions", {"model": server.model, **COMPLETION, **more}
    )


def text(chunks: list[Any]) -> str:
    return "".join(c["choices"][0]["text"] for c in chunks if c != "[DONE]" and c["choices"])


def status(url: str) -> int:
    try:
        with DIRECT.open(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def metrics(server: Server) -> str:
    assert server.metrics_url
    with DIRECT.open(server.metrics_url, timeout=10) as answer:
        return answer.read().decode()


def families(server: Server) -> set[str]:
    return {line.split()[2] for line in metrics(server).splitlines() if line.startswith("# TYPE")}


def counter(server: Server, name: str, label: str = "") -> float:
    lines = metrics(server).splitlines()
    return sum(float(li.rpartition(" ")[2]) for li in lines if li.startswith(name) and label in li)


def settled(read: Callable[[], float], expected: float) -> float:
    """What `read` gives once it is `expected`, or in the end: a server counts after it answers."""
    give_up = time.monotonic() + 5
    while (found := read()) != expected and time.monotonic() < give_up:
        time.sleep(0.05)
    return found


def test_vllm(vllm_server: Server, record_property: Figure) -> None:
    def generated() -> float:
        return counter(vllm_server, "vllm:generation_tokens_total")

    before = generated()
    chunks = streamed(vllm_server, ignore_eos=True, stream_options={"include_usage": True})
    assert chunks[-1] == "[DONE]"
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"]["completion_tokens"] == TOKENS
    assert settled(generated, before + TOKENS) == before + TOKENS
    known = families(vllm_server)
    assert {"vllm:kv_cache_usage_perc", "vllm:inter_token_latency_seconds"} <= known
    assert "vllm:gpu_cache_usage_perc" not in known, "the name of older versions"
    record_property("vLLM, memory", f"{vllm_server.memory_bytes() / 1e6:.0f} MB")


def test_vllm_with_a_second_architecture(start_server: StartServer) -> None:
    experts = tiny_models.tiny_model("qwen3_moe")
    server = start_server("vllm", "--enable-per-request-metrics", model_dir=experts)
    chunks = streamed(server, ignore_eos=True, stream_options={"include_usage": True})
    assert chunks[-2]["usage"]["completion_tokens"] == TOKENS
    assert chunks[-2]["metrics"]["mean_itl_ms"] > 0, "a flag reaches the server"


@pytest.mark.parametrize("kind", ["transformers_server", "batching_transformers_server"])
def test_transformers(kind: str, request: pytest.FixtureRequest, record_property: Figure) -> None:
    server = request.getfixturevalue(kind)
    chunks = streamed(server)
    assert chunks[-1]["usage"]["completion_tokens"] == TOKENS
    assert "[DONE]" not in chunks
    assert server.metrics_url is None
    assert status(f"{server.base_url}/metrics") == 404
    record_property(f"{kind}, memory", f"{server.memory_bytes() / 1e6:.0f} MB")


def generate(server: Server, model: str, verb: str, tokens: int = TOKENS) -> list[Any]:
    url = f"{server.base_url}/v2/models/{model}/{verb}"
    return events(url, {"text_input": PROMPT, "max_tokens": tokens})


def test_triton_streams_token_by_token(triton_server: Server, record_property: Figure) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda n: generate(triton_server, triton.STREAM, "generate_stream", n), (1, 9, 24)
            )
        )
    assert [len(chunks) for chunks in answers] == [1, 9, 24]
    assert "[DONE]" not in answers[0]
    known = families(triton_server)
    assert {"nv_inference_count", "nv_inference_queue_duration_us"} <= known
    assert not [name for name in known if "kv" in name], "only LLM backends export a KV cache"
    record_property("Triton, memory", f"{triton_server.memory_bytes() / 1e6:.0f} MB")


def test_triton_batches_what_waits(triton_server: Server) -> None:
    def inferences() -> float:
        return counter(triton_server, "nv_inference_count{", f'model="{triton.BATCH}"')

    def executions() -> float:
        return counter(triton_server, "nv_inference_exec_count{", f'model="{triton.BATCH}"')

    def answer(tokens: int) -> str:
        url = f"{triton_server.base_url}/v2/models/{triton.BATCH}/generate"
        with posted(url, {"text_input": PROMPT, "max_tokens": tokens}) as reply:
            return json.load(reply)["text_output"]

    before, executed = inferences(), executions()
    with ThreadPoolExecutor(12) as pool:
        texts = list(pool.map(answer, [8] * 6 + [16] * 6))
    assert settled(inferences, before + 12) == before + 12
    assert executions() - executed < 12
    assert max(map(len, texts[:6])) < min(map(len, texts[6:]))


def test_triton_drops_a_request_whose_client_is_gone(triton_server: Server) -> None:
    """And counts it as a success: its metrics cannot tell, its processor time can."""
    url = f"{triton_server.base_url}/v2/models/{triton.STREAM}/generate_stream"
    with posted(url, {"text_input": PROMPT, "max_tokens": 1900}) as answer:
        assert answer.readline().startswith(b"data:")
    time.sleep(0.5)
    before = triton_server.cpu_seconds()
    time.sleep(1)
    assert triton_server.cpu_seconds() - before < 0.3, "1,900 tokens keep a core busy for seconds"
    assert len(generate(triton_server, triton.STREAM, "generate_stream", 4)) == 4


def test_llama_cpp(llama_cpp_server: Server, transformers_server: Server) -> None:
    chunks = streamed(llama_cpp_server, stream_options={"include_usage": True})
    assert chunks[-1] == "[DONE]"
    assert not [chunk for chunk in chunks[:-1] if "usage" in chunk]
    assert status(f"{llama_cpp_server.base_url}/metrics") == 404
    same = text(streamed(transformers_server))[:12]
    assert text(chunks).startswith(same), "the GGUF file holds the same model"


def test_prometheus_scrapes_a_server(triton_server: Server, start_server: StartServer) -> None:
    assert triton_server.metrics_url
    target = triton_server.metrics_url.removeprefix("http://").removesuffix("/metrics")
    server = start_server("prometheus", targets=[target], interval_s=1)
    query = f"{server.base_url}/api/v1/query?query=nv_inference_count"
    give_up = time.monotonic() + 20
    while not (found := json.loads(DIRECT.open(query, timeout=5).read())["data"]["result"]):
        assert time.monotonic() < give_up, "nothing scraped"
        time.sleep(0.2)
    assert {series["metric"]["model"] for series in found} == {triton.STREAM, triton.BATCH}


def test_promtool_reads_what_a_server_exports(triton_server: Server) -> None:
    with part_or_skip():
        command = [prometheus.promtool(), "check", "metrics"]
    done = subprocess.run(
        command, input=metrics(triton_server), capture_output=True, text=True, check=False
    )
    assert "parse" not in done.stderr, done.stderr
