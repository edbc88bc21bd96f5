"""Seconds of one engine iteration: the form, its prior and its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from costaudit.target.load import StepLoad
from costaudit.target.shape import ModelShape

TERMS = (
    "overhead",  # c0: launch, scheduling, host gaps, per step
    "sequences",  # cB: host work per row
    "weights",
    "kv",
    "decode_compute",
    "prefill_compute",
    "link",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the hardware of one replica can do at best (all its devices together)."""

    flops_per_s: float  # dense, at the dtype the weights are multiplied in
    bandwidth_bytes_per_s: float
    link_bytes_per_s: float | None = None
    devices: int = 1  # tensor-parallel degree


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    """One measured step (seconds per step of this load)."""

    load: StepLoad
    seconds: float
    spread_share: float = 0.0
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """A fitted step-time model. CONTRACT STUB: bodies to be written."""

    shape: ModelShape
    peaks: Peaks
    param_bytes: float  # bytes per weight
    kv_element_bytes: float
    coefficients: Mapping[str, float]
    draws: tuple[Mapping[str, float], ...] = ()  # posterior draws of the coefficients
    error_p50_share: float | None = None  # of held-out probes
    error_p90_share: float | None = None
    fitted_points: int = 0
    held_out_points: int = 0
    ideal_kernels: bool = False  # terms at the roofline instead of as fitted
    notes: tuple[str, ...] = field(default=())

    def terms_s(self, load: StepLoad) -> Mapping[str, float]:
        """Seconds of one step by TERMS."""
        raise NotImplementedError

    def seconds(self, load: StepLoad) -> float:
        """Seconds of one step: the sum of `terms_s`."""
        raise NotImplementedError

    def run_s(self, load: StepLoad, steps: int) -> Mapping[str, float]:
        """Seconds by term of `steps` decode steps in a row.

        The context grows by `decode_seqs` tokens from step to step; closed form, cost independent
        of `steps`.
        """
        raise NotImplementedError

    def ideal_s(self, load: StepLoad) -> Mapping[str, float]:
        """Speed of light of one step: {"prefill", "decode_weights", "decode_kv"} seconds.

        The binding roofline term rules: prefill max(FLOPs/peak, its bytes/peak); decode
        max(FLOPs, weights+KV bytes), split into weights (linear part) and KV (attention part).
        Never above the fitted seconds without overhead.
        """
        raise NotImplementedError

    def without(
        self, *, kernel_inefficiency: bool = False, step_overhead: bool = False
    ) -> StepTime:
        """The same machine with ideal kernels and/or with no overhead ("overhead", "sequences")."""
        raise NotImplementedError

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
        raise NotImplementedError

    def drawn(self) -> tuple[StepTime, ...]:
        """One model per posterior draw, for intervals."""
        raise NotImplementedError


def fit(
    points: Sequence[StepPoint],
    *,
    shape: ModelShape,
    peaks: Peaks,
    param_bytes: float,
    kv_element_bytes: float,
) -> StepTime:
    """Fit to the points that are not held out; judge on those that are.

    Raises:
        InconclusiveError: fewer than two usable points.
    """
    raise NotImplementedError
