"""One static batch as `generate` runs it: left padding, one prefill, then decode."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from costaudit.record.engines.engine import ReplayedSpan, Timing
from costaudit.target.load import StepLoad, prefill_load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from costaudit.record.engines.clock import Clock


class Forward(Protocol):
    """One step: greedy next tokens, [seqs, 1]."""

    def __call__(self, phase: str, ids: Any, cache: Any, step: Any = None, **inputs: Any) -> Any:
        """Run the step, or the captured one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """How steps are run and timed; `captured` makes one step of its inputs, or None."""

    forward: Forward
    captured: Callable[..., Any]
    clock: Clock


def left_padding(width: int, prompts: Sequence[int], device: Any) -> Any:
    """Attention mask [seqs, width]: 0 for the padding in front of each prompt, else 1."""
    import torch

    pads = torch.tensor([width - prompt for prompt in prompts], device=device)
    return (torch.arange(width, device=device)[None] >= pads[:, None]).long()


def run_static_batch(
    driven: Driven, ids: Any, lengths: Sequence[tuple[int, int]], *, cache: Any, room: int
) -> tuple[list[ReplayedSpan], list[float]]:
    """Prefill `ids` [seqs, longest prompt] under left padding, then decode to the longest output.

    Rows that are finished stay in the batch; the cache has `room` for all tokens where it does not
    grow. Returns the spans and, for each token of the longest output, the device seconds from the
    batch's start until it was there.
    """
    forward, clock = driven.forward, driven.clock
    seqs, width = ids.shape
    outputs = max(output for _, output in lengths)
    mask = left_padding(width, [prompt for prompt, _ in lengths], ids.device)
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    told = {"attention_mask": mask, "position_ids": positions}
    prefill = driven.captured(input_ids=ids, **told)
    decode = _decoder(driven, ids, cache, told, room) if outputs > 1 else None
    clock.wait()
    walls, marks = [time.perf_counter()], [clock.mark()]
    tokens = forward("prefill", ids, cache, prefill, **told)
    marks.append(clock.mark())
    if outputs > 1:
        clock.wait()
    walls.append(time.perf_counter())
    while decode and len(marks) <= outputs:
        tokens = decode(tokens)
        marks.append(clock.mark())
    token_s = clock.seconds(*marks)
    walls.append(time.perf_counter())
    return _spans(seqs, width, token_s, walls, clock.name), token_s


def _decoder(
    driven: Driven, ids: Any, cache: Any, told: Mapping[str, Any], room: int
) -> Callable[[Any], Any]:
    """Tokens → next tokens, each call one position further than what the prefill was `told`.

    A captured step has one mask for all positions: those ahead are hidden by causality.
    """
    import torch

    mask, positions = told["attention_mask"], told["position_ids"]
    column, place = mask.new_ones(len(ids), 1), positions[:, -1:].clone()
    whole = torch.cat([mask, column.expand(-1, room - mask.shape[1])], dim=-1)
    step = driven.captured(input_ids=ids[:, :1], attention_mask=whole, position_ids=place)
    seen = mask

    def decode(tokens: Any) -> Any:
        nonlocal seen
        place.add_(1)
        if step is not None:
            return driven.forward("decode", tokens, cache, step, position_ids=place)
        seen = torch.cat([seen, column], dim=-1)
        return driven.forward("decode", tokens, cache, attention_mask=seen, position_ids=place)

    return decode


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
