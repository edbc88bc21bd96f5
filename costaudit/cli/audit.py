"""From a recording to its audit, as the commands ask for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from costaudit.audit.ahead import Ahead


def audit(
    run: Path,
    *,
    price: float | None,
    reserved_price: float | None,
    prices: Path | None = None,
    ahead: Ahead | None = None,
) -> dict[str, Any]:
    """The Audit document of a recording at these prices (USD per device-hour).

    `prices` is the user's own price book; a price given beside it rules. `ahead` reads the
    recording already.

    Raises:
        CostauditError: it is no recording, or holds too little to be audited.
    """
    from costaudit.audit.build import AuditOptions, build_audit
    from costaudit.cli.progress import shown_progress
    from costaudit.facts.own_book import read_own_prices
    from costaudit.facts.own_prices import NO_OWN_PRICES
    from costaudit.record.options import Progress

    own = NO_OWN_PRICES if prices is None else read_own_prices(prices)
    options = AuditOptions(
        usd_per_device_h=price, reserved_usd_per_device_h=reserved_price, own=own
    )
    with shown_progress() as listener:
        began = time.monotonic()

        def tell(done: float) -> None:
            left_s = (time.monotonic() - began) * (1 - done) / done if done else None
            listener(Progress(fraction=done, label="searching the plan", seconds_left=left_s))

        tell(0.0)
        return build_audit(run, options=options, tell=tell, ahead=ahead)


def audit_or_stored(
    run: Path,
    *,
    price: float | None,
    reserved_price: float | None,
    prices: Path | None = None,
    ahead: Ahead | None = None,
) -> dict[str, Any]:
    """The audit of a recording, or the one that a page or a JSON file holds already.

    Raises:
        CostauditError: as `audit`; or a price was given for an audit that is written already.
    """
    from costaudit.audit.stored import is_stored, read_stored
    from costaudit.ground.errors import UsageError

    if not is_stored(run):
        return audit(run, price=price, reserved_price=reserved_price, prices=prices, ahead=ahead)
    if (price, reserved_price, prices) != (None, None, None):
        raise UsageError(
            f"{run} is an audit whose prices are settled",
            hint="give the price with the recording that it was made of",
        )
    return read_stored(run)
