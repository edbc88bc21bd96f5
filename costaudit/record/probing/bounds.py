"""How far probing may go: what the server holds, what the limits allow, what the workload needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.probe.draw import context_scale, draw

if TYPE_CHECKING:
    from costaudit.probe.workload import Workload
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.servers.found import Found

DEFAULT_CONCURRENCY = 8  # where the workload has arrivals and no concurrency
CAUTIOUS_CONTEXT_TOKENS = 2048  # where the server does not tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the server and the limits allow: context of a request, tokens in the KV cache, streams.

    `kv_tokens` None: not told; then the limit on concurrency alone rules.
    """

    context_tokens: int
    kv_tokens: int | None
    concurrency: int
    longest_prompt_tokens: int


def bounds_of(options: ServerOptions, workload: Workload, found: Found) -> Bounds:
    """The longest prompt that the workload reaches decides how far the prefill probes go."""
    context = context_tokens(found)
    scale = options.scale or context_scale(workload, context)
    return Bounds(
        context_tokens=context,
        kv_tokens=kv_tokens(found),
        concurrency=min(options.limits.concurrency, 2 * concurrency(options, workload)),
        longest_prompt_tokens=max(r.prompt_tokens for r in draw(workload, scale=scale)),
    )


def concurrency(options: ServerOptions, workload: Workload) -> int:
    """Streams of the replay: asked for, or the workload's, within the limit."""
    wanted = options.concurrency or workload.concurrency or DEFAULT_CONCURRENCY
    return min(wanted, options.limits.concurrency)


def context_tokens(found: Found) -> int:
    """Longest prompt plus output that the server takes."""
    told = found.max_context_tokens.value
    if isinstance(told, (int, float)) and told > 0:
        return int(told)
    return CAUTIOUS_CONTEXT_TOKENS


def kv_tokens(found: Found) -> int | None:
    """Tokens that the KV cache holds; None where the server does not tell."""
    told = found.kv.get("tokens_total")
    if told is None or not isinstance(told.value, (int, float)):
        return None
    return int(told.value)
