"""Seconds of one engine iteration: the fitted model and what can be asked of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.target.load import StepLoad
from costaudit.whatif.form import COLUMN_TERM, FRONT, REQUEST, TERMS, Hosted, Peaks, columns
from costaudit.whatif.roofline import light_s, margins_s, roofline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from costaudit.target.shape import ModelShape

__all__ = ("TERMS", "Peaks", "StepTime")

OVERHEAD_TERMS = ("overhead", "sequences")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """A fitted step-time model.

    `coefficients` is keyed by `form.COLUMNS` (an absent one is zero) and REQUEST; a term is the
    sum of its columns' coefficient times value. Time is linear in the context between the points
    where a sliding window fills, which makes `run_s` exact.
    """

    shape: ModelShape
    peaks: Peaks
    param_bytes: float  # bytes per weight
    kv_element_bytes: float
    coefficients: Mapping[str, float]
    draws: tuple[Mapping[str, float], ...] = ()  # posterior draws of the coefficients
    error_p50_share: float | None = None  # of held-out probes
    error_p90_share: float | None = None
    # of simulated loads that it was not fitted to, as standard deviations of logarithms: {"e2e",
    # "ttft", "itl"}, and "repeats", "unsteady"; where those loads had the engine at work
    load_error_share: Mapping[str, float] = field(default_factory=dict)
    load_span: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gap_spread: float = 0.0  # of the gaps that clients see around those of steps; see `Gaps`
    fitted_points: int = 0
    held_out_points: int = 0
    ideal_kernels: bool = False  # terms at the roofline instead of as fitted
    free: bool = False  # fitted without shape or peaks: no roofline, see `free_fit`
    notes: tuple[str, ...] = field(default=())

    def terms_s(self, load: StepLoad) -> Mapping[str, float]:
        """Seconds of one step by TERMS.

        With `ideal_kernels` the roofline stands in "prefill_compute", "weights" and "kv"; the
        link and what compute costs beside the binding resource are then zero.
        """
        fitted = self._fitted_s(load)
        if not self.ideal_kernels:
            return fitted
        light = light_s(roofline(self._part(load), self.hosted), _kernels_s(fitted))
        return {
            "overhead": fitted["overhead"],
            "sequences": fitted["sequences"],
            "weights": light["decode_weights"],
            "kv": light["decode_kv"],
            "decode_compute": 0.0,
            "prefill_compute": light["prefill"],
            "link": 0.0,
        }

    def seconds(self, load: StepLoad) -> float:
        """Seconds of one step: the sum of `terms_s`."""
        return math.fsum(self.terms_s(load).values())

    def run_s(self, load: StepLoad, steps: int) -> Mapping[str, float]:
        """Seconds by term of `steps` decode steps in a row.

        The context grows by `decode_seqs` tokens from step to step; closed form, cost independent
        of `steps`: between two kinks every term is linear in the step, so a stretch costs its
        length times the step in its middle.
        """
        total = dict.fromkeys(TERMS, 0.0)
        first = 0
        for end in self._kinks(load, steps):
            middle = self.terms_s(_after(load, (first + end - 1) / 2))
            for term in TERMS:
                total[term] += (end - first) * middle[term]
            first = end
        return total

    def ideal_s(self, load: StepLoad) -> Mapping[str, float]:
        """Speed of light of one step: {"prefill", "decode_weights", "decode_kv"} seconds.

        The binding roofline term rules: prefill max(FLOPs/peak, its bytes/peak); decode
        max(FLOPs, weights+KV bytes), split into weights (linear part) and KV (attention part).
        Never above the fitted seconds without overhead.
        """
        return light_s(roofline(self._part(load), self.hosted), _kernels_s(self._fitted_s(load)))

    def without(
        self, *, kernel_inefficiency: bool = False, step_overhead: bool = False
    ) -> StepTime:
        """The same machine with ideal kernels and/or with no overhead ("overhead", "sequences")."""
        overhead = [name for name, term in COLUMN_TERM.items() if term in OVERHEAD_TERMS]
        dropped = dict.fromkeys(overhead if step_overhead else (), 0.0)
        return replace(
            self,
            coefficients={**self.coefficients, **dropped},
            draws=tuple({**draw, **dropped} for draw in self.draws),
            ideal_kernels=self.ideal_kernels or kernel_inefficiency,
        )

    def with_precision(
        self,
        *,
        param_bytes: float | None = None,
        kv_element_bytes: float | None = None,
        flops_factor: float = 1.0,
        weights_cost_factor: float = 1.0,
        kv_cost_factor: float = 1.0,
    ) -> StepTime:
        """Other bytes per weight or KV element; factors scale seconds per byte (dequantization)."""
        factors = {
            "weights": weights_cost_factor,
            "weights_gemm": weights_cost_factor,
            "kv": kv_cost_factor,
        }
        peaks = replace(self.peaks, flops_per_s=self.peaks.flops_per_s * flops_factor)
        return replace(
            self,
            peaks=peaks,
            param_bytes=self.param_bytes if param_bytes is None else param_bytes,
            kv_element_bytes=(
                self.kv_element_bytes if kv_element_bytes is None else kv_element_bytes
            ),
            coefficients=_scaled(self.coefficients, factors),
            draws=tuple(_scaled(draw, factors) for draw in self.draws),
        )

    @property
    def request_s(self) -> float:
        """Seconds of a request outside the steps: network, front end, tokenizing."""
        return self.coefficients.get(REQUEST, 0.0)

    @property
    def front_s(self) -> float:
        """Seconds of the front end for a request; it takes one after the other."""
        return self.coefficients.get(FRONT, 0.0)

    def drawn(self) -> tuple[StepTime, ...]:
        """One model per posterior draw, for intervals."""
        return tuple(replace(self, coefficients=draw, draws=()) for draw in self.draws)

    def columns(self, load: StepLoad) -> dict[str, float]:
        """Value of each column of the form for one step, before any coefficient."""
        return columns(self._part(load), self.hosted)

    @property
    def hosted(self) -> Hosted:
        """Model, hardware and precision."""
        return Hosted(
            shape=self.shape,
            peaks=self.peaks,
            param_bytes=self.param_bytes,
            kv_element_bytes=self.kv_element_bytes,
        )

    def _fitted_s(self, load: StepLoad) -> dict[str, float]:
        terms = dict.fromkeys(TERMS, 0.0)
        for column, value in self.columns(load).items():
            terms[COLUMN_TERM[column]] += self.coefficients.get(column, 0.0) * value
        return terms

    def _kinks(self, load: StepLoad, steps: int) -> list[int]:
        """Ends (exclusive) of the stretches in which every term is linear in the step."""
        ends = {steps}
        if load.decode_seqs and self.shape.windows:
            context = load.decode_context_tokens / load.decode_seqs + 1  # each sees itself
            fills = {math.ceil(w - context) for w in self.shape.windows if w is not None}
            ends |= {at for at in fills if 0 < at < steps}
        if self.ideal_kernels:
            ends |= self._crossings(load, sorted(ends))
        return sorted(ends)

    def _crossings(self, load: StepLoad, ends: Sequence[int]) -> set[int]:
        """Steps around which the roofline changes its binding term or meets the fitted time."""
        kinks: set[int] = set()
        first = 0
        for end in ends:
            at_first, at_last = (self._margins_s(_after(load, i)) for i in (first, end - 1))
            for left, right in zip(at_first, at_last, strict=True):
                if left * right <= 0.0 and left != right:
                    near = first + math.floor((end - 1 - first) * left / (left - right))
                    kinks |= {at for at in (near, near + 1, near + 2) if first < at < end}
            first = end
        return kinks

    def _margins_s(self, load: StepLoad) -> tuple[float, ...]:
        return margins_s(roofline(self._part(load), self.hosted), _kernels_s(self._fitted_s(load)))

    def _part(self, load: StepLoad) -> StepLoad:
        """What one stage of a pipeline works on at a time: the sequences spread over the stages.

        All sequences get their next token while one part passes all stages.
        """
        seqs = load.decode_seqs + load.prefill_seqs
        parts = max(1.0, min(float(self.peaks.stages), seqs))
        if parts == 1.0:
            return load
        return StepLoad(
            prefill_tokens=load.prefill_tokens / parts,
            prefill_pairs=load.prefill_pairs / parts,
            prefill_seqs=load.prefill_seqs / parts,
            decode_seqs=load.decode_seqs / parts,
            decode_context_tokens=load.decode_context_tokens / parts,
        )


def _kernels_s(fitted: Mapping[str, float]) -> float:
    """Fitted seconds without overhead."""
    return math.fsum(s for term, s in fitted.items() if term not in OVERHEAD_TERMS)


def _after(load: StepLoad, steps: float) -> StepLoad:
    if not steps:
        return load
    return StepLoad(  # spelled out: `replace` takes five times as long, and this is the inner loop
        prefill_tokens=load.prefill_tokens,
        prefill_pairs=load.prefill_pairs,
        prefill_seqs=load.prefill_seqs,
        decode_seqs=load.decode_seqs,
        decode_context_tokens=load.decode_context_tokens + load.decode_seqs * steps,
    )


def _scaled(coefficients: Mapping[str, float], factors: Mapping[str, float]) -> Mapping[str, float]:
    return {name: value * factors.get(name, 1.0) for name, value in coefficients.items()}
