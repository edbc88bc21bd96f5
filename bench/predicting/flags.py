"""vLLM's flags as what-ifs: what a command line changes in the scenario of a recording."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from costaudit.audit.scenario import NULL_BLOCKS
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.whatif.scenario import Knobs

COUNTS = {
    "--max-num-seqs": "max_num_seqs",
    "--max-num-batched-tokens": "max_num_batched_tokens",
    "--block-size": "kv_block_tokens",
}
SWITCHES = {"enable-prefix-caching": "prefix_caching", "enable-chunked-prefill": "chunked_prefill"}
POOL, BLOCKS = "--kv-cache-memory-bytes", "--num-gpu-blocks-override"


def changed(knobs: Knobs, before: Sequence[str], flags: Sequence[str], *, pool: int) -> Knobs:
    """The knobs once `flags` stand behind those of `before`; `pool` bytes are the default pool.

    Raises:
        UsageError: a flag that the what-if engine does not model.
    """
    bytes_before = int(_last(before, POOL) or pool)
    held = knobs.kv_budget_tokens + NULL_BLOCKS * knobs.kv_block_tokens
    token_bytes = bytes_before / held
    place = 0
    while place < len(flags):
        flag, value = flags[place], flags[place + 1] if place + 1 < len(flags) else ""
        place += 1
        name = flag.removeprefix("--no-").removeprefix("--")
        if name in SWITCHES:
            switched: dict[str, Any] = {SWITCHES[name]: not flag.startswith("--no-")}
            knobs = replace(knobs, **switched)
            continue
        place += 1
        if flag in COUNTS:
            counted: dict[str, Any] = {COUNTS[flag]: int(value)}
            knobs = replace(knobs, **counted)
        elif flag not in {POOL, BLOCKS}:
            raise UsageError(f"what {flag} does is not modelled")
    size = knobs.kv_block_tokens
    blocks = int(int(_last((*before, *flags), POOL) or pool) / (token_bytes * size))
    blocks = int(_last((*before, *flags), BLOCKS) or blocks)
    return replace(knobs, kv_budget_tokens=(blocks - NULL_BLOCKS) * size)


def _last(flags: Sequence[str], name: str) -> str | None:
    """The value of the last such flag, which rules."""
    given = [value for flag, value in pairwise(flags) if flag == name]
    return given[-1] if given else None
