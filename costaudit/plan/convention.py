"""The two well-known orders, to be priced beside the one that was searched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.playbook.step import Step

_LATE = ("reserved-capacity",)

# "Quantize first": shrink the model, then see. "Page and batch first": fix the serving, then
# shrink. Both are common advice in guides to LLM serving.
CONVENTIONS: Mapping[str, tuple[str, ...]] = {
    "quantize first": (
        "weight-quantization",
        "w8a8",
        "kv-cache-quantization",
        "continuous-batching",
        "paged-kv-cache",
        "prefix-caching",
        *_LATE,
    ),
    "page and batch first": (
        "paged-kv-cache",
        "continuous-batching",
        "prefix-caching",
        "weight-quantization",
        "w8a8",
        "kv-cache-quantization",
        *_LATE,
    ),
}


def conventional(name: str, steps: Sequence[Step], best: Sequence[str] = ()) -> tuple[str, ...]:
    """The steps that the convention names, in its order, those that do harm included.

    Steps that it does not name follow where the best order takes them, so that both have the same
    to choose from; commitments come last. Of two that exclude each other the first is taken.
    """
    known = CONVENTIONS[name]
    places = {step_id: place for place, step_id in enumerate(dict.fromkeys((*known, *best)))}
    ordered = sorted(
        (step for step in steps if step.id in places),
        key=lambda step: (step.last, places[step.id]),
    )
    taken: list[Step] = []
    for step in ordered:
        if not any(step.id in other.excludes or other.id in step.excludes for other in taken):
            taken.append(step)
    return tuple(step.id for step in taken)
