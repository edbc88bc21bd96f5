"""Changes whose effect is known as a factor on seconds only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from costaudit.whatif.form import COLUMN_TERM, REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.whatif.scenario import Scenario

EVERYTHING = (*COLUMN_TERM, REQUEST)


def with_seconds(scenario: Scenario, factor: float, columns: tuple[str, ...]) -> Scenario:
    """`factor` times the seconds in these columns of the step time, draws included."""
    fitted = scenario.step_time
    return replace(
        scenario,
        step_time=replace(
            fitted,
            coefficients=_times(fitted.coefficients, factor, columns),
            draws=tuple(_times(draw, factor, columns) for draw in fitted.draws),
        ),
    )


def _times(
    coefficients: Mapping[str, float], factor: float, columns: tuple[str, ...]
) -> Mapping[str, float]:
    return {
        name: value * (factor if name in columns else 1.0) for name, value in coefficients.items()
    }
