"""llama.cpp's server: settings by `/props`, KV use by `/slots` (no metric has it since 2025-05)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.llamacpp_completion import LlamaCppCompletion
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers import paths
from costaudit.record.servers.family import Described, entry, exported, known, listed, scrape
from costaudit.record.servers.found import MetricsSource, TokenizeRoute

if TYPE_CHECKING:
    from costaudit.record.servers.look import Look


class LlamaCpp:
    """The family of llama-server."""

    name = "llamacpp"
    rank = 43

    def known_by(self, look: Look) -> str:
        """Its metrics, its name as owner, or its `Server` header."""
        if look.has_metric("llamacpp:"):
            return "/metrics has llamacpp:* names"
        if "llamacpp" in look.owners:
            return "/v1/models is owned by llamacpp"
        return "the header Server: llama.cpp" if look.header("server") == "llama.cpp" else ""

    def asked_by(self, look: Look) -> str:
        """`/props` counts the slots."""
        slots = look.get(paths.LLAMACPP_PROPS).mapping().get("total_slots")
        return "/props has total_slots" if isinstance(slots, int) else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The ids of `/v1/models`."""
        return listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """Slots, context per slot and vocabulary."""
        props = look.get(paths.LLAMACPP_PROPS).mapping()
        meta = entry(look, model).get("meta")
        meta = meta if isinstance(meta, dict) else {}
        settings = props.get("default_generation_settings")
        settings = settings if isinstance(settings, dict) else {}
        slots, context = props.get("total_slots"), settings.get("n_ctx") or meta.get("n_ctx")
        whole = isinstance(slots, int) and isinstance(context, int)
        return Described(
            version=str(props.get("build_info") or ""),
            weights_name=str(props.get("model_path") or ""),
            dtype=str(props.get("model_ftype") or meta.get("ftype") or "").lower(),
            dialect=LlamaCppCompletion(),
            chat=OpenAIChat(Fields(ignore_eos=True)),
            metrics=_metrics(look),
            tokenize=TokenizeRoute(
                path=paths.TOKENIZE.path,
                text_key="content",
                ids_key="tokens",
                extra={"add_special": True},
            ),
            max_context_tokens=exported(context, "per slot"),
            kv=known(
                {
                    "tokens_total": exported(
                        slots * context if whole else None,  # type: ignore[operator]
                        "context per slot × slots; less where the cache is unified",
                    )
                }
            ),
            knobs=known({"max_num_seqs": exported(slots, "/props total_slots")}),
            vocab_tokens=exported(meta.get("n_vocab")),
            notes=()
            if look.has_metric("llamacpp:")
            else ("the server was started without --metrics: only its slots are read",),
        )


def _metrics(look: Look) -> MetricsSource:
    if look.has_metric("llamacpp:"):
        return scrape(look, "llamacpp")
    return MetricsSource(
        url=look.endpoint.base_url + paths.LLAMACPP_SLOTS.path,
        servers=("llamacpp",),
        format="slots",
        headers=look.endpoint.headers,
        verify_tls=look.endpoint.verify_tls,
    )


FAMILY = LlamaCpp()
