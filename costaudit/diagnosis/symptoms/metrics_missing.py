"""The server exports nothing to judge by.

Why       Metrics are off (a flag), kept back by a proxy, or were read away by somebody else.
Signature The engine is known, and no quantity of its metrics is there.
Not       Engines that have no metrics at all (transformers serve, Ollama).
Sources   vllm-project/aibrix#2004; NVIDIA/TensorRT-LLM#4926; vllm-project/vllm#8612, #8178.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.diagnosis.symptom import Answer, Confidence, DoesNotShow, Evidence, Shows, Symptom

if TYPE_CHECKING:
    from costaudit.measure.window import Window


def judge(w: Window) -> Answer:
    """Nothing was read."""
    if w.gauges or w.counters or w.histograms:
        return DoesNotShow(why="the server exports metrics")
    evidence = Evidence(what="metrics read", value=0, unit="count", where="the metrics page")
    return Shows(evidence=(evidence,), cost_share=0.0, confidence=Confidence.POSSIBLE)


SYMPTOM = Symptom(
    id="metrics-missing",
    title="The server exports nothing to judge by",
    cause="its metrics are off, kept back by a proxy, or read away by somebody else",
    judge=judge,
    actions=("export-metrics",),
    advice="give their address by --metrics-url if they are elsewhere",
    not_for=("transformers-serve", "ollama", "openai-compatible"),
)
