"""Which steps are timed to fit the step-time model, and which are kept to judge it.

About ten to fit: prefill over prompt length and cached context, decode over batch and context.
The held-out ones lie inside the same hull at other values. Sizes that a model's context, its
memory or the machine's speed do not allow are brought down to what they allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DECODE_ROOM = 64  # context left for the steps of a decode probe
_LONG_TOKENS = 2048  # a workload with longer contexts than this gets probes of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProbe:
    """Equal steps of one kind: `seqs` × `new_tokens` behind `cached_tokens` of context each."""

    phase: Literal["prefill", "decode"]
    held_out: bool
    seqs: int
    new_tokens: int  # 1 when decoding
    cached_tokens: int

    @property
    def id(self) -> str:
        """A name that is unique within a design."""
        if self.phase == "decode":
            return f"decode-{self.seqs}x{self.cached_tokens}"
        behind = f"@{self.cached_tokens}" if self.cached_tokens else ""
        return f"prefill-{self.seqs}x{self.new_tokens}{behind}"

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds while this probe is prepared."""
        return self.seqs * (self.cached_tokens + (DECODE_ROOM if self.phase == "decode" else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is allowed: tokens of context per sequence, cached tokens and new tokens per step."""

    context_tokens: int
    kv_tokens: int
    prefill_tokens: int


def _prefill(seqs: int, new: int, cached: int = 0, *, held_out: bool = False) -> StepProbe:
    return StepProbe(
        phase="prefill", held_out=held_out, seqs=seqs, new_tokens=new, cached_tokens=cached
    )


def _decode(seqs: int, context: int, *, held_out: bool = False) -> StepProbe:
    return StepProbe(
        phase="decode", held_out=held_out, seqs=seqs, new_tokens=1, cached_tokens=context
    )


_FITTED = (
    *(_prefill(1, 32), _prefill(1, 256), _prefill(1, 1024), _prefill(1, 256, 1024)),
    *(_prefill(4, 64), _decode(1, 64), _decode(1, 2048)),
    *(_decode(8, 256), _decode(16, 1024), _decode(32, 64)),
)
_HELD_OUT = (
    *(_prefill(1, 128, held_out=True), _prefill(1, 512, held_out=True)),
    *(_prefill(1, 128, 512, held_out=True), _decode(4, 512, held_out=True)),
    *(_decode(2, 1024, held_out=True), _decode(16, 128, held_out=True)),
)


def step_design(limits: Limits, *, longest_context_tokens: int = 0) -> tuple[StepProbe, ...]:
    """The probes to run; `longest_context_tokens` is the longest context the workload reaches.

    No held-out probe equals a fitted one, and no two probes are the same.
    """
    long = min(longest_context_tokens, limits.context_tokens - DECODE_ROOM)
    fitted = list(_FITTED)
    if long > _LONG_TOKENS:
        fitted += [_prefill(1, 256, long - 256), _decode(1, long)]
    probes: dict[str, StepProbe] = {}
    for probe in _within(limits, [*fitted, *_HELD_OUT]):
        probes.setdefault(probe.id, probe)
    return tuple(probes.values())


def _within(limits: Limits, probes: Iterable[StepProbe]) -> Iterable[StepProbe]:
    for probe in probes:
        sized = _decode_within if probe.phase == "decode" else _prefill_within
        yield StepProbe(phase=probe.phase, held_out=probe.held_out, **sized(limits, probe))


def _prefill_within(limits: Limits, probe: StepProbe) -> Mapping[str, int]:
    """Longest first: new tokens and context shrink by one factor, then prompts drop out."""
    total = probe.new_tokens + probe.cached_tokens
    share = min(
        1.0,
        limits.context_tokens / total,
        limits.prefill_tokens / probe.new_tokens,
        limits.kv_tokens / total,
    )
    new, cached = max(1, int(probe.new_tokens * share)), int(probe.cached_tokens * share)
    fits = min(limits.prefill_tokens // new, limits.kv_tokens // (new + cached))
    return {"seqs": max(1, min(probe.seqs, fits)), "new_tokens": new, "cached_tokens": cached}


def _decode_within(limits: Limits, probe: StepProbe) -> Mapping[str, int]:
    context = min(probe.cached_tokens, limits.context_tokens - DECODE_ROOM, limits.kv_tokens)
    context = max(1, context)
    seqs = max(1, min(probe.seqs, limits.kv_tokens // context))
    return {"seqs": seqs, "new_tokens": 1, "cached_tokens": context}
