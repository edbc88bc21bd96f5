"""Watches a server until somebody ends it: reads, shows, exports, keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, TargetError
from costaudit.record.passive.kept import keeping
from costaudit.record.passive.live import Attached, attach
from costaudit.watch.exporter import exporting
from costaudit.watch.watcher import WINDOW_S, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from costaudit.diagnosis.diagnosis import Price
    from costaudit.record.client.load import Endpoint
    from costaudit.record.servers.found import Given
    from costaudit.watch.frame import Frame


def watch(
    endpoint: Endpoint,
    *,
    model: str | None,
    given: Given,
    price: Price | None = None,
    export: str | None = None,
    record: Path | None = None,
    window_s: float = WINDOW_S,
    for_s: float | None = None,
    show: Callable[[Frame], None] = lambda _: None,
) -> None:
    """Read a server's metrics once a second and `show` each frame; ends after `for_s`, or never.

    A server that stops answering is waited for. Raises KeyboardInterrupt as it comes.

    Raises:
        TargetError: the server cannot be reached at the start, or exports no metrics.
        UsageError: an address, the model or a place is none.
    """
    found = attach(endpoint, model=model, given=given)
    if not isinstance(found, Attached):
        why = found.notes[-1] if found.notes else "it exports no metrics that costaudit can read"
        raise TargetError(f"{endpoint.base_url} cannot be watched: {why}")
    watcher = Watcher(found.subject, endpoint.base_url, price, window_s=window_s)
    until_s = None if for_s is None else time.monotonic() + for_s
    with exporting(export) as exporter, keeping(record, found.subject) as keep:
        while until_s is None or time.monotonic() < until_s:
            frame = _next(found, watcher, keep)
            exporter.show(frame)
            show(frame)


def _next(found: Attached, watcher: Watcher, keep: Callable[..., None]) -> Frame:
    try:
        page, _ = found.read()
    except CostauditError as err:
        return watcher.failed(err.message)
    keep(page)
    return watcher.read(page)
