"""What an answer's stored bytes hold: when its tokens came."""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from costaudit.recording.rows import Answer

MICRO_S = 1e-6
PROMPT_PARTS = 8  # in which the tokens of a prompt are counted


def event_s(answer: Answer) -> list[float]:
    """When each output event came, in seconds since the rung began."""
    return [answer.sent_s + us * MICRO_S for us in _unpacked("I", answer.event_us)]


def event_tokens(answer: Answer) -> Sequence[int]:
    """Tokens that each output event carried."""
    if answer.event_tokens:
        return _unpacked("H", answer.event_tokens)
    return [1] * (len(answer.event_us) // array("I").itemsize)


def token_flow(answer: Answer) -> tuple[list[float], list[float]]:
    """Instants and tokens of one answer: its prompt until the first event, its output as it came.

    A step takes in thousands of prompt tokens. Counted when it ends they would make a rate swing by
    where its window begins and ends, so they are spread over the time since the request was sent.
    """
    at_s, tokens = event_s(answer), [float(n) for n in event_tokens(answer)]
    if not tokens or not answer.prompt_tokens:
        return at_s, tokens
    part_s = (at_s[0] - answer.sent_s) / PROMPT_PARTS
    prompt_s = [answer.sent_s + part_s * (n + 1) for n in range(PROMPT_PARTS)]
    return prompt_s + at_s, [answer.prompt_tokens / PROMPT_PARTS] * PROMPT_PARTS + tokens


def tokens_between(answer: Answer, from_s: float, to_s: float) -> tuple[float, float, int, int]:
    """What came within a window: (first_s, last_s, tokens after the first event, tokens before).

    All zero where fewer than two events lie in it.
    """
    at_s, tokens = event_s(answer), event_tokens(answer)
    inside = [place for place, t_s in enumerate(at_s) if from_s <= t_s <= to_s]
    if len(inside) < 2:  # noqa: PLR2004 a gap has two ends
        return 0.0, 0.0, 0, 0
    first, last = inside[0], inside[-1]
    upto = list(accumulate(tokens))
    return at_s[first], at_s[last], upto[last] - upto[first], upto[first]


def most_at_once(answers: Iterable[Answer]) -> int:
    """The most answers that were generated at the same time, as the client saw them."""
    turns = [
        turn
        for answer in answers
        if (came_s := event_s(answer))
        for turn in ((came_s[0], 1), (came_s[-1], -1))
    ]
    return max(accumulate(step for _, step in sorted(turns)), default=0)


def _unpacked(code: str, stored: bytes) -> array[int]:
    values = array(code)
    values.frombytes(stored)
    if sys.byteorder == "big":
        values.byteswap()
    return values
