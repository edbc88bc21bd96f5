"""Runs one rung and tells it as a document, for those who want a load tool and no audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.audit.rung import rung_document
from costaudit.measure.latency import Latencies
from costaudit.record.client.process import age_s, peak_rss_bytes
from costaudit.record.probing.arrivals import TRACE
from costaudit.record.probing.rung_alone import check_alone, prepare, run_alone

if TYPE_CHECKING:
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.probing.rung_alone import LoneRung


def lone_rung(options: ServerOptions, lone: LoneRung) -> dict[str, object]:
    """The document of one rung; see `rung_document`.

    Raises:
        TargetError: the server cannot be reached, or is none.
        UsageError: a flag is wrong, or no model of that name is served.
    """
    check_alone(lone)
    prepared = prepare(options)
    latencies = Latencies(open_loop=lone.open_loop)
    rung, end = run_alone(prepared, lone, options, on_answer=latencies.add)
    return rung_document(
        prepared.endpoint,
        rung,
        end,
        latencies,
        arrivals=_arrivals(lone),
        dialect=prepared.dialect.name,
        model=prepared.model,
        process_s=age_s(),
        peak_rss_bytes=peak_rss_bytes(),
    )


def _arrivals(lone: LoneRung) -> dict[str, object]:
    """When requests were meant to start; nothing of a closed loop."""
    if lone.trace is not None:
        return {"arrivals": TRACE, "trace": lone.trace, "time_scale": lone.time_scale}
    if lone.requests_per_s is not None:
        return {"arrivals": lone.arrivals, "requests_per_s": lone.requests_per_s}
    return {}
