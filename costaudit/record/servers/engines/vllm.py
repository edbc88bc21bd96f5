"""vLLM, by itself or behind a proxy that passes its answers on.

Its metrics tell the cache's configuration, but neither the batch limits nor the parallelism: those
come from `/server_info` (development mode only), from the command line where the server runs on
this machine, and from the fingerprint in an answer (see `fingerprint`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers import paths
from costaudit.record.servers.command_line import arguments_of_listener
from costaudit.record.servers.family import Described, entry, exported, known, listed, scrape
from costaudit.record.servers.found import TokenizeRoute
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.look import Look

SERVERS = ("vllm-v1", "vllm-v0")
# Ours ← names in `/server_info` (section, name), and flags on the command line.
_CONFIG = {
    "max_num_seqs": ("scheduler_config", "max_num_seqs"),
    "max_num_batched_tokens": ("scheduler_config", "max_num_batched_tokens"),
    "chunked_prefill": ("scheduler_config", "enable_chunked_prefill"),
    "scheduling_policy": ("scheduler_config", "policy"),
    "long_prefill_token_threshold": ("scheduler_config", "long_prefill_token_threshold"),
    "async_scheduling": ("scheduler_config", "async_scheduling"),
    "quantization": ("model_config", "quantization"),
    "enforce_eager": ("model_config", "enforce_eager"),
    "dtype": ("model_config", "dtype"),
}
_RANKS = {
    "tensor": "tensor_parallel_size",
    "pipeline": "pipeline_parallel_size",
    "data": "data_parallel_size",
}
_FLAGS = {
    "max_num_seqs": "max-num-seqs",
    "max_num_batched_tokens": "max-num-batched-tokens",
    "chunked_prefill": "enable-chunked-prefill",
    "scheduling_policy": "scheduling-policy",
    "long_prefill_token_threshold": "long-prefill-token-threshold",
    "quantization": "quantization",
    "enforce_eager": "enforce-eager",
    "speculative_config": "speculative-config",
    "stream_interval": "stream-interval",
    "api_server_count": "api-server-count",
    "dtype": "dtype",
}
_KV = {
    "tokens_total": "kv_cache_size_tokens",
    "blocks_total": "num_gpu_blocks",
    "block_size_tokens": "effective_attention_block_size",
    "bytes_total": "kv_cache_memory_bytes",
    "max_concurrency": "kv_cache_max_concurrency",
    "dtype": "cache_dtype",
    "sliding_window_tokens": "sliding_window",
}
_CACHE_KNOBS = ("enable_prefix_caching", "gpu_memory_utilization", "kv_offloading_size")
_NO_METRICS = (
    "no vllm:* metrics at /metrics: the server runs with --disable-log-stats, or a proxy keeps "
    "them back; give their address by --metrics-url"
)
_RAY = "ray-serve-llm"  # the router's own names, on the page of a Ray node
_FINGERPRINT = re.compile(r"^vllm-(\d+\.\d+[^-]*)((?:-(?:tp|pp|dp)\d+|-ep)*)-[0-9a-f]{8}$")


class Vllm:
    """The family of vLLM."""

    name = "vllm"
    rank = 40

    def known_by(self, look: Look) -> str:
        """Its metrics, or its name as owner of the models."""
        if look.has_metric("vllm:"):
            return "/metrics has vllm:* names"
        return "/v1/models is owned by vllm" if "vllm" in look.owners else ""

    def asked_by(self, look: Look) -> str:  # noqa: ARG002 - what all are asked tells enough
        """Nothing more to ask."""
        return ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """Version, cache, knobs and ranks, as far as they are told."""
        card = entry(look, model)
        version = str(look.get(paths.VERSION).mapping().get("version", ""))
        labels = look.labels_of("vllm:cache_config_info")
        config = look.get(paths.VLLM_SERVER_INFO).mapping().get("vllm_config")
        sections: Mapping[str, Any] = config if isinstance(config, dict) else {}
        flags = arguments_of_listener(look.endpoint.base_url, "vllm")
        knobs = {**_of_flags(flags), **_of_config(sections), **_of_cache(labels)}
        if look.has_metric("vllm:spec_decode_num_drafts"):  # there with speculation only
            knobs["speculative_decoding"] = exported(value=True, why="vllm:spec_decode_*")
        servers = (*SERVERS, _RAY) if look.has_metric("ray_serve_") else SERVERS
        dtype = str(knobs.pop("dtype", Value(value="", origin=Origin.UNKNOWN)).value or "")
        fields = openai_fields()
        return Described(
            version=version,
            weights_name=str(card.get("root") or card.get("parent") or ""),
            dtype=dtype.removeprefix("torch.").replace("auto", ""),
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(fields),
            metrics=scrape(look, *servers, version=version) if look.has_metric("vllm:") else None,
            tokenize=TokenizeRoute(
                path=paths.TOKENIZE.path,
                text_key="prompt",
                ids_key="tokens",
                extra={"model": model},
            ),
            max_context_tokens=exported(card.get("max_model_len")),
            parallelism=known({**_ranks_of_flags(flags), **_ranks_of_config(sections)}),
            kv=kv_of_labels(labels),
            knobs=known(knobs),
            no_metrics=_NO_METRICS,
        )


def openai_fields() -> Fields:
    """What vLLM takes, of every version here."""
    return Fields(
        least="min_tokens",
        ignore_eos=True,
        ids="prompt",
        running_usage=True,
        finish_has_token=True,
    )


def of_fingerprint(fingerprint: str) -> tuple[str, dict[str, Value]] | None:
    """Version and ranks in `system_fingerprint` (0.22.0 and later); None where it is none of vLLM.

    The form is `vllm-VERSION[-tpN][-ppN][-dpN][-ep]-HASH`; ranks of 1 are left out.
    """
    match = _FINGERPRINT.match(fingerprint)
    if match is None:
        return None
    told = dict(re.findall(r"-(tp|pp|dp)(\d+)", match[2]))
    why = "system_fingerprint of an answer"
    names = {"tensor": "tp", "pipeline": "pp", "data": "dp"}
    ranks = {
        ours: Value(value=int(told.get(theirs, 1)), origin=Origin.EXPORTED, why=why)
        for ours, theirs in names.items()
    }
    expert = Value(value="-ep" in match[2], origin=Origin.EXPORTED, why=why)
    return match[1], {**ranks, "expert": expert}


def kv_of_labels(labels: Mapping[str, str]) -> dict[str, Value]:
    """The cache by the labels of `cache_config_info`.

    `kv_cache_size_tokens` is right for hybrid models too; before 0.24 it is blocks × block size,
    which is not. "None" (0.8's number of blocks) is unknown.
    """
    why = "cache_config_info"
    kv = known({ours: exported(labels.get(theirs), why) for ours, theirs in _KV.items()})
    if "block_size_tokens" not in kv:
        kv |= known({"block_size_tokens": exported(labels.get("block_size"), why)})
    blocks, size = kv.get("blocks_total"), kv.get("block_size_tokens")
    if "tokens_total" not in kv and blocks and size:
        product = float(blocks.value or 0) * float(size.value or 0)
        kv["tokens_total"] = exported(int(product), "blocks × block size; wrong for hybrid models")
    return kv


def settings_of_labels(labels: Mapping[str, str]) -> dict[str, Value]:
    """All that the labels of `cache_config_info` tell; the cache's own by `kv_` and its name."""
    return {**_of_cache(labels), **{f"kv_{n}": v for n, v in kv_of_labels(labels).items()}}


def _of_cache(labels: Mapping[str, str]) -> dict[str, Value]:
    found = {name: exported(labels.get(name), "cache_config_info") for name in _CACHE_KNOBS}
    return known({**found, "kv_cache_dtype": exported(labels.get("cache_dtype"))})


def _of_config(sections: Mapping[str, Any]) -> dict[str, Value]:
    def told(section: str, name: str) -> object:
        part = sections.get(section)
        return part.get(name) if isinstance(part, dict) else None

    return known({ours: exported(told(*there), "/server_info") for ours, there in _CONFIG.items()})


def _ranks_of_config(sections: Mapping[str, Any]) -> dict[str, Value]:
    part = sections.get("parallel_config")
    part = part if isinstance(part, dict) else {}
    found = {ours: exported(part.get(theirs), "/server_info") for ours, theirs in _RANKS.items()}
    return known({**found, "expert": exported(part.get("enable_expert_parallel"), "/server_info")})


def _of_flags(flags: Mapping[str, str]) -> dict[str, Value]:
    why = "the server's command line on this machine"
    return known({ours: exported(flags.get(flag), why) for ours, flag in _FLAGS.items()})


def _ranks_of_flags(flags: Mapping[str, str]) -> dict[str, Value]:
    if not flags:
        return {}
    why = "the server's command line on this machine"
    given = {ours: flags.get(theirs.replace("_", "-"), "1") for ours, theirs in _RANKS.items()}
    ranks = {ours: exported(value, why) for ours, value in given.items()}
    expert = flags.get("enable-expert-parallel", "false")
    return {**ranks, "expert": exported(expert, why)}


FAMILY = Vllm()
