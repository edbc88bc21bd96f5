"""One static batch as `generate` runs it: left padding, one prefill, then decode."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from costaudit.record.engines.engine import ReplayedSpan, Timing
from costaudit.target.load import StepLoad, prefill_load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.record.engines.clock import Clock


class Forward(Protocol):
    """One step: greedy next tokens, [seqs, 1]."""

    def __call__(self, phase: str, ids: Any, cache: Any, **inputs: Any) -> Any:
        """Run the step."""


def left_padding(width: int, prompts: Sequence[int], device: Any) -> Any:
    """Attention mask [seqs, width]: 0 for the padding in front of each prompt, else 1."""
    import torch

    pads = torch.tensor([width - prompt for prompt in prompts], device=device)
    return (torch.arange(width, device=device)[None] >= pads[:, None]).long()


def run_static_batch(
    forward: Forward, ids: Any, lengths: Sequence[tuple[int, int]], *, clock: Clock, cache: Any
) -> tuple[list[ReplayedSpan], list[float]]:
    """Prefill `ids` [seqs, longest prompt] under left padding, then decode to the longest output.

    Rows that are finished stay in the batch. Returns the spans and, for each token of the longest
    output, the device seconds from the batch's start until it was there.
    """
    import torch

    seqs, width = ids.shape
    outputs = max(output for _, output in lengths)
    mask = left_padding(width, [prompt for prompt, _ in lengths], ids.device)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    column = mask.new_ones(seqs, 1)
    clock.wait()
    walls, marks = [time.perf_counter()], [clock.mark()]
    tokens = forward("prefill", ids, cache, attention_mask=mask, position_ids=positions)
    marks.append(clock.mark())
    if outputs > 1:
        clock.wait()
    walls.append(time.perf_counter())
    positions = positions[:, -1:]
    for _ in range(outputs - 1):
        mask = torch.cat([mask, column], dim=-1)
        positions = positions + 1
        tokens = forward("decode", tokens, cache, attention_mask=mask, position_ids=positions)
        marks.append(clock.mark())
    token_s = clock.seconds(*marks)
    walls.append(time.perf_counter())
    return _spans(seqs, width, token_s, walls, clock.name), token_s


def _spans(
    seqs: int, width: int, token_s: Sequence[float], walls: Sequence[float], clock: str
) -> list[ReplayedSpan]:
    """The loads as they were run, padding and finished rows included."""
    steps = len(token_s) - 1
    prefill = ReplayedSpan(
        phase="prefill",
        steps=1,
        load=prefill_load(new_tokens=width, seqs=seqs),
        timing=Timing(seconds=token_s[0], wall_s=walls[1] - walls[0], clock=clock),
    )
    if not steps:
        return [prefill]
    context = seqs * (steps * width + steps * (steps - 1) // 2)
    decode = ReplayedSpan(
        phase="decode",
        steps=steps,
        load=StepLoad(decode_seqs=seqs * steps, decode_context_tokens=context),
        timing=Timing(seconds=token_s[-1] - token_s[0], wall_s=walls[2] - walls[1], clock=clock),
    )
    return [prefill, decode]
