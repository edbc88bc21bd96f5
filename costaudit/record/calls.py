"""One forward call of a causal LM, as its hooks see it: prefill or decode, how many, how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costaudit.recording.rows import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Shape of a call. `ids` and `mask` are the program's own tensors, read only as counts."""

    phase: Phase
    seqs: int
    new_tokens: int  # per sequence
    cached_tokens: int  # per sequence, before the call
    cache: int  # identity of the cache object, 0 where there is none
    ids: Any
    mask: Any


def read_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
    """What is about to be computed; None where the call carries no tokens.

    One new token per sequence behind a filled cache is a decode step, anything else prefill.
    """
    ids = kwargs.get("input_ids", args[0] if args else None)
    tokens = ids if ids is not None else kwargs.get("inputs_embeds")
    if tokens is None or tokens.ndim < 2 or not tokens.shape[1]:  # noqa: PLR2004 [seqs, tokens]
        return None
    cache = kwargs.get("past_key_values")
    cached = _cached_tokens(cache)
    seqs, new = int(tokens.shape[0]), int(tokens.shape[1])
    mask = kwargs.get("attention_mask")
    flat = mask is not None and getattr(mask, "ndim", 0) == 2  # noqa: PLR2004 [seqs, tokens]
    return Call(
        phase=Phase.DECODE if new == 1 and cached > 0 else Phase.PREFILL,
        seqs=seqs,
        new_tokens=new,
        cached_tokens=cached,
        cache=0 if cache is None else id(cache),
        ids=ids,
        mask=mask if flat else None,
    )


def _cached_tokens(cache: Any) -> int:
    """Tokens per sequence in a cache of transformers, or in the older tuple of tensors."""
    if cache is None:
        return 0
    if hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length())
    return int(cache[0][0].shape[-2]) if len(cache) else 0
