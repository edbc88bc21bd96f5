"""Client against server: do both tell of the same tokens and the same times?

Tokens must agree exactly. The server's TTFT runs from the request's arrival to its first token, the
client's from sending it to the first byte of output: the difference is the way there and back, and
whatever waits in front of the server's own clock (a proxy, an accept queue, a busy event loop).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.server import Own, ServerSpan
    from costaudit.recording.rows import Answer

_US = 1e-6
TTFT_SHARE, TTFT_S = 0.05, 0.002  # within either, both mean the same


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Both sides of one span; None where one side does not tell.

    Attributes:
        token_difference: output tokens by the server's counters less those of our answers; 0 where
            nobody else was there and nothing was lost.
        prompt_token_difference: likewise of prompts.
        client_ttft_s, server_ttft_s: means over the requests of the span.
        outside_s: of a TTFT, what the server's clock did not see.
        queue_s: of a TTFT, what was spent in the server's queue.
        agrees: tokens are equal and the TTFTs within 5 % or 2 ms; None: cannot tell.
        why: what does not agree, or why it cannot be told.
    """

    token_difference: float | None
    prompt_token_difference: float | None
    client_ttft_s: float | None
    server_ttft_s: float | None
    outside_s: float | None
    queue_s: float | None
    agrees: bool | None
    why: str


def cross_check(
    span: ServerSpan,
    answers: Sequence[Answer],
    *,
    front_end_s: float | None = None,
    own: Own | None = None,
) -> CrossCheck:
    """Compare a span with the answers that lie wholly in it, where nobody else was served.

    `front_end_s` is what the server takes to answer a question that generates nothing; None: it
    was not asked. `own` is ours with what came of cut requests; None: none was cut.
    """
    good = [answer for answer in answers if answer.ok]
    output, prompt = _sum(good, "output_tokens"), _sum(good, "prompt_tokens")
    tokens = _less(span.generated_tokens, output)
    if tokens and own is not None and len(good) < len(answers):
        tokens = _beyond(tokens - (own.output_tokens - (output or 0.0)), own.unseen_output_tokens)
    firsts = [first for answer in good if (first := _first_s(answer)) is not None]
    ours = math.fsum(firsts) / len(firsts) if firsts else None
    theirs = span.latencies.ttft_s
    outside = _less(ours, theirs)
    sent = len(good) if own is None else own.requests  # one that was cut may count as ended there
    agrees, why = _verdict(span, sent, tokens, outside, theirs)
    if agrees is False and not tokens and front_end_s is not None:
        why += f"; its front end takes {front_end_s * 1e3:.1f} ms to answer any question"
    return CrossCheck(
        token_difference=tokens,
        prompt_token_difference=_less(span.prompt_tokens, prompt),
        client_ttft_s=ours,
        server_ttft_s=theirs,
        outside_s=outside,
        queue_s=span.latencies.queue_s,
        agrees=agrees,
        why=why,
    )


def _verdict(
    span: ServerSpan,
    sent: int,
    tokens: float | None,
    outside: float | None,
    theirs: float | None,
) -> tuple[bool | None, str]:
    if tokens is None or outside is None or theirs is None:
        return None, span.why.get("") or "the server does not tell tokens or TTFT"
    if span.requests is not None and span.requests > sent:
        others = span.requests - sent
        return None, f"others sent {others:.0f} of the requests in this span"
    if tokens:
        return False, f"the server counts {tokens:+.0f} output tokens beyond ours"
    if abs(outside) > max(TTFT_S, TTFT_SHARE * theirs):
        return False, f"{outside * 1e3:+.1f} ms of a TTFT lie outside of the server's own clock"
    return True, ""


def _beyond(tokens: float, unseen: float) -> float:
    """What is left where up to `unseen` of the difference came to nobody."""
    return max(0.0, tokens - unseen) if tokens > 0 else tokens


def _first_s(answer: Answer) -> float | None:
    """Seconds from sending to the first output event."""
    if len(answer.event_us) < 4:  # noqa: PLR2004 - one little-endian uint32
        return None
    return int.from_bytes(answer.event_us[:4], "little") * _US


def _sum(answers: Sequence[Answer], name: str) -> float | None:
    """A sum over the answers; None where one does not tell, or there is none."""
    values = [getattr(answer, name) for answer in answers]
    return None if not values or None in values else math.fsum(values)


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
