"""Keeps a probe run within its limits, and off a server that suffers from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.record.probing.slowing import Slowing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from costaudit.record.client.load import Shot
    from costaudit.record.probing.options import Limits

PER_1M = 1e6


@dataclass(slots=True, kw_only=True)
class Guard:
    """Counts what was asked for; `why` says why no more may be sent, "" while all is well.

    `waiting` reads the server's queue length now (None: it does not tell); `ours` is how many of
    our own requests may be waiting there, set by each rung before it starts; its answers set
    `failed_in_a_row`.
    """

    limits: Limits
    waiting: Callable[[], float | None]
    requests: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    ours: int = 0
    failed_in_a_row: int = 0  # requests, over all rungs, since the last good answer
    cut: bool = False  # some of ours may still run there, until the server was seen idle
    slowing: Slowing = field(default_factory=Slowing)
    why: str = field(default="")

    def allow(self, *, requests: int, prompt_tokens: int, output_tokens: int) -> str:
        """Book what is about to be sent; a sentence (and nothing booked) where it goes too far."""
        self.why = self.why or self._beyond(
            self.requests + requests,
            self.prompt_tokens + prompt_tokens,
            self.output_tokens + output_tokens,
        )
        if not self.why:
            self.requests += requests
            self.prompt_tokens += prompt_tokens
            self.output_tokens += output_tokens
        return self.why

    def booked(self, shots: Iterable[Shot]) -> Iterator[Shot]:
        """The shots as long as the limits allow them, each booked as it is taken."""
        for taken in shots:
            if self.allow(
                requests=1,
                prompt_tokens=taken.prompt_tokens or 0,
                output_tokens=taken.output_tokens,
            ):
                return
            yield taken

    def stop(self) -> str:
        """Asked while requests run: a sentence where the server suffers."""
        self.why = self.why or self._queue() or self._slower()
        return self.why

    def _queue(self) -> str:
        if self.limits.waiting is None:
            return ""
        waiting = self.waiting()
        if waiting is None or waiting <= self.limits.waiting + self.ours:
            return ""
        return (
            f"{waiting:.0f} requests wait in the server's queue, more than the"
            f" {self.limits.waiting} that --abort-at allows beyond our own {self.ours}"
        )

    def _slower(self) -> str:
        factor, most = self.slowing.factor(), self.limits.p95_factor
        if factor is None or most is None or factor <= most:
            return ""
        return (
            f"the p95 of its TTFT is {factor:.1f} times what it was at first for the same"
            f" requests, more than the {most:g} that --abort-at allows"
        )

    def spent_usd(self) -> float | None:
        """Dollars asked for so far; None without token prices."""
        return self._usd(self.prompt_tokens, self.output_tokens)

    def _usd(self, prompt_tokens: int, output_tokens: int) -> float | None:
        limits = self.limits
        if limits.usd_per_1m_input is None or limits.usd_per_1m_output is None:
            return None
        cost = prompt_tokens * limits.usd_per_1m_input + output_tokens * limits.usd_per_1m_output
        return cost / PER_1M

    def _beyond(self, requests: int, prompt_tokens: int, output_tokens: int) -> str:
        limits = self.limits
        if limits.requests is not None and requests > limits.requests:
            return f"the limit of {limits.requests} requests is reached"
        tokens = prompt_tokens + output_tokens
        if limits.tokens is not None and tokens > limits.tokens:
            return f"the limit of {limits.tokens} tokens is reached"
        usd = self._usd(prompt_tokens, output_tokens)
        if limits.spend_usd is not None and usd is not None and usd > limits.spend_usd:
            return f"the limit of {limits.spend_usd:g} USD is reached"
        return ""
