"""`costaudit import`: the capture of another profiler as a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costaudit.cli.options import Json, Price, PriceBook  # noqa: TC001 - read by typer

Capture = Annotated[
    Path,
    typer.Argument(
        metavar="CAPTURE", help="An Nsight Systems SQLite export, or a Chrome trace (.json[.gz])."
    ),
]
Out = Annotated[Path | None, typer.Option("-o", help="The recording. [default: RUN.costaudit]")]
Prefill = Annotated[str, typer.Option("--prefill", help="Ranges of prefill, such as '*extend*'.")]
Decode = Annotated[str, typer.Option("--decode", help="Ranges of decode, such as '*decode*'.")]


def import_capture(
    capture: Capture,
    *,
    out: Out = None,
    prefill: Prefill = "",
    decode: Decode = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a recording there.")] = False,
    price: Price = None,
    prices: PriceBook = None,
    as_json: Json = False,
) -> None:
    """Read a capture of Nsight Systems or torch.profiler, and audit it."""
    from costaudit.cli.audit import audit
    from costaudit.cli.output import check_place, print_audit
    from costaudit.cli.recording import discard
    from costaudit.record.captures.importing import import_capture as read
    from costaudit.record.captures.phase_names import PhaseNames

    path = out or Path(f"{capture.name.split('.')[0] or 'capture'}.costaudit")
    check_place(path)
    if force:
        discard(path)
    read(capture, path, PhaseNames(prefill=prefill, decode=decode))
    document = audit(path, price=price, reserved_price=None, prices=prices)
    print_audit(document, as_json=as_json)
    typer.echo(f"\nrecording: {path}", err=True)
