"""What requests have in common, by the blocks that a cache could keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costaudit.traffic.traffic import Request, Traffic


def repeated_share(traffic: Traffic, block_tokens: int) -> float:
    """Share of prompt tokens that lie in a whole block seen before, were nothing ever evicted."""
    longest: dict[int, int] = {}
    hashes: set[int] = set()
    repeated = 0
    for request in traffic.requests:
        if request.block_hashes:
            known = _known_blocks(request, hashes) * traffic.hash_block_tokens
            repeated += known - known % block_tokens
            hashes.update(request.block_hashes)
        elif request.prefix_id is not None:
            whole = request.prefix_tokens - request.prefix_tokens % block_tokens
            seen = longest.get(request.prefix_id, 0)
            repeated += min(whole, seen)
            longest[request.prefix_id] = max(whole, seen)
    return repeated / max(1, traffic.prompt_tokens)


def _known_blocks(request: Request, seen: set[int]) -> int:
    """Leading blocks that came before: each hash stands for all blocks in front of it too."""
    known = 0
    for block in request.block_hashes:
        if block not in seen:
            break
        known += 1
    return known
