"""How a server's busy seconds divide into prefill and decode, from its own totals.

A device runs one step at a time for all requests in it. The server's sums count each request's
seconds, so 64 requests that decode together add 64 seconds to the one sum while one prefill adds
about one to the other: divided by request-seconds, as OpenCost does (docs/inference-cost-tracking,
"Input/Output Cost Split": sum of prefill seconds : sum of seconds per output token), prompts cost
too little by about the number of requests that decode together. Here device seconds are divided:

    at most   the requests' prefill seconds, and no more than all busy ones: as if no two prefills
              shared a step and no step with a prefill decoded; no more than their part of all
              computed tokens, since a prompt token costs no more than a generated one (it shares
              its pass over the weights with more tokens and looks back at half the context); with
              several windows of one model no more than what steps took above an empty one
              (`step_costs`)
    at least  busy − steps · mean gap between tokens, since a step with a decode in it is no longer
              than that gap, and may hold prefill work
    point     seconds per computed prompt token · tokens, where several windows tell the former
              apart from what a decoding sequence takes; else the middle
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.ground.stats import Interval
from costaudit.measure.window import RUNNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.measure.window import Window

FEWEST = 6  # windows that a fit of three terms needs
LEAST_SPREAD = 0.1  # standard deviation over mean of a term; else nothing can be told
MOST_ALIKE = 0.98  # correlation of both terms; above it they cannot be told from each other


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCosts:
    """Seconds of a step: `empty_s` whatever is in it, `prefill_token_s` for each prompt token.

    The latter is None where prompt tokens and decoding sequences always came together.
    """

    empty_s: float
    prefill_token_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSeconds:
    """Seconds of one device set in a window: `busy_s` is prefill plus decode.

    `prefill_bounds_s` are what the server's totals allow; `fitted`: the point is from a fit over
    several windows. `request_prefill_s`, `request_gaps_s` are sums over requests.
    """

    busy_s: float
    prefill_s: float
    prefill_bounds_s: Interval
    fitted: bool
    request_prefill_s: float
    request_gaps_s: float

    @property
    def prefill_share(self) -> float:
        """Prefill's share of the busy device seconds."""
        return self.prefill_s / self.busy_s

    @property
    def by_requests_share(self) -> float:
        """What division by request-seconds makes of it."""
        return self.request_prefill_s / (self.request_prefill_s + self.request_gaps_s)


def phase_seconds(w: Window, costs: StepCosts | None = None) -> PhaseSeconds | None:
    """The division of a window; None where the server does not tell enough, or did nothing."""
    busy_s, prefill, gaps = busy(w), w.spread("latency.prefill"), w.spread("latency.itl")
    if not busy_s or prefill is None or gaps is None or gaps.mean is None:
        return None
    low, high = 0.0, min(busy_s, prefill.total)
    steps, computed = w.spread("batch.iteration_tokens"), computed_prompt_tokens(w)
    if steps is not None:
        empty_s = 0.0 if costs is None else costs.empty_s
        high = min(high, max(0.0, busy_s - steps.count * empty_s))
        low = min(high, max(0.0, busy_s - steps.count * gaps.mean))
    made = w.grown("tokens.generation_total")
    if computed is not None and made is not None and computed + made > 0:
        high = min(high, busy_s * computed / (computed + made))
        low = min(low, high)
    token_s = None if costs is None else costs.prefill_token_s
    point = (low + high) / 2
    if token_s is not None and computed is not None:
        point = min(high, max(low, token_s * computed))
    return PhaseSeconds(
        busy_s=busy_s,
        prefill_s=point,
        prefill_bounds_s=Interval(low=low, high=high),
        fitted=token_s is not None and computed is not None,
        request_prefill_s=prefill.total,
        request_gaps_s=gaps.total,
    )


def busy(w: Window) -> float | None:
    """Seconds with work on the device: counted by the server, else readings with requests in it."""
    counted = w.grown("gpu.busy_seconds_total")
    if counted:
        return min(counted, w.seconds)
    running = w.levels(RUNNING)
    return None if running is None else running.above_zero_share * w.seconds


def computed_prompt_tokens(w: Window) -> float | None:
    """Prompt tokens that were computed, not found in the cache."""
    computed = w.grown("tokens.prompt_computed_total")
    if computed is not None:
        return computed
    prompt, cached = w.grown("tokens.prompt_total"), w.grown("tokens.prompt_cached_total")
    hits = cached if cached is not None else w.grown("prefix.hits_total")
    return None if prompt is None else prompt - (hits or 0.0)


def step_costs(windows: Sequence[Window]) -> StepCosts | None:
    """What a step takes, from windows of one model on one kind of device.

    The mean gap between tokens is fitted as empty step + tokens prefilled + sequences decoded per
    step, each with a weight of at least zero (least squares of relative errors). None where the
    windows are too few or too alike.
    """
    rows = [row for w in windows if (row := _row(w)) is not None]
    if len(rows) < FEWEST:
        return None
    import numpy as np
    from scipy.optimize import nnls

    gaps, tokens, seqs = np.array(rows).T
    if min(tokens.std() / max(tokens.mean(), 1e-12), seqs.std() / seqs.mean()) < LEAST_SPREAD:
        return None
    weights, _ = nnls(np.column_stack([1 / gaps, tokens / gaps, seqs / gaps]), np.ones(len(rows)))
    apart = abs(np.corrcoef(tokens, seqs)[0, 1]) < MOST_ALIKE
    return StepCosts(
        empty_s=float(weights[0]), prefill_token_s=float(weights[1]) if apart else None
    )


def _row(w: Window) -> tuple[float, float, float] | None:
    """Mean gap between tokens, computed prompt tokens and generated tokens per step."""
    steps, gaps = w.spread("batch.iteration_tokens"), w.mean("latency.itl")
    computed, made = computed_prompt_tokens(w), w.grown("tokens.generation_total")
    if steps is None or not gaps or computed is None or not made:
        return None
    return gaps, computed / steps.count, made / steps.count
