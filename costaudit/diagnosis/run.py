"""From an address, or from saved pages, to a diagnosis."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from costaudit.diagnosis.diagnose import diagnose
from costaudit.measure.window import Window, window_of
from costaudit.record.client.load import Endpoint
from costaudit.record.passive.bundle import Bundle
from costaudit.record.passive.kept import is_kept, read_kept
from costaudit.record.passive.live import Attached, attach, pages
from costaudit.record.passive.saved import read_saved
from costaudit.record.probing.endpoint import API_KEY
from costaudit.record.servers.found import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from costaudit.diagnosis.diagnosis import Diagnosis, Price
    from costaudit.facts.quantities import Page
    from costaudit.record.passive.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to look at, and for how long (wall time, recognising the server included)."""

    url: str
    seconds: float = 30.0
    model: str | None = None
    given: Given = field(default_factory=Given)
    verify_tls: bool = True


def diagnose_live(
    asked: Asked,
    price: Price | None = None,
    *,
    save: Path | None = None,
    tell: Callable[[float], None] | None = None,
) -> Diagnosis:
    """A running server, passively. `tell` gets the share of time gone.

    `save` keeps the pages in that folder (a support bundle). Of a server that stops answering the
    time before is diagnosed; the window's `lost` says why.

    Raises:
        TargetError: it cannot be reached, or is none that costaudit knows.
        UsageError: the address, the engine or the model is none.
    """
    began_s = time.monotonic()
    bundle = None if save is None else Bundle(save)
    found = attach(
        endpoint_at(asked.url, verify_tls=asked.verify_tls), model=asked.model, given=asked.given
    )
    if not isinstance(found, Attached):
        return diagnose(_without_metrics(found), price)
    if bundle is not None:
        bundle.about(found.subject)
    seen = None if bundle is None else bundle.page
    read: list[Page] = []
    lost: list[str] = []
    for page in pages(found, began_s + asked.seconds, seen=seen, lost=lost.append):
        read.append(page)
        if tell is not None:
            tell(min(1.0, (time.monotonic() - began_s) / asked.seconds))
    return diagnose(replace(_window(found.subject, read), lost="".join(lost)), price)


def diagnose_saved(
    paths: Sequence[Path],
    *,
    seconds: float | None,
    given: Given,
    price: Price | None = None,
) -> Diagnosis:
    """Saved metric pages of one server, or the recording of a watch.

    Raises:
        UsageError: too few, unreadable or foreign files, or no time between them.
    """
    if len(paths) == 1 and is_kept(paths[0]):
        subject, read = read_kept(paths[0], seconds=seconds)
    else:
        subject, read = read_saved(paths, seconds=seconds, given=given)
    return diagnose(_window(subject, read), price)


def endpoint_at(url: str, *, verify_tls: bool) -> Endpoint:
    """The server at an address, with the key of the environment."""
    key = os.environ.get(API_KEY, "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Endpoint(base_url=url, headers=headers, verify_tls=verify_tls)


def _window(subject: Subject, read: Sequence[Page]) -> Window:
    return window_of(
        read,
        engine=subject.engine,
        version=subject.version,
        model=subject.model,
        knobs=subject.knobs,
        notes=subject.notes,
    )


def _without_metrics(subject: Subject) -> Window:
    return Window(
        seconds=0.0,
        scrapes=0,
        engine=subject.engine,
        version=subject.version,
        model=subject.model,
        knobs=subject.knobs,
        notes=subject.notes,
    )
