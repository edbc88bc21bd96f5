"""The exported size of the KV cache is not what fits.

Why       Blocks times block size is wrong for hybrid models, and vLLM 0.8 exports "None" blocks:
          dashboards built on it show a wrong number of tokens.
Signature The two products on the page differ by more than a twentieth.
Not       Servers that export one of them only.
Sources   vllm-project/vllm#15538, PR #13596, #42966, #51163.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis.symptom import (
    Answer,
    CannotTell,
    Confidence,
    DoesNotShow,
    Evidence,
    Shows,
    Symptom,
)

if TYPE_CHECKING:
    from costaudit.measure.window import Window

APART = 0.05


def judge(w: Window) -> Answer:
    """Tokens against blocks times their size."""
    tokens, blocks = w.knob("kv_tokens_total"), w.knob("kv_blocks_total")
    size = w.knob("kv_block_size_tokens")
    told = [x for x in (tokens, blocks, size) if isinstance(x, (int, float)) and x > 0]
    if len(told) < 3:  # noqa: PLR2004 - all of them
        return CannotTell(because="the size of the cache is told in one way only, or not at all")
    right, product = float(told[0]), float(told[1]) * float(told[2])
    if abs(product / right - 1) <= APART:
        return DoesNotShow(why="both ways to tell the size agree")
    evidence = (
        Evidence(what="tokens that fit", value=right, unit="tokens", where="kv_cache_size_tokens"),
        Evidence(what="blocks × size", value=product, unit="tokens", where="cache_config_info"),
    )
    return Shows(evidence=evidence, cost_share=0.0, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="kv-size-misread",
    title="Blocks times block size is not what the KV cache holds",
    cause="this model's blocks are not all of one kind; several ranks may be added up as well",
    judge=judge,
    advice="build dashboards on kv_cache_size_tokens",
    engines=("vllm",),
)
