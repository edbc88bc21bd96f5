"""Requests as the what-if engine sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; lengths in tokens, arrival in seconds from the start of the window.

    The first `prefix_tokens` of the prompt are the same in all requests with this `prefix_id`.
    Where a trace has `block_hashes` instead, each stands for one block of the prompt and all
    before it: two requests share a prefix as far as these are equal.
    Static batching never mixes requests of different `batch`: they were not there together.
    """

    prompt_tokens: int
    output_tokens: int
    arrival_s: float = 0.0
    prefix_id: int | None = None
    prefix_tokens: int = 0
    batch: int | None = None
    block_hashes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """A sequence of requests, sorted by arrival.

    With `concurrency` the load is closed: a request arrives `think_s` after an earlier one has
    finished (way back and forth, front end, the user's own pause), arrivals are ignored and there
    is no idle for lack of demand. Without, arrivals rule.
    """

    source: str
    requests: tuple[Request, ...]
    concurrency: int | None = None
    think_s: float = 0.0  # closed loop of continuous batching only
    window_s: float | None = None  # declared length of the window; open loop only
    hash_block_tokens: int = 16  # tokens that one of the `block_hashes` stands for

    @property
    def prompt_tokens(self) -> int:
        """All prompt tokens."""
        return sum(r.prompt_tokens for r in self.requests)

    @property
    def output_tokens(self) -> int:
        """All output tokens."""
        return sum(r.output_tokens for r in self.requests)

    @property
    def sha256(self) -> str:
        """Of one line per request: arrival, prompt and output tokens."""
        lines = (f"{r.arrival_s!r} {r.prompt_tokens} {r.output_tokens}\n" for r in self.requests)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
