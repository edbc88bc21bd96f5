"""Prefills that a prefix cache might spare, where the server says that it is off.

Several symptoms ask: what is needless is to be spared before it is scheduled, or put down to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from costaudit.measure.window import Window

PREFILL_TIME = 0.15  # of finished requests' time outside the queue
PROMPT_TOKENS = 0.85  # of all tokens computed; where few requests end, their times say little
SHARED_AT_MOST = 0.4  # of the prompt tokens
SHORT = 128.0  # tokens; a shared part of less is a few blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefills:
    """What prompts weigh while prefix caching is off.

    Attributes:
        time_share: of finished requests' time outside the queue; None: not timed.
        token_share: prompt tokens of all tokens computed; None: not counted.
        mean_tokens: of a prompt. shared_share: at most so much of the prompts can be common.
    """

    time_share: float | None
    token_share: float | None
    mean_tokens: float
    shared_share: float

    @property
    def weight(self) -> float:
        """The larger of both shares that counts."""
        tokens = self.token_share or 0.0
        return max(self.time_share or 0.0, tokens if tokens >= PROMPT_TOKENS else 0.0)

    @property
    def matter(self) -> bool:
        """Prompts are a large part of the work."""
        return self.mean_tokens >= SHORT and self.weight >= PREFILL_TIME

    @property
    def alike(self) -> bool:
        """All prompts are so long that a large part of them can be common."""
        return self.shared_share >= SHARED_AT_MOST


def caching_off(w: Window) -> bool | None:
    """Prefix caching is known to be off; None: nothing says whether it is."""
    knob = w.knobs.get("enable_prefix_caching")
    if knob is None or knob.value is None:
        return None
    asked = w.grown("prefix.queries_total")
    return knob.value is False and knob.origin is not Origin.DEFAULT and not asked


def prefills(w: Window) -> Prefills | None:
    """What prompts weigh; None: no request ended, or nothing is told of their lengths.

    What all prompts share is no longer than the shortest of them, so the first quartile of their
    lengths (by its bucket's lower edge) over the mean bounds it, but for a few short strays.
    """
    prompts, mean = w.spread("req.prompt_tokens"), w.mean("req.prompt_tokens")
    if prompts is None or mean is None or mean <= 0:
        return None
    quartile = prompts.between(0.25)
    return Prefills(
        time_share=_time_share(w),
        token_share=_token_share(w),
        mean_tokens=mean,
        shared_share=min(1.0, quartile[0] / mean) if quartile is not None else 0.0,
    )


def spare_first(w: Window) -> bool:
    """Caching is off, prompts are most of the work, and may well begin alike."""
    found = prefills(w) if caching_off(w) else None
    return found is not None and found.matter and found.alike


def _time_share(w: Window) -> float | None:
    prefill, decode = w.histograms.get("latency.prefill"), w.histograms.get("latency.decode")
    if prefill is None or decode is None or prefill.total + decode.total <= 0:
        return None
    return prefill.total / (prefill.total + decode.total)


def _token_share(w: Window) -> float | None:
    prompt, made = signs.prompted(w), signs.generated(w)
    if prompt is None or made is None or prompt + made <= 0:
        return None
    return prompt / (prompt + made)
