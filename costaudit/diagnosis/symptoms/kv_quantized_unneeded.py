"""The KV cache is quantized although it has room.

Why       Eight-bit KV doubles how many tokens fit; it makes decoding hardly faster and may cost
          quality. Where the cache is half empty it buys nothing.
Signature The server exports an 8-bit KV type, requests ran, and KV usage never came above 0.4.
Not       Caches that fill up at other hours: the window shows its own time alone.
Sources   vllm-project/vllm#48786, #42058 (twice the capacity, decode 0.4 to 5.5 % faster).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.symptom import Answer, CannotTell, Confidence, DoesNotShow, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window

ROOM = 0.4


def judge(w: Window) -> Answer:
    """Small KV types, and a cache with room."""
    kind, usage = w.knob("kv_dtype") or w.knob("kv_cache_dtype"), signs.kv(w)
    if kind is None or usage is None:
        return CannotTell(because="the server does not export its KV type or usage")
    small = isinstance(kind, str) and any(mark in kind.lower() for mark in ("fp8", "int8", "fp4"))
    if not small or not signs.worked(w) or usage.high > ROOM:
        return DoesNotShow(why="the KV cache is not quantized, or it is needed")
    evidence = signs.seen(w, "kv.usage_fraction", "highest KV usage", usage.high, "share")
    return Shows(evidence=(evidence,), cost_share=0.0, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="kv-quantized-unneeded",
    title="The KV cache is quantized although it has room",
    cause="an 8-bit KV cache helps where memory is scarce, and here it is not",
    judge=judge,
    advice="keep it if other hours need it; else the model's own type is the safer choice",
    steps=("kv-cache-quantization",),
)
