"""Prefills that a prefix cache might spare, where the server says that it is off.

Several symptoms ask: what is needless is to be spared before it is scheduled, or put down to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.diagnosis import signs
from costaudit.diagnosis.stalls import prefill_tokens
from costaudit.measure.phase_seconds import phase_seconds
from costaudit.target.target import Origin

if TYPE_CHECKING:
    from costaudit.measure.window import Window

PREFILL_TIME = 0.15  # of finished requests' time outside the queue, or of the device's
PROMPT_TOKENS = 0.85  # of all tokens computed; where few requests end, their times say little
SHARED_AT_MOST = 0.4  # of the prompt tokens
UNASKED_TOKENS = 1000.0  # of prompts in the window; fewer may all stem from before it
SHORT = 128.0  # tokens; a shared part of less is a few blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefills:
    """What prompts weigh while prefix caching is off.

    Attributes:
        time_share: of finished requests' time outside the queue; None: not timed.
        device_share: of the device's busy time, at least (a step serves many requests at once, so
            this is the larger where many decode together); None: not told.
        token_share: prompt tokens of all tokens computed; None: not counted.
        mean_tokens: of a prompt. shared_share: at most so much of the prompts can be common; all of
            them where the server does not spread their lengths.
    """

    time_share: float | None
    device_share: float | None
    token_share: float | None
    mean_tokens: float
    shared_share: float

    @property
    def weight(self) -> float:
        """The largest of the shares that count."""
        tokens = self.token_share or 0.0
        spent = max(self.time_share or 0.0, self.device_share or 0.0)
        return max(spent, tokens if tokens >= PROMPT_TOKENS else 0.0)

    @property
    def matter(self) -> bool:
        """Prompts are a large part of the work."""
        return self.mean_tokens >= SHORT and self.weight >= PREFILL_TIME

    @property
    def alike(self) -> bool:
        """All prompts are so long that a large part of them can be common."""
        return self.shared_share >= SHARED_AT_MOST


def caching_off(w: Window) -> bool | None:
    """Prefix caching is off, by a setting or by nothing being asked of it; None: cannot be told."""
    knob = w.knobs.get("enable_prefix_caching")
    asked, prompts = w.grown("prefix.queries_total"), w.grown("tokens.prompt_total")
    if knob is not None and knob.value is not None and knob.origin is not Origin.DEFAULT:
        return knob.value is False and not asked
    if w.engine == "vllm" and asked is not None and prompts and prompts >= UNASKED_TOKENS:
        return not asked  # it asks for every prompt token where it is on
    return None if knob is None or knob.value is None else False


def prefills(w: Window) -> Prefills | None:
    """What prompts weigh; None: no prompt came, or nothing is told of their lengths.

    What all prompts share is no longer than the shortest of them, so the first quartile of their
    lengths (by its bucket's lower edge) over the mean bounds it, but for a few short strays.
    """
    prompts = w.spread("req.prompt_tokens")
    mean = prompts.mean if prompts is not None else prefill_tokens(w)
    if not mean or mean <= 0:
        return None
    quartile = prompts.between(0.25) if prompts is not None else None
    return Prefills(
        time_share=_time_share(w),
        device_share=_device_share(w),
        token_share=_token_share(w),
        mean_tokens=mean,
        shared_share=min(1.0, quartile[0] / mean) if quartile is not None else 1.0,
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


def _device_share(w: Window) -> float | None:
    phases = phase_seconds(w)
    return None if phases is None else phases.prefill_bounds_s.low / phases.busy_s


def _token_share(w: Window) -> float | None:
    prompt, made = signs.prompted(w), signs.generated(w)
    if prompt is None or made is None or prompt + made <= 0:
        return None
    return prompt / (prompt + made)
