"""Prompts that begin alike, by the hashes of their blocks.

A block's hash stands for its own tokens and all before them, as in vLLM's prefix cache; only full
blocks can be shared.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from statistics import median
from typing import TYPE_CHECKING, Any

from costaudit.traffic.demand import PrefixShare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from costaudit.traffic.engine import Engine
    from costaudit.traffic.layout import Head, Layout

    Prompt = tuple[int, Sequence[Any]]  # prompt tokens, hashes of its full blocks

STRETCH_PROMPTS = 20_000  # of the log's beginning, replayed against caches of several sizes
STRETCH_BLOCKS = 250_000
SMALLEST_CACHE_TOKENS = 1 << 16
SIZE_STEP = 4


def block_list(column: Any) -> Any:
    """Block hashes as an array; of text, `[1, 2]`, one of texts."""
    if not column.type().is_string():
        return column
    return column.re_replace(r"[\[\]\s\"]", "").nullif("").split(",")


def block_tokens(head: Head, layout: Layout) -> int | None:
    """Tokens of a block, such that the first prompts have as many hashes as they should.

    A prompt of p tokens has ⌈p/b⌉ hashes, or ⌊p/b⌋ where only full blocks are hashed; each prompt
    bounds b from both sides. Of what is left the power of two is taken, if there is one.
    """
    column, prompt = layout.columns.get("block_hashes"), layout.columns.get("prompt_tokens")
    if column is None or prompt is None:
        return None
    pairs = [
        (int(float(row[prompt])), len(_items(row[column])))
        for row in head.rows
        if _is_number(row.get(prompt)) and _items(row.get(column))
    ]
    if not pairs:
        return None
    for low, high in (
        (max(p / n for p, n in pairs), min(p / (n - 1) if n > 1 else math.inf for p, n in pairs)),
        (max(p / (n + 1) for p, n in pairs), min(p / n for p, n in pairs)),
    ):
        power = 1 << max(0, math.ceil(math.log2(max(low, 1))))
        if low <= power <= high:
            return power
    return max(1, round(median(p / n for p, n in pairs)))


def with_full_blocks(rows: ir.Table, size: int) -> ir.Table:
    """Sound rows with `blocks`, the hashes of their full blocks."""
    sound = rows.filter((rows.code == 0) & rows.block_hashes.notnull())
    hashes = block_list(sound.block_hashes)
    full = (sound.prompt_tokens / size).floor().cast("int64")
    return sound.mutate(blocks=hashes[:full])


def reused_per_window(
    rows: ir.Table, engine: Engine, *, size: int, width_us: int
) -> dict[int, float]:
    """Prompt tokens per window in blocks that came before, at any time: a cache of any size.

    Each block's first appearance is new, every other one is reused.
    """
    full = with_full_blocks(rows, size)
    window = (full.time_us / width_us).floor().cast("int64")
    blocks = full.select(window=window, block=full.blocks.unnest())
    seen = blocks.group_by("block", "window").aggregate(times=blocks.count())
    first = seen.group_by("block").aggregate(first=seen.window.min())
    both = seen.join(first, "block")
    reused = both.times - (both.window == both.first).cast("int64")
    found = both.group_by("window").aggregate(blocks=reused.sum())
    rows_found = engine.records(found)
    return {int(row["window"]): float(row["blocks"]) * size for row in rows_found}


def stretch(rows: ir.Table, engine: Engine, *, size: int) -> list[Prompt]:
    """The first prompts of the log with their full blocks, in order of arrival; bounded."""
    full = with_full_blocks(rows, size)
    picked = full.order_by("time_us", "prompt_tokens", "output_tokens").limit(STRETCH_PROMPTS)
    found: list[Prompt] = []
    blocks = 0
    for row in engine.records(picked.select("prompt_tokens", "blocks")):
        found.append((int(row["prompt_tokens"]), row["blocks"] or ()))
        blocks += len(found[-1][1])
        if blocks > STRETCH_BLOCKS:
            break
    return found


def shares_by_size(prompts: Sequence[Prompt], *, size: int) -> tuple[PrefixShare, ...]:
    """Share of the prompt tokens found in the cache, by its size, up to one that holds them all."""
    distinct = len({block for _, blocks in prompts for block in blocks}) * size
    sizes: list[float] = []
    cache = float(SMALLEST_CACHE_TOKENS)
    while cache < distinct:
        sizes.append(cache)
        cache *= SIZE_STEP
    return tuple(
        PrefixShare(cache_tokens=cache, share=hit_share(prompts, size=size, cache_tokens=cache))
        for cache in (*sizes, math.inf)
    )


def hit_share(prompts: Sequence[Prompt], *, size: int, cache_tokens: float) -> float:
    """Share of prompt tokens that a prefix cache of `cache_tokens` serves (LRU over blocks).

    A prompt hits up to its first block that is missing; all its blocks are then the latest used.
    """
    room = cache_tokens / size
    held: OrderedDict[Any, None] = OrderedDict()
    hits = total = 0
    for tokens, blocks in prompts:
        total += tokens
        matching = True
        for block in blocks:
            if block in held:
                hits += matching
                held.move_to_end(block)
            else:
                matching = False
                held[block] = None
        while len(held) > room:
            held.popitem(last=False)
    return hits * size / total if total else 0.0


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        inner = value.strip().strip("[]")
        return [part for part in inner.split(",") if part.strip()]
    return value if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    try:
        return float(value) > 0
    except (TypeError, ValueError):
        return False
