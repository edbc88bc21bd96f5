"""Seconds of steps: what `StepTime` says, from the numbers of `Rates`."""

# ruff: noqa: PLR0917 - compiled functions take their numbers in order
from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

    from costaudit.whatif.scheduler.state import Rates, Window

    Windows = Sequence[Window]
    Seconds = MutableSequence[float]

# Places in each of the sets of `State.seconds`: terms, then margins of the roofline.
OVERHEAD, SEQUENCES, WEIGHTS, KV, DECODE, PREFILL, LINK = range(7)
TERM_COUNT = 7
MARGIN_COUNT = 6
SET = TERM_COUNT + MARGIN_COUNT
FIRST, LAST, DRAFT = 0, SET, 2 * SET  # of a stretch of steps; drafting has two sets of its own
SUMS = 4 * SET  # where the terms of all steps add up
PLACES = SUMS + TERM_COUNT


def weights_read_s(r: Rates, rows: float) -> float:
    """Reading the weights that `rows` rows touch, at peak: routed experts fill up slowly."""
    if r.routed_weights_s == 0.0:
        return r.weights_s
    missed: float = r.routed_miss_share**rows
    return r.weights_s - r.routed_weights_s * missed


def seen_tokens(windows: Windows, rows: float, context: float) -> float:
    """Tokens that decoding rows see, themselves included, summed over layers."""
    if rows <= 0.0:
        return 0.0
    each = context / rows + 1.0
    total = 0.0
    for i in range(len(windows)):
        total += windows[i].layers * min(windows[i].tokens, each)
    return rows * total


def layer_pairs(windows: Windows, tokens: float, pairs: float, prompts: float) -> float:
    """Query-key pairs of the prompts, summed over layers; windows as in `target.work`."""
    new = tokens / max(prompts, 1.0)
    cached = max(pairs / tokens - (new + 1.0) / 2.0, 0.0)
    total = 0.0
    for i in range(len(windows)):
        window = windows[i].tokens
        if window == math.inf:
            total += windows[i].layers * pairs
        else:
            growing = min(max(window - cached, 0.0), new)
            own = growing * cached + growing * (growing + 1.0) / 2.0 + (new - growing) * window
            total += windows[i].layers * max(prompts, 1.0) * own
    return total


def load_terms(
    r: Rates,
    windows: Windows,
    out: Seconds,
    at: int,
    tokens: float,
    pairs: float,
    prompts: float,
    rows: float,
    context: float,
) -> float:
    """Seconds of one step on a whole replica; its terms into `out` from `at` on.

    A pipeline works on as many parts of the load as it has stages (or sequences, if fewer); a
    sequence needs the time of one part through all stages for its next token.
    """
    parts = max(1.0, min(r.stages, rows + prompts))
    tokens, pairs, prompts = tokens / parts, pairs / parts, prompts / parts
    rows, context = rows / parts, context / parts
    total = _part_terms(r, windows, out, at, tokens, pairs, prompts, rows, context, r.width)
    if r.draft_share > 0.0 and rows > 0.0:
        draft = at + DRAFT
        drafted = _part_terms(r, windows, out, draft, 0.0, 0.0, 0.0, rows, context, 1.0)
        total += r.draft_share * drafted
        for i in range(TERM_COUNT):
            out[at + i] += r.draft_share * out[draft + i]
    return total


def _part_terms(
    r: Rates,
    windows: Windows,
    out: Seconds,
    at: int,
    tokens: float,
    pairs: float,
    prompts: float,
    rows: float,
    context: float,
    width: float,
) -> float:
    """The same for one part; a row computes `width` tokens and reads its cache once for them."""
    wide, every = rows * width, tokens + rows * width
    seen = seen_tokens(windows, rows, context)
    weights = weights_read_s(r, every)
    linear = attention = 0.0
    if tokens > 0.0:
        linear = r.prompt_token_s * tokens + r.prompt_s * prompts
        attention = r.pair_s * layer_pairs(windows, tokens, pairs, prompts)
    decode = r.row_flops_s * wide + r.seen_flops_s * seen * width
    out[at + OVERHEAD] = r.overhead_s + r.together_s * (1.0 - 1.0 / max(rows + prompts, 1.0))
    out[at + SEQUENCES] = r.sequence_s * (rows + prompts) + r.entry_s * prompts
    out[at + WEIGHTS] = (r.weights_cost + (r.gemm_cost if every > 1.0 else 0.0)) * weights
    out[at + KV] = r.cache_cost * r.cache_copies * r.cache_s * seen
    out[at + DECODE] = r.decode_cost * decode
    out[at + PREFILL] = r.prefill_cost * (linear + attention) + r.attention_cost * attention
    out[at + LINK] = r.link_row_s * every + r.link_step_s
    if r.ideal > 0.0:
        read = weights_read_s(r, wide) if rows > 0.0 else 0.0
        prefill = 0.0
        if tokens > 0.0:
            prefill = max(linear + attention, weights - read + r.cache_write_s * tokens)
        by_rows = r.row_flops_s * wide
        _ideal_terms(out, at, prefill, by_rows, decode - by_rows, read, r.cache_s * seen)
    total = 0.0
    for i in range(TERM_COUNT):
        total += out[at + i]
    return total


def _ideal_terms(
    out: Seconds,
    at: int,
    prefill: float,
    row_flops: float,
    seen_flops: float,
    weights: float,
    cache: float,
) -> None:
    """The roofline instead of the fitted kernels, never above them: see `whatif.roofline`."""
    fitted = out[at + WEIGHTS] + out[at + KV] + out[at + DECODE] + out[at + PREFILL]
    fitted += out[at + LINK]
    left = fitted - prefill
    to = at + TERM_COUNT
    by_flops, by_bytes = row_flops + seen_flops, weights + cache
    out[to], out[to + 1] = by_flops - by_bytes, left
    out[to + 2], out[to + 3] = left - row_flops, left - weights
    out[to + 4], out[to + 5] = left - by_flops, left - by_bytes
    if by_flops > by_bytes:
        weights, cache = row_flops, seen_flops
    left = fitted
    out[at + PREFILL] = max(min(prefill, left), 0.0)
    left -= out[at + PREFILL]
    out[at + WEIGHTS] = max(min(weights, left), 0.0)
    left -= out[at + WEIGHTS]
    out[at + KV] = max(min(cache, left), 0.0)
    out[at + DECODE] = 0.0
    out[at + LINK] = 0.0


def decode_terms(
    r: Rates, windows: Windows, out: Seconds, at: int, rows: float, context: float
) -> float:
    """Seconds of one step without prompts."""
    return load_terms(r, windows, out, at, 0.0, 0.0, 0.0, rows, context)


def stretch_end(
    r: Rates, windows: Windows, out: Seconds, rows: float, context: float, first: int, steps: int
) -> int:
    """End (exclusive) of the steps from `first` on in which every term is linear in the step.

    Leaves the terms of the first and the last of them in `out`.
    """
    end = steps
    for i in range(len(windows)):
        if windows[i].tokens < math.inf:
            fills = math.ceil((windows[i].tokens - context / rows - 1.0) / r.gain)
            if first < fills < end:
                end = fills
    grown = rows * r.gain
    decode_terms(r, windows, out, FIRST, rows, context + grown * first)
    decode_terms(r, windows, out, LAST, rows, context + grown * (end - 1))
    if r.ideal > 0.0:
        bend = min(_bend(out, FIRST, first, end), _bend(out, DRAFT, first, end))
        if bend < end:
            end = bend
            decode_terms(r, windows, out, LAST, rows, context + grown * (end - 1))
    return end


def _bend(out: Seconds, at: int, first: int, end: int) -> int:
    """Step up to which no margin of the roofline changes its sign."""
    bend = end
    for i in range(at + TERM_COUNT, at + SET):
        left, right = out[i], out[i + SET]
        if left * right <= 0.0 and left != right:
            near = first + (math.floor((end - 1 - first) * left / (left - right)))
            bend = min(bend, near + 1)
    return bend


def run_s(
    r: Rates, windows: Windows, out: Seconds, rows: float, context: float, steps: int
) -> float:
    """Seconds of `steps` decode steps in a row."""
    total, first = 0.0, 0
    while first < steps:
        end = stretch_end(r, windows, out, rows, context, first, steps)
        both = 0.0
        for i in range(TERM_COUNT):
            both += out[FIRST + i] + out[LAST + i]
        total += (end - first) * both / 2.0
        first = end
    return total


def steps_lasting(
    r: Rates,
    windows: Windows,
    out: Seconds,
    rows: float,
    context: float,
    most: int,
    wait_s: float,
) -> int:
    """Fewest steps that last `wait_s`, at most `most`; step times change little, so few guesses."""
    high_s = run_s(r, windows, out, rows, context, most)
    if high_s < wait_s:
        return most
    low, low_s, high = 0, 0.0, most
    start_s = decode_terms(r, windows, out, FIRST, rows, context)
    bend_s = max(high_s / most - start_s, 0.0) / max(most - 1, 1)  # half of what each step adds
    even_s = start_s - bend_s
    root = math.sqrt(even_s * even_s + 4.0 * bend_s * wait_s)
    guess, guesses = (math.ceil(2.0 * wait_s / (even_s + root))), 0
    while high - low > 1:
        guess = min(max(guess, low + 1), high - 1)
        guess_s = run_s(r, windows, out, rows, context, guess)
        guesses += 1
        if guess_s < wait_s:
            low, low_s = guess, guess_s
            guess = low + 1
        else:
            high, high_s = guess, guess_s
            guess = high - 1
        if guesses > 1:
            guess = low + (math.ceil((wait_s - low_s) / (high_s - low_s) * (high - low)))
    return high
