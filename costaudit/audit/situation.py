"""From a recording to the situation of today: what was measured, fitted and replayed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.audit.ahead import MOST_REQUESTS
from costaudit.audit.bounds import with_bounds
from costaudit.audit.calibration import served_step_time
from costaudit.audit.capture_audit import KIND as CAPTURE
from costaudit.audit.capture_audit import NO_MODEL
from costaudit.audit.prices import KnownPrice, known_prices, scenario_prices
from costaudit.audit.scenario import SERVER, fit_step_time, scenario_of
from costaudit.audit.served import with_served_phases
from costaudit.facts.own_prices import NO_OWN_PRICES
from costaudit.ground.errors import InconclusiveError
from costaudit.measure.derive import Derived, derive
from costaudit.measure.served_derive import derive_served
from costaudit.measure.served_doubts import replay_doubt
from costaudit.playbook.step import Situation
from costaudit.recording.recording import Recording
from costaudit.whatif.scenario import Prices
from costaudit.whatif.simulate import simulate

if TYPE_CHECKING:
    from pathlib import Path

    from costaudit.facts.own_prices import OwnPrices
    from costaudit.measure.tables import Tables
    from costaudit.whatif.steptime import StepTime

MOST_ERROR_SHARE = 0.15  # of held-out probes; a worse model makes no claim in dollars


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """How to judge a recording: prices per device-hour, and the day that makes prices stale.

    A price given here rules over the user's `own` book, and that over the shipped lists.
    """

    usd_per_device_h: float | None = None
    reserved_usd_per_device_h: float | None = None
    own: OwnPrices = NO_OWN_PRICES
    today: dt.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Everything that a plan or a prediction starts from.

    `refused` says why dollars are refused; "" where they are not. The derived metrics are those
    before the replay told more of them: `situation.metrics` are the last word.
    """

    derived: Derived
    step_time: StepTime
    prices: tuple[KnownPrice, ...]
    situation: Situation
    refused: str


def read_situation(path: Path, options: AuditOptions) -> Judged:
    """The situation of the recording at `path`.

    Raises:
        UsageError: it is no recording.
        InconclusiveError: it holds too little to be audited.
    """
    with Recording.read(path) as recording:
        return read_judged(recording, options)


def read_judged(
    recording: Recording, options: AuditOptions, tables: Tables | None = None
) -> Judged:
    """The situation of an open recording; fits the step times and replays the window.

    `tables` are those of a recording of a model in this process, where they have been read.

    Raises:
        UsageError, InconclusiveError: as `read_situation`.
    """
    if _is_of_server(recording):
        derived, doubt = derive_served(recording), replay_doubt(recording)
        step_time = served_step_time(recording, derived)
    else:
        derived = derive(recording, most_requests=MOST_REQUESTS, tables=tables)
        step_time, doubt = _step_time(derived), ""
    metrics, refused = derived.metrics, doubt or _refusal(step_time)
    prices = known_prices(
        metrics.device,
        given_usd=options.usd_per_device_h,
        reserved_usd=options.reserved_usd_per_device_h,
        own=options.own,
        today=options.today or dt.datetime.now(dt.UTC).date(),
    )
    billed = Prices(usd_per_device_h=None) if refused else scenario_prices(prices)
    scenario = scenario_of(metrics, derived.requests, step_time, billed)
    outcome = simulate(scenario)
    metrics = with_bounds(with_served_phases(metrics, derived, outcome, step_time), scenario)
    return Judged(
        derived=derived,
        step_time=step_time,
        prices=prices,
        situation=Situation(metrics=metrics, scenario=scenario, outcome=outcome),
        refused=refused,
    )


def _is_of_server(recording: Recording) -> bool:
    kind = recording.meta().get("kind")
    if kind == CAPTURE:
        raise InconclusiveError(
            f"{recording.path} is an imported capture: {NO_MODEL}, so no what-if starts from it",
            hint=f"costaudit report {recording.path} shows where device time went",
        )
    return kind == SERVER


def _step_time(derived: Derived) -> StepTime:
    precision = derived.precision
    return fit_step_time(
        derived.metrics,
        derived.steps,
        param_bytes=precision.param_bytes,
        kv_element_bytes=precision.kv_element_bytes,
    )


def _refusal(step_time: StepTime) -> str:
    error = step_time.error_p50_share
    if error is None:
        return "no held-out probe was recorded, so nobody knows how good the step-time model is"
    if error > MOST_ERROR_SHARE:
        return (
            f"the step-time model misses held-out probes by {error:.3f} of their time in the"
            f" median, more than {MOST_ERROR_SHARE:g}: no claim in dollars can stand on it"
        )
    return ""
