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
CAUTIOUS_CONTEXT_TOKENS = 2048  # where the server does not tell …
# … and where a prompt beyond it kills the worker for good: no model in use holds less.
CAUTIOUS_BY_ENGINE = {"transformers-serve": 1024}
# Of the context, where a prompt may turn out longer than it was meant to be: the server counted one
# prompt of ours, or none (a word is 1.3 tokens of most vocabularies, and more of some).
COUNTED_SHARE, GUESSED_SHARE = 0.8, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the server and the limits allow: context of a request, tokens in the KV cache, streams.

    `kv_tokens` None: not told; then the limit on concurrency alone rules.
    """

    context_tokens: int
    kv_tokens: int | None
    concurrency: int
    longest_prompt_tokens: int


def bounds_of(
    options: ServerOptions, workload: Workload, found: Found, *, exact: bool = True
) -> Bounds:
    """The longest prompt that the workload reaches decides how far the prefill probes go.

    `exact`: prompts are as long as they are meant to be.
    """
    context = context_tokens(found, share=sure_share(options, found, exact=exact))
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


def sure_share(options: ServerOptions, found: Found, *, exact: bool) -> float:
    """How much of the context may be asked for, so that no prompt turns out longer than it."""
    if exact:
        return 1.0
    return GUESSED_SHARE if found.calibration is None and not options.tokenizer else COUNTED_SHARE


def context_tokens(found: Found, *, share: float = 1.0) -> int:
    """Longest prompt plus output that may be asked for: a share of what the server takes.

    What the user gives as `max_model_len` comes before what the server tells.
    """
    given = found.target.knobs.get("max_model_len")
    known = (given, found.max_context_tokens) if given is not None else (found.max_context_tokens,)
    context = CAUTIOUS_BY_ENGINE.get(found.target.engine, CAUTIOUS_CONTEXT_TOKENS)
    for told in known:
        if isinstance(told.value, (int, float)) and told.value > 0:
            context = int(told.value)
            break
    return int(context * share)


def kv_tokens(found: Found) -> int | None:
    """Tokens that the KV cache holds; None where the server does not tell."""
    total = _count(found, "tokens_total")
    blocks, size = _count(found, "blocks_total"), _count(found, "block_size_tokens")
    if total is None and blocks is not None and size is not None:
        total = blocks * size
    return None if total is None else int(total)


def _count(found: Found, name: str) -> float | None:
    told = found.kv.get(name)
    value = None if told is None else told.value
    return float(value) if isinstance(value, (int, float)) and value > 0 else None
