"""SGLang: tells more of itself than any other, by `/server_info`.

`/health` and `/health_generate` of this server generate a token, so they are never asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.dialects.sglang_generate import SGLangGenerate
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, entry, exported, known, listed, scrape
from costaudit.record.servers.found import MetricsSource, TokenizeRoute
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.look import Look

_RUNNING_USAGE_SINCE = (0, 5, 6)  # `continuous_usage_stats` of its OpenAI form
_NO_METRICS = (
    "the server was started without --enable-metrics: its load is read from /v1/loads, its "
    "latencies are not told"
)
_KNOBS = {
    "max_num_seqs": "max_running_requests",
    "max_num_batched_tokens": "chunked_prefill_size",
    "max_prefill_tokens": "max_prefill_tokens",
    "scheduling_policy": "schedule_policy",
    "schedule_conservativeness": "schedule_conservativeness",
    "gpu_memory_utilization": "mem_fraction_static",
    "kv_cache_dtype": "kv_cache_dtype",
    "quantization": "quantization",
    "speculative_config": "speculative_algorithm",
    "stream_interval": "stream_interval",
}
_RANKS = {"tensor": "tp_size", "pipeline": "pp_size", "data": "dp_size", "expert": "ep_size"}


class SGLang:
    """The family of SGLang."""

    name = "sglang"
    rank = 41

    def known_by(self, look: Look) -> str:
        """Its metrics, or its name as owner of the models."""
        if look.has_metric("sglang:"):
            return "/metrics has sglang:* names"
        return "/v1/models is owned by sglang" if "sglang" in look.owners else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """All of its arguments as it resolved them."""
        info = look.get(paths.SGLANG_SERVER_INFO).mapping()
        info = info or look.get(paths.SGLANG_GET_SERVER_INFO).mapping()
        version = str(info.get("version", ""))
        fields = Fields(least="min_tokens", ignore_eos=True, ids="prompt", running_usage=True)
        counts = not version or _parts(version) >= _RUNNING_USAGE_SINCE
        return Described(
            version=version,
            weights_name=str(info.get("model_path") or ""),
            dtype=str(info.get("dtype") or "").replace("auto", ""),
            dialect=OpenAICompletions(fields) if counts else SGLangGenerate(),
            chat=OpenAIChat(fields),
            metrics=_metrics(look, version),
            tokenize=TokenizeRoute(
                path=paths.TOKENIZE.path,
                text_key="prompt",
                ids_key="tokens",
                extra={"model": model},
            ),
            max_context_tokens=exported(
                entry(look, model).get("max_model_len") or info.get("context_length")
            ),
            parallelism=known({ours: exported(info.get(name)) for ours, name in _RANKS.items()}),
            kv=_kv(info),
            knobs=_knobs(info),
            notes=() if look.has_metric("sglang:") else (_NO_METRICS,),
        )


def _knobs(info: Mapping[str, Any]) -> dict[str, Value]:
    why = "/server_info"
    knobs = {ours: exported(info.get(name), why) for ours, name in _KNOBS.items()}
    state = _first_state(info)
    if state.get("effective_max_running_requests_per_dp") is not None:
        knobs["max_num_seqs"] = exported(state["effective_max_running_requests_per_dp"], why)
    if isinstance(info.get("disable_radix_cache"), bool):
        on = not info["disable_radix_cache"]
        knobs["enable_prefix_caching"] = Value(value=on, origin=Origin.EXPORTED, why=why)
    size = info.get("chunked_prefill_size")
    if isinstance(size, int):
        knobs["chunked_prefill"] = Value(value=size > 0, origin=Origin.EXPORTED, why=why)
        if size <= 0:
            del knobs["max_num_batched_tokens"]
    return known(knobs)


def _kv(info: Mapping[str, Any]) -> dict[str, Value]:
    memory = _first_state(info).get("memory_usage")
    capacity = memory.get("token_capacity") if isinstance(memory, dict) else None
    why = "/server_info"
    return known(
        {
            "tokens_total": exported(info.get("max_total_num_tokens") or capacity, why),
            "block_size_tokens": exported(info.get("page_size"), why),
            "dtype": exported(info.get("kv_cache_dtype"), why),
        }
    )


def _first_state(info: Mapping[str, Any]) -> Mapping[str, Any]:
    states = info.get("internal_states")
    first = states[0] if isinstance(states, list) and states else {}
    return first if isinstance(first, dict) else {}


def _metrics(look: Look, version: str) -> MetricsSource:
    if look.has_metric("sglang:"):
        return scrape(look, "sglang", version=version)
    return MetricsSource(
        url=look.endpoint.base_url + paths.SGLANG_LOADS.path,
        servers=("sglang",),
        version=version,
        format="loads",
        headers=look.endpoint.headers,
        verify_tls=look.endpoint.verify_tls,
    )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


FAMILY = SGLang()
