"""`costaudit watch`: a live server on the screen, as metrics of our own, and in a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli.diagnose import LookFlags
from costaudit.cli.groups import grouped
from costaudit.cli.options import Price

Url = Annotated[str, typer.Argument(metavar="URL", help="The server.")]
Export = Annotated[
    str | None,
    typer.Option("--export", metavar="[HOST]:PORT", help="Serve Prometheus metrics, like :9464."),
]
Record = Annotated[
    Path | None, typer.Option("--record", metavar="FILE", help="Keep what was read as a recording.")
]
Window = Annotated[
    float, typer.Option("--window", min=5, help="Seconds that each diagnosis looks back.")
]
For = Annotated[
    float | None, typer.Option("--for", min=2, help="End after so many seconds [never].")
]


@grouped
def watch(
    url: Url,
    *,
    price: Price = None,
    export: Export = None,
    record: Record = None,
    window: Window = 30.0,
    for_: For = None,
    look: LookFlags,
) -> None:
    """Watch a server: cost per token, batch, KV cache, symptoms, each second."""
    from costaudit.cli.diagnose import device_price, given_of
    from costaudit.diagnosis.run import endpoint_at
    from costaudit.watch.run import watch as run_watch
    from costaudit.watch.shown import shown

    with shown() as show:
        run_watch(
            endpoint_at(url, verify_tls=not look.insecure),
            model=look.model,
            given=given_of(look),
            price=device_price(price, look),
            export=export,
            record=record,
            window_s=window,
            for_s=for_,
            show=show,
        )
