"""Seconds of one engine iteration (form, prior and fit: see the module's functions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costaudit.target.load import StepLoad
from costaudit.target.shape import ModelShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the hardware of one replica can do at best; measured where possible."""

    flops_per_s: float  # dense, at the weights' dtype, all devices of the replica together
    bandwidth_bytes_per_s: float
    link_bytes_per_s: float | None = None
    devices: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPoint:
    """One measured step (or a mean over equal steps)."""

    load: StepLoad
    seconds: float
    spread_share: float = 0.0
    held_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """STUB of the contract: to be written."""

    shape: ModelShape
    peaks: Peaks
    param_bytes: float
    kv_element_bytes: float
    coefficients: Mapping[str, float]
    error_p50_share: float | None = None
    error_p90_share: float | None = None

    def seconds(self, load: StepLoad) -> float:
        """Seconds of one step."""
        raise NotImplementedError

    def terms_s(self, load: StepLoad) -> Mapping[str, float]:
        """The same seconds split by term; sums to `seconds`."""
        raise NotImplementedError

    def ideal_s(self, load: StepLoad) -> Mapping[str, float]:
        """Speed-of-light seconds: {"prefill", "decode_weights", "decode_kv"}."""
        raise NotImplementedError


def fit(points: Sequence[StepPoint], *, shape: ModelShape, peaks: Peaks,
        param_bytes: float, kv_element_bytes: float) -> StepTime:
    """Fit to the points that are not held out; judge on those that are."""
    raise NotImplementedError
