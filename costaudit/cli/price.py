"""`costaudit price`: what a traffic log costs under every way to pay, and which to take."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costaudit.cli.groups import grouped
from costaudit.cli.options import Json, Price, ReservedPrice, positive_usd
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from costaudit.audit.contracts import ContractOptions
    from costaudit.traffic.demand import Demand

Log = Annotated[
    str | None,
    typer.Argument(metavar="[LOG]", help="A log of requests; with --list, a word to look for."),
]
List = Annotated[
    str | None, typer.Option("--list", help="List prices instead: gpu, tokens, spot or units.")
]
Html = Annotated[Path | None, typer.Option("--html", help="Write the HTML page to this file.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What serves the log, and under which limits."""

    recording: Annotated[
        Path | None, typer.Option("--recording", help="The recording of what serves it.")
    ] = None
    capacity: Annotated[
        Path | None, typer.Option("--capacity", help="Its capacity, a TOML file, instead.")
    ] = None
    ttft: Annotated[
        float | None, typer.Option("--ttft", help="SLO: seconds to the first token.")
    ] = None
    itl: Annotated[float | None, typer.Option("--itl", help="SLO: seconds between tokens.")] = None
    cold_start: Annotated[
        float, typer.Option("--cold-start", min=1, help="Seconds until a new replica serves.")
    ] = 600.0
    least: Annotated[int, typer.Option("--least", min=0, help="Replicas always kept.")] = 0
    per_server: Annotated[
        int, typer.Option("--per-server", min=1, help="Replicas rented together.")
    ] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """What is known of prices beside the shipped lists."""

    prices: Annotated[
        Path | None, typer.Option("--prices", help="Your own price book, a TOML file.")
    ] = None
    price: Price = None
    reserved_price: ReservedPrice = None
    api: Annotated[
        str | None, typer.Option("--api", help="The API to compare with: PROVIDER/MODEL.")
    ] = None
    budget: Annotated[
        float | None,
        typer.Option("--budget", help="USD per month not to be exceeded.", callback=positive_usd),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How to read the log."""

    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field is; repeatable."),
    ] = None
    backend: Annotated[
        str | None, typer.Option("--backend", help="URL of the engine that holds the log.")
    ] = None


@grouped
def price(
    context: typer.Context,
    log: Log = None,
    *,
    served: Served,
    paid: Paid,
    read: Read,
    list_: List = None,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Price a traffic log: capacity, contracts, their risk and where the answer flips."""
    from costaudit.cli.output import check_place, command_line, print_json, terminal, write
    from costaudit.report.pricing_console import pricing_text

    if list_ is not None:
        _list(list_, log or "", as_json=as_json)
        return
    check_place(html)
    document = _priced(_demand(log, served, read), served, paid, command=command_line(context))
    if html is not None:
        from costaudit.report.page import html_page

        write(html, html_page(document))
    if as_json:
        print_json(document)
    else:
        typer.echo(pricing_text(document["pricing"], **terminal()), nl=False, color=True)


def _list(kind: str, word: str, *, as_json: bool) -> None:
    import datetime as dt

    from costaudit.cli.output import print_json, terminal
    from costaudit.facts.price_book import listed
    from costaudit.report.pricing_list import list_text

    rows = listed(kind, word, dt.datetime.now(dt.UTC).date())
    if as_json:
        print_json([{f.name: getattr(row, f.name) for f in fields(row)} for row in rows])
    else:
        typer.echo(list_text(rows, width=terminal()["width"]), nl=False)


def _demand(log: str | None, served: Served, read: Read) -> Demand:
    if log is None or (served.recording is None) == (served.capacity is None):
        raise UsageError(
            "name a LOG, and what serves it: either --recording RUN or --capacity FILE",
            hint="costaudit price requests.csv --recording demo.costaudit",
        )
    from costaudit.traffic.read import read_demand

    return read_demand(
        log, window_s=served.cold_start, mapping=_mapping(read.mapping), backend=read.backend
    )


def _mapping(pairs: list[str] | None) -> dict[str, str] | None:
    for pair in pairs or ():
        if not all(pair.partition("=")):
            raise UsageError(f"--map {pair!r} names no column", hint="--map prompt_tokens=n_in")
    return {p.partition("=")[0]: p.partition("=")[2] for p in pairs} if pairs else None


def _priced(demand: Demand, served: Served, paid: Paid, *, command: str) -> dict[str, Any]:
    from costaudit.audit.contracts import price_given, price_recording
    from costaudit.cli.audit import audit
    from costaudit.pricing.given_capacity import read_capacity

    options = replace(_options(served, paid), command=command)
    if served.capacity is not None:
        return price_given(demand, read_capacity(served.capacity), options)
    run = Path(served.recording or "")
    document = audit(run, price=paid.price, reserved_price=paid.reserved_price)
    return price_recording(document, run, demand, options)


def _options(served: Served, paid: Paid) -> ContractOptions:
    from costaudit.audit.contracts import ContractOptions
    from costaudit.facts.own_book import read_own_prices
    from costaudit.facts.own_prices import NO_OWN_PRICES
    from costaudit.pricing.saturate import Slo

    limited = served.ttft is not None or served.itl is not None
    return ContractOptions(
        usd_per_device_h=paid.price,
        reserved_usd_per_device_h=paid.reserved_price,
        own=read_own_prices(paid.prices) if paid.prices else NO_OWN_PRICES,
        api=paid.api,
        budget_usd_per_month=paid.budget,
        slo=Slo(ttft_s=served.ttft, tpot_s=served.itl) if limited else None,
        cold_start_s=served.cold_start,
        least=served.least,
        replicas_per_server=served.per_server,
    )
