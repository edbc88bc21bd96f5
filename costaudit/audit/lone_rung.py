"""Runs one rung and tells it as a document, for those who want a load tool and no audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.audit.rung import rung_document
from costaudit.measure.latency import Latencies
from costaudit.record.client.process import age_s, peak_rss_bytes
from costaudit.record.probing.rung_alone import prepare, run_alone

if TYPE_CHECKING:
    from costaudit.record.probing.options import ServerOptions
    from costaudit.record.probing.rung_alone import LoneRung


def lone_rung(options: ServerOptions, lone: LoneRung) -> dict[str, object]:
    """The document of one rung; see `rung_document`.

    Raises:
        TargetError: the server cannot be reached, or is none.
        UsageError: a flag is wrong, or no model of that name is served.
    """
    prepared = prepare(options)
    latencies = Latencies(open_loop=lone.requests_per_s is not None)
    rung, end = run_alone(prepared, lone, seed=options.seed, on_answer=latencies.add)
    return rung_document(
        prepared.endpoint,
        rung,
        end,
        latencies,
        dialect=prepared.dialect.name,
        model=prepared.model,
        process_s=age_s(),
        peak_rss_bytes=peak_rss_bytes(),
    )
