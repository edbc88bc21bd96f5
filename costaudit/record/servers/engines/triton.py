"""Triton: names, batching and tensors by the model's configuration (KServe v2).

Metrics are on a port of their own, by default 8002. Its numbers about decoupled models
(`nv_inference_request_duration_us`) are not the duration of a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.ground.errors import UsageError, did_you_mean
from costaudit.record.dialects.triton_generate import TritonGenerate
from costaudit.record.meters.prometheus_text import families, read_exposition
from costaudit.record.servers import paths
from costaudit.record.servers.command_line import arguments_of_listener
from costaudit.record.servers.family import Described, exported, known
from costaudit.record.servers.found import MetricsSource
from costaudit.record.servers.triton_config import batching, parameters, tensors_of
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.fetch import Reply
    from costaudit.record.servers.look import Look

METRICS_PORT = 8002
_PORTS = 1 << 16
_NO_METRICS = "no metrics beside this port, nor at 8002: give their address by --metrics-url"
_PLUMBING = {"preprocessing", "postprocessing"}  # parts of TensorRT-LLM's ensemble
_TRTLLM = {
    "gpu_memory_utilization": "kv_cache_free_gpu_mem_fraction",
    "enable_prefix_caching": "enable_kv_cache_reuse",
    "chunked_prefill": "enable_chunked_context",
    "scheduling_policy": "batch_scheduler_policy",
    "batching": "gpt_model_type",
}


class Triton:
    """The family of Triton Inference Server."""

    name = "triton"
    rank = 50

    def known_by(self, look: Look) -> str:
        """Its metrics: the address is that of its metrics port, or both are one."""
        return "/metrics has nv_inference_* names" if look.has_metric("nv_inference_") else ""

    def asked_by(self, look: Look) -> str:
        """`/v2` names it."""
        name = look.get(paths.TRITON).mapping().get("name")
        return "/v2 names triton" if name == "triton" else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """Models of the repository, or (where that is locked) of the metrics."""
        index = look.post(paths.TRITON_INDEX, {})
        entries = index.json() if index.ok else None
        if isinstance(entries, list):
            named = [e.get("name") for e in entries if isinstance(e, dict)]
        else:
            page = read_exposition(_page(look).text(), keep="nv_inference_count".__eq__)
            named = [one.labels.get("model") for one in page.series]
        names = dict.fromkeys(str(name) for name in named if name)
        return tuple(name for name in names if name not in _PLUMBING)

    def describe(self, look: Look, model: str) -> Described:
        """The model's tensors and batching, by its configuration.

        Raises:
            UsageError: there is no such model.
        """
        reply = look.get(paths.TRITON_CONFIG.of(model))
        if reply.status in {400, 404}:
            raise UsageError(
                f"this Triton has no model {model!r}", hint=did_you_mean(model, self.served(look))
            )
        config = reply.mapping()
        page = _page(look)
        backend = str(config.get("backend") or config.get("platform") or "")
        tensors, notes = tensors_of(config)
        given = parameters(config)
        knobs = {**batching(config), "backend": exported(backend, "model configuration")}
        knobs |= {ours: exported(given.get(name), "parameters") for ours, name in _TRTLLM.items()}
        return Described(
            version=str(look.get(paths.TRITON).mapping().get("version", "")),
            dialect=TritonGenerate(tensors),
            metrics=_metrics(look, page, model),
            kv=known({**_kv(page), **_kv_given(given)}),
            knobs=known(knobs),
            notes=notes,
            no_metrics=_NO_METRICS,
        )


def _page(look: Look) -> Reply:
    """The metrics page: by the command line on this machine, else two ports on, else at 8002."""
    told = arguments_of_listener(look.endpoint.base_url, "tritonserver").get("metrics-port", "")
    ports = (int(told),) if told.isdecimal() else (look.port + 2, METRICS_PORT)
    for port in dict.fromkeys(port for port in ports if port < _PORTS):
        reply = look.beside(port, paths.METRICS)
        if reply.ok and "nv_" in reply.text():
            return reply
    return look.get(paths.METRICS)


def _metrics(look: Look, page: Reply, model: str) -> MetricsSource | None:
    if not page.ok or not any(name.startswith("nv_") for name in families(page.text())):
        return None
    return MetricsSource(
        url=page.url,
        servers=("triton-trtllm", "triton-vllm", "triton"),
        labels={"model": model},
        verify_tls=look.endpoint.verify_tls,
    )


def _kv(page: Reply) -> dict[str, Value]:
    """What the TensorRT-LLM backend exports of its cache."""
    wanted = "nv_trt_llm_kv_cache_block_metrics"
    found = read_exposition(page.text() if page.ok else "", keep=lambda name: name == wanted)
    by_type = {one.labels.get("kv_cache_block_type"): one.value for one in found.series}
    blocks, size = by_type.get("max"), by_type.get("tokens_per")
    total = blocks * size if blocks is not None and size is not None else None
    return {
        "blocks_total": exported(blocks, wanted),
        "block_size_tokens": exported(size, wanted),
        "tokens_total": exported(total, f"{wanted}: blocks × tokens per block"),
    }


def _kv_given(given: Mapping[str, Any]) -> dict[str, Value]:
    most = exported(given.get("max_tokens_in_paged_kv_cache"), "parameters")
    return {"tokens_total": most} if most.origin is Origin.EXPORTED else {}


FAMILY = Triton()
