"""A running server: at most one request a second, all of them reads on the list in `paths`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, TargetError
from costaudit.record.passive.bad_page import check_page
from costaudit.record.passive.device import local_devices, readings
from costaudit.record.passive.page import page_of
from costaudit.record.passive.subject import Subject, subject_of
from costaudit.record.servers.address import base_of
from costaudit.record.servers.fetch import fetch
from costaudit.record.servers.look import Look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from costaudit.facts.quantities import Page
    from costaudit.record.client.load import Endpoint
    from costaudit.record.meters.nvml import NvmlMeter
    from costaudit.record.servers.found import Given, MetricsSource

GAP_S = 1.05  # between the starts of two requests; a little is lost on the way to the server
SERVER_SHARE = 0.005  # of a server's time that may go into the pages for us …
FEWEST_GAPS = 7  # … as long as the time that it is watched is cut into so many
TIMEOUT_S = 5.0
_END_S = 0.05  # before the end, for the last page
_FAILURES_IN_A_ROW = 5
_LOST = 2  # failures at the end; a single one may be a moment


class Pace:
    """Keeps a gap between the starts of requests.

    A wider one where an answer costs the server, up to `most_gap_s`; by itself it is not wider.
    """

    def __init__(self, gap_s: float = GAP_S) -> None:
        self._gap_s = self._wide_s = self.most_gap_s = gap_s
        self._last_s = float("-inf")

    def wait(self, until_s: float | None = None) -> None:
        """Sleep until the next request may start; where there is an end, the wider gap until it."""
        next_s = self._last_s + self._gap_s
        if until_s is not None:
            next_s = max(next_s, min(self._last_s + self._wide_s, until_s))
        time.sleep(max(0.0, next_s - time.monotonic()))
        self._last_s = time.monotonic()

    def cost(self, took_s: float) -> None:
        """The last answer took the server so long."""
        self._wide_s = max(self._gap_s, min(took_s / SERVER_SHARE, self.most_gap_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A server that was recognised and can be read; `read` keeps the pace.

    `devices` are the open meters of the GPUs beside it, by UUID.
    """

    subject: Subject
    source: MetricsSource
    pace: Pace
    devices: Mapping[str, NvmlMeter] = field(default_factory=dict)

    def read(self, until_s: float | None = None) -> tuple[Page, str]:
        """The metrics, and the text they are from, when the pace allows; before `until_s` if given.

        Raises:
            TargetError: the server does not answer, or not with a whole page.
        """
        self.pace.wait(until_s)
        began_s = time.monotonic()
        reply = fetch(
            self.source.url,
            headers=self.source.headers,
            verify_tls=self.source.verify_tls,
            timeout_s=TIMEOUT_S,
        )
        if not reply.whole:
            raise TargetError(f"the page at {reply.url} is longer than a metrics page can be")
        if not reply.ok:
            raise TargetError(f"{reply.url} answers with HTTP {reply.status}")
        self.pace.cost(reply.first_s)
        page = page_of(reply, self.source, began_s + reply.first_s)
        page = replace(page, quantities={**page.quantities, **readings(self.devices)})
        return page, reply.body.decode("utf-8", "replace")


def attach(endpoint: Endpoint, *, model: str | None, given: Given) -> Attached | Subject:
    """The server at an address, ready to be read; only a subject where it has no metrics.

    Raises:
        TargetError: it cannot be reached, or is none that costaudit knows.
        UsageError: the address, the engine or the model is none.
    """
    base, notes = base_of(endpoint.base_url)
    pace = Pace()
    look = Look(replace(endpoint, base_url=base), before=pace.wait)
    subject = subject_of(look, model=model, given=given)
    if subject.source is None:
        check_page(look)
    subject = replace(subject, notes=(*notes, *subject.notes))
    source = subject.source
    if source is None:
        return subject
    devices, why = local_devices(base)
    if why:
        subject = replace(subject, notes=(*subject.notes, why))
    return Attached(subject=subject, source=source, pace=pace, devices=devices)


def pages(
    attached: Attached,
    until_s: float,
    *,
    seen: Callable[[str], None] | None = None,
    lost: Callable[[str], None] = lambda _: None,
) -> Iterator[Page]:
    """A page each second until the monotonic clock says `until_s`; two pages at the least.

    Fewer of a server that takes long to make one: on a few busy cores that time is not its own.

    `seen` gets each page's text; `lost` why a server that was read answers no more.

    Raises:
        TargetError: fewer than two pages could be read.
    """
    count, failures, said = 0, 0, ""
    attached.pace.most_gap_s = (until_s - time.monotonic()) / FEWEST_GAPS
    while count < 2 or time.monotonic() + GAP_S <= until_s:  # noqa: PLR2004 - a window needs two
        try:
            page, text = attached.read(until_s - _END_S)
        except CostauditError as err:
            failures, said = failures + 1, err.message
            if count < 2 and (failures >= _FAILURES_IN_A_ROW or count == 0):  # noqa: PLR2004
                raise
            if failures >= _FAILURES_IN_A_ROW:
                break
            continue
        count, failures = count + 1, 0
        if seen is not None:
            seen(text)
        yield page
    if failures >= _LOST:
        lost(said)
