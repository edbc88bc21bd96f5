"""Requests of an attached recording, put together from the batches that were seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.recording.rows import Phase, RequestRow, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence


def attached_requests(samples: Sequence[Sample]) -> tuple[RequestRow, ...]:
    """Every prefill opens a batch; the decode steps behind it are its output.

    Rows of a batch cannot be told apart from outside: all are taken to be as long as the batch,
    which is what the device worked on.
    """
    rows: list[RequestRow] = []
    batch, prompt, seqs, output = 0, 0, 0, 0
    for sample in (*samples, None):
        if sample is not None and sample.phase is Phase.DECODE:
            output += sample.steps
            continue
        rows += [_row(batch, prompt, output) for _ in range(seqs)]
        if sample is not None:
            batch, seqs, output = batch + 1, round(sample.prefill_seqs), 1
            prompt = round(sample.prefill_tokens / max(seqs, 1))
    return tuple(rows)


def _row(batch: int, prompt_tokens: int, output_tokens: int) -> RequestRow:
    return RequestRow(
        task="attached",
        batch=batch,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        prefix_id=None,
        prefix_tokens=0,
        ttft_s=None,
        e2e_s=None,
    )
