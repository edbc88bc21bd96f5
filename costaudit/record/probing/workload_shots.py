"""The workload's requests as they were written down, again and again."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from costaudit.probe.draw import DrawnRequest
from costaudit.record.probing.rungs import shot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from costaudit.record.client.load import Shot
    from costaudit.record.probing.probing import Probing


def drawn_requests(probing: Probing) -> tuple[DrawnRequest, ...]:
    """One cycle of the workload, fitted to the server."""
    return tuple(
        DrawnRequest(
            prompt_tokens=row.prompt_tokens,
            output_tokens=row.output_tokens,
            prefix_id=row.prefix_id,
            prefix_tokens=row.prefix_tokens,
        )
        for row in probing.recording.requests()
    )


def cycled(probing: Probing, drawn: Sequence[DrawnRequest]) -> Iterator[Shot]:
    """Endless: the same lengths in the same order, each prompt new behind its shared prefix."""
    for number in count():
        request = drawn[number % len(drawn)]
        tokens, prefix = request.prompt_tokens, request.prefix_id
        if prefix is None:
            prompt = probing.prompts.cold(tokens)
        else:
            prompt = probing.prompts.shared(
                tokens, prefix_id=prefix, prefix_tokens=request.prefix_tokens
            )
        yield shot(probing, number, prompt, tokens, request.output_tokens)
