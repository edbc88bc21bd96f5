"""The same model on more devices of the same kind, or fewer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.whatif.fit import PRIOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.steptime import StepTime

LINK_COLUMNS = ("link", "link_latency")


def with_parallelism(
    step_time: StepTime,
    *,
    tensor: int | None = None,
    pipeline: int | None = None,
    link_bytes_per_s: float | None = None,
) -> StepTime:
    """The step time at another tensor or pipeline degree; None leaves one as it is.

    Peaks grow with the devices. What crosses the link costs what was fitted; a model fitted on
    one device never met a link, and takes the usual cost of one. `link_bytes_per_s` is that of
    one device and direction; unknown, only the latency of each collective counts.
    """
    peaks = step_time.peaks
    devices, stages = tensor or peaks.devices, pipeline or peaks.stages
    growth = devices * stages / (peaks.devices * peaks.stages)
    met = peaks.devices * peaks.stages > 1
    return replace(
        step_time,
        peaks=replace(
            peaks,
            flops_per_s=peaks.flops_per_s * growth,
            bandwidth_bytes_per_s=peaks.bandwidth_bytes_per_s * growth,
            link_bytes_per_s=link_bytes_per_s or peaks.link_bytes_per_s,
            devices=devices,
            stages=stages,
        ),
        coefficients=step_time.coefficients if met else _linked(step_time.coefficients),
        draws=step_time.draws if met else tuple(_linked(draw) for draw in step_time.draws),
    )


def _linked(coefficients: Mapping[str, float]) -> Mapping[str, float]:
    """With the prior's centre where nothing was fitted."""
    return {name: PRIOR[name].centre for name in LINK_COLUMNS} | dict(coefficients)
