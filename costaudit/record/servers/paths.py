"""Every path that discovery may touch, and why it is safe. Nothing else is ever requested.

"GET reads only" does not hold on LLM servers: SGLang flushes its cache, starts its profiler, frees
its memory and slows down on GET (`/flush_cache`, `/start_profile`, `/release_memory_occupation`,
`/slow_down`, `/freeze_gc`, …) and generates a token on `/health`; LMDeploy ends itself on
`/terminate`; trtllm-serve's `/metrics` and `/perf_metrics` hand their data out once. Hence a list,
no crawler.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path below the base URL, and why asking it changes nothing."""

    path: str
    why: str

    def of(self, model: str) -> Route:
        """This route for one model."""
        return Route(path=self.path.replace("{model}", quote(model, safe="")), why=self.why)


MODELS = Route(path="/v1/models", why="lists names; no engine touches a model on it")
METRICS = Route(
    path="/metrics",
    why="a scrape; never asked of trtllm-serve, whose /metrics empties a queue, and told by MODELS",
)
VERSION = Route(path="/version", why="a constant (vLLM, trtllm-serve)")
HEALTH = Route(
    path="/health",
    why="a constant on vLLM, llama.cpp and transformers; SGLang generates on it, so it is asked "
    "only where SGLang is ruled out",
)

VLLM_SERVER_INFO = Route(
    path="/server_info?config_format=json", why="the configuration; there in development mode only"
)
TOKENIZE = Route(
    path="/tokenize", why="a POST that counts tokens (vLLM, SGLang, TGI, llama.cpp); generates none"
)

SGLANG_SERVER_INFO = Route(path="/server_info", why="the resolved arguments and memory sizes")
SGLANG_GET_SERVER_INFO = Route(path="/get_server_info", why="the same, in versions before 0.5")
SGLANG_LOADS = Route(path="/v1/loads", why="numbers of running and waiting requests")

TGI_INFO = Route(path="/info", why="model and limits, as constants")

TRITON = Route(path="/v2", why="the server's name and version (KServe v2)")
TRITON_CONFIG = Route(path="/v2/models/{model}/config", why="the model's configuration")
TRITON_INDEX = Route(path="/v2/repository/index", why="a POST that lists models; loads none")

TRTLLM_PROMETHEUS = Route(
    path="/prometheus/metrics", why="a scrape of counters; unlike /metrics it empties no queue"
)

LLAMACPP_PROPS = Route(path="/props", why="settings, as constants; only its POST changes any")
LLAMACPP_SLOTS = Route(path="/slots", why="the state of the slots, read only")

OLLAMA_VERSION = Route(path="/api/version", why="a constant")
OLLAMA_PS = Route(path="/api/ps", why="lists loaded models; loads none")

NIM_METRICS = Route(path="/v1/metrics", why="a scrape")
LMDEPLOY_ENCODE = Route(path="/v1/encode", why="counts tokens, generates none")
