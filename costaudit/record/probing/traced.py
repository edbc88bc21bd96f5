"""Requests of a log at the log's own times; equal block hashes become equal blocks of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from costaudit.record.probing.probing import Prompts
    from costaudit.traffic.traffic import Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One request of a trace, as it is to be sent `start_s` after the first could be."""

    prompt: tuple[int, ...] | str
    prompt_tokens: int
    output_tokens: int
    start_s: float


def traced(
    traffic: Traffic, prompts: Prompts, *, time_scale: float, length_scale: float = 1.0
) -> Iterator[Traced]:
    """In order; `time_scale` seconds of ours for one of the trace, lengths times `length_scale`."""
    block = max(1, round(traffic.hash_block_tokens * length_scale))
    for request in traffic.requests:
        tokens = max(1, round(request.prompt_tokens * length_scale))
        hashes = request.block_hashes
        yield Traced(
            prompt=prompts.hashed(tokens, hashes=hashes, block_tokens=block)
            if hashes
            else prompts.cold(tokens),
            prompt_tokens=tokens,
            output_tokens=max(1, round(request.output_tokens * length_scale)),
            start_s=request.arrival_s * time_scale,
        )
