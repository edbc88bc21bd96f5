"""Speed-ups of low-precision kernels, which depend on the work that one kernel gets."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from costaudit.target import work

if TYPE_CHECKING:
    from costaudit.whatif.scenario import Scenario

# (work, least speed-up, most speed-up), rising in the work; between two points linear in its
# logarithm, beyond the ends as at them.
Curve = tuple[tuple[float, float, float], ...]
Bounds = tuple[float, float]

UNKNOWN_ROWS = 128  # of an open load, whose rows nobody knows: where 4 bits gain nothing


def speedup(curve: Curve, size: float) -> Bounds:
    """The least and the most speed-up at this size of work."""
    if size <= curve[0][0]:
        return curve[0][1:]
    for (left, *before), (right, *after) in pairwise(curve):
        if size <= right:
            part = math.log(size / left) / math.log(right / left)
            low, high = (a + part * (b - a) for a, b in zip(before, after, strict=True))
            return low, high
    return curve[-1][1:]


# Layers alone against layers in a step, whose attention stays as it is; a judgement.
MEASURED_MARGIN = 0.15


def measured(scenario: Scenario, form: str) -> Curve | None:
    """What the recording saw a format do to this model's own layers, give or take; None: not."""
    points = dict(scenario.low_bit).get(form)
    if not points:
        return None
    margin = 1 + MEASURED_MARGIN
    return tuple((rows, ratio / margin, ratio * margin) for rows, ratio in points)


def decoding_rows(scenario: Scenario) -> int:
    """Rows of a decode step by the demand; a cap on them is other steps' matter."""
    return scenario.traffic.concurrency or UNKNOWN_ROWS


def over_products(curve: Curve, scenario: Scenario) -> Bounds:
    """Speed-up of all products: prompts at their length's rows, answers at those of decoding."""
    requests = scenario.traffic.requests
    prompts, answers = scenario.traffic.prompt_tokens, scenario.traffic.output_tokens
    if not prompts + answers:
        return speedup(curve, decoding_rows(scenario))
    length = sum(r.prompt_tokens**2 for r in requests) / max(1, prompts)
    part = prompts / (prompts + answers)
    pairs = zip(speedup(curve, length), speedup(curve, decoding_rows(scenario)), strict=True)
    low, high = (1 / (part / long + (1 - part) / short) for long, short in pairs)
    return low, high


def cache_bytes_per_kernel(scenario: Scenario) -> float:
    """KV bytes that one attention kernel of a decode step reads, on one device.

    Of an open load, whose rows nobody knows, those of a single sequence.
    """
    requests, fitted = scenario.traffic.requests, scenario.step_time
    weights = [max(1, r.output_tokens) for r in requests] or [1]
    held = [r.prompt_tokens + r.output_tokens / 2 for r in requests] or [0.0]
    context = sum(h * w for h, w in zip(held, weights, strict=True)) / sum(weights)
    rows = scenario.traffic.concurrency or 1
    whole = rows * work.kv_bytes(scenario.shape, context, fitted.kv_element_bytes)
    return whole / scenario.shape.layers / max(1, fitted.peaks.devices)
