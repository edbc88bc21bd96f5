"""Runs one rung and tells it as a document, for those who want a load tool and no audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.audit.rung import rung_document
from costaudit.measure.latency import Latencies
from costaudit.record.client.process import age_s, peak_rss_bytes
from costaudit.record.probing.arrivals import TRACE
from costaudit.record.probing.rung_alone import check_alone, prepare, run_alone
from costaudit.record.servers.address import base_of
from costaudit.record.servers.refusal import no_answers

if TYPE_CHECKING:
    from costaudit.ground.errors import CostauditError
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.probing.rung_alone import LoneRung
    from costaudit.recording.rows import Answer


def lone_rung(
    options: ServerOptions, lone: LoneRung
) -> tuple[dict[str, object], CostauditError | None]:
    """The document of one rung (see `rung_document`), and an error where nothing was answered.

    Raises:
        TargetError: the server cannot be reached, or is none.
        UsageError: a flag is wrong, or no model of that name is served.
    """
    check_alone(lone)
    notes = base_of(options.url)[1]
    prepared = prepare(options)
    latencies = Latencies(open_loop=lone.open_loop)
    last: list[Answer] = []

    def take(answer: Answer) -> None:
        latencies.add(answer)
        last[:] = [answer]

    rung, end = run_alone(prepared, lone, options, on_answer=take)
    document = rung_document(
        prepared.endpoint,
        rung,
        end,
        latencies,
        arrivals=_arrivals(lone),
        dialect=prepared.dialect.name,
        model=prepared.model,
        notes=notes,
        process_s=age_s(),
        peak_rss_bytes=peak_rss_bytes(),
    )
    if latencies.answers or not last:
        return document, None
    url, model = prepared.endpoint.base_url, prepared.model
    return document, no_answers(last[0], base_url=url, model=model)


def _arrivals(lone: LoneRung) -> dict[str, object]:
    """When requests were meant to start; nothing of a closed loop."""
    if lone.trace is not None:
        return {"arrivals": TRACE, "trace": lone.trace, "time_scale": lone.time_scale}
    if lone.requests_per_s is not None:
        return {"arrivals": lone.arrivals, "requests_per_s": lone.requests_per_s}
    return {}
