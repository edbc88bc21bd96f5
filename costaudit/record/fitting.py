"""Brings a declared workload down to what the model's context and the time budget allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.probe.draw import DrawnRequest, context_scale, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from costaudit.probe.workload import Workload

Lengths = tuple[tuple[int, int], ...]  # (prompt, output) tokens of each request
_HALVINGS_AT_MOST = 12
_FEWEST_BATCHES = 2  # with one batch nothing ever waits for a place


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A workload as it will be run; `scale_why` is empty where nothing was scaled."""

    requests: tuple[DrawnRequest, ...]
    scale: float
    scale_why: str
    requests_why: str

    def batches(self, size: int) -> tuple[tuple[DrawnRequest, ...], ...]:
        """Static batches in order of arrival."""
        return tuple(
            self.requests[start : start + size] for start in range(0, len(self.requests), size)
        )


def lengths_of(batch: Sequence[DrawnRequest]) -> Lengths:
    """(prompt, output) lengths of a batch."""
    return tuple((r.prompt_tokens, r.output_tokens) for r in batch)


def fit_workload(
    workload: Workload,
    *,
    max_context_tokens: int,
    batch_size: int,
    budget_s: float,
    batch_s: Callable[[Lengths], float],
    seed: int,
    scale: float | None = None,
    requests: int | None = None,
) -> Fitted:
    """The longest lengths, then the most requests, whose replay fits in `budget_s`.

    Fewer requests are taken before lengths are cut. Both go by factors of two, so that small
    differences in speed between two runs do not change what is run. `scale`, where the user
    gives it, is kept and only the number of requests follows the budget; so is `requests`.
    `batch_s` estimates one static batch.
    """
    fits = context_scale(workload, max_context_tokens)
    if scale is not None:
        factors = {min(scale, fits): f"factor {scale:g} as asked for" if scale < fits else ""}
    else:
        allowed = "the time budget allows no more than 1/{} of that"
        factors = {
            fits / 2**n: allowed.format(2**n) if n else "" for n in range(_HALVINGS_AT_MOST + 1)
        }
    limit = f"the model's context holds {max_context_tokens} tokens" if fits < 1 else ""
    for factor, reason in factors.items():
        for count in [requests] if requests else _counts(workload.requests, batch_size):
            fitted = Fitted(
                requests=draw(workload, requests=count, scale=factor, seed=workload.seed + seed),
                scale=factor,
                scale_why="; ".join(filter(None, (limit, reason))),
                requests_why="as asked for" if requests else _fewer(count, workload.requests),
            )
            if sum(batch_s(lengths_of(b)) for b in fitted.batches(batch_size)) <= budget_s:
                return fitted
    return fitted  # the least there is; it takes longer than wished


def _counts(declared: int, batch_size: int) -> list[int]:
    """The declared number of requests, then whole batches: …, 8, 4, 2."""
    batches = 1 << max(0, (declared - 1) // batch_size).bit_length()
    counts = [declared]
    while batches >= _FEWEST_BATCHES:
        if batches * batch_size < declared:
            counts.append(batches * batch_size)
        batches //= 2
    return counts


def _fewer(count: int, declared: int) -> str:
    return "" if count == declared else f"{count} of {declared} requests fit in the time budget"
