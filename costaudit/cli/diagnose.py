"""`costaudit diagnose`: what a live server's metrics show, without generating a token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costaudit.cli.groups import grouped
from costaudit.cli.options import Json, Price
from costaudit.ground.errors import InconclusiveError, TargetError, UsageError

if TYPE_CHECKING:
    from costaudit.diagnosis.diagnosis import Diagnosis
    from costaudit.diagnosis.diagnosis import Price as DevicePrice
    from costaudit.diagnosis.run import Asked
    from costaudit.record.servers.found import Given

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[URL | FILES]", help="A server; with --from, saved metric pages."),
]
Saved = Annotated[
    bool, typer.Option("--from", help="The arguments are saved pages: FIRST.prom LAST.prom MORE.")
]
Seconds = Annotated[
    float | None,
    typer.Option("--seconds", min=1, help="How long to look [30]; time between saved pages."),
]
Save = Annotated[
    Path | None, typer.Option("--save", metavar="DIR", help="Keep the pages: a support bundle.")
]

_SECONDS = 30.0
_LOST_HINT = "read its log: a crash or an out-of-memory kill ends there"
_MORE_HINT = "costaudit profile URL measures from outside what its metrics do not tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookFlags:
    """What the server is, where it does not tell."""

    model: Annotated[str | None, typer.Option("--model", help="Which of several models.")] = None
    engine: Annotated[str | None, typer.Option("--engine", help="vllm, triton, …")] = None
    metrics_url: Annotated[
        str | None, typer.Option("--metrics-url", help="Where the server's metrics are.")
    ] = None
    knob: Annotated[
        list[str] | None,
        typer.Option("--knob", help="A setting that it does not tell: max_num_seqs=64."),
    ] = None
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, help="Devices behind each server [1].")
    ] = None
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify its certificate.")] = (
        False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFlags:
    """The past of one server or of a whole fleet."""

    prometheus: Annotated[
        str | None,
        typer.Option("--prometheus", metavar="URL", help="Ask a Prometheus, Thanos or Mimir."),
    ] = None
    window: Annotated[
        str, typer.Option("--window", help="With --prometheus: how far back, like 6h.")
    ] = "6h"
    selector: Annotated[
        str | None,
        typer.Option("--selector", help="With --prometheus: whose series, like namespace=prod."),
    ] = None


@grouped
def diagnose(
    targets: Targets = None,
    *,
    saved: Saved = False,
    seconds: Seconds = None,
    price: Price = None,
    save: Save = None,
    look: LookFlags,
    past: PastFlags,
    as_json: Json = False,
) -> None:
    """Look at a server's metrics, live or past: what burns money or time, and what to change."""
    if past.prometheus is not None:
        if targets or saved or save is not None:
            raise UsageError(
                "--prometheus takes no server, no --from and no --save",
                hint="choose by --selector, like --selector model_name=llama",
            )
        show_past(past.prometheus, past, look, price, as_json=as_json)
        return
    from costaudit.cli.output import print_json, terminal
    from costaudit.diagnosis.run import diagnose_saved
    from costaudit.report.diagnosis_console import diagnosis_text
    from costaudit.report.diagnosis_json import diagnosis_json

    given, cost = given_of(look), device_price(price, look)
    if saved:
        paths = [Path(name) for name in targets or ()]
        found = diagnose_saved(paths, seconds=seconds, given=given, price=cost)
    else:
        found = _live(_asked(targets, seconds, given, look), cost, save)
    if as_json:
        print_json(diagnosis_json(found))
    else:
        typer.echo(diagnosis_text(found, **terminal()), nl=False, color=True)
    if found.window.lost:
        raise TargetError(f"the server stopped answering: {found.window.lost}", hint=_LOST_HINT)
    if found.state.value == "cannot tell":
        raise InconclusiveError(f"inconclusive: {found.summary}", hint=_MORE_HINT)


def show_past(
    url: str, past: PastFlags, look: LookFlags, price: float | None, *, as_json: bool
) -> None:
    """Print what a Prometheus tells: of one server as if it were live, else of the fleet."""
    from costaudit.cli.output import print_json, terminal
    from costaudit.diagnosis.run_past import PastAsked, diagnose_past
    from costaudit.report.diagnosis_console import diagnosis_text
    from costaudit.report.fleet_console import fleet_text
    from costaudit.report.fleet_json import fleet_json

    asked = PastAsked(
        url=url,
        window=past.window,
        selector=past.selector,
        usd_per_device_h=price,
        devices=look.gpus,
        given=given_of(look),
        verify_tls=not look.insecure,
    )
    fleet = diagnose_past(asked)
    if as_json:
        print_json(fleet_json(fleet))
        return
    if len(fleet.members) == 1:
        text = diagnosis_text(fleet.members[0].diagnosis, **terminal())
        typer.echo(text + "\n", nl=False, color=True)
    typer.echo(fleet_text(fleet, **terminal()), nl=False, color=True)


def _asked(
    targets: list[str] | None, seconds: float | None, given: Given, look: LookFlags
) -> Asked:
    from costaudit.diagnosis.run import Asked

    if not targets or len(targets) != 1:
        raise UsageError(
            "name one server", hint="costaudit diagnose http://host:8000, or --from FILES"
        )
    return Asked(
        url=targets[0],
        seconds=_SECONDS if seconds is None else seconds,
        model=look.model,
        given=given,
        verify_tls=not look.insecure,
    )


def _live(asked: Asked, price: DevicePrice | None, save: Path | None) -> Diagnosis:
    from costaudit.cli.progress import shown_progress
    from costaudit.diagnosis.run import diagnose_live
    from costaudit.record.options import Progress

    with shown_progress() as listen:

        def tell(fraction: float) -> None:
            left_s = (1 - fraction) * asked.seconds
            listen(Progress(label="reading metrics", fraction=fraction, seconds_left=left_s))

        return diagnose_live(asked, price, save=save, tell=tell)


def device_price(usd_per_device_h: float | None, look: LookFlags) -> DevicePrice | None:
    """The price of all devices behind a server; None: not given."""
    from costaudit.diagnosis.diagnosis import Price as DevicePrice

    if usd_per_device_h is None:
        return None
    return DevicePrice(usd_per_device_h=usd_per_device_h, devices=look.gpus or 1)


def given_of(look: LookFlags) -> Given:
    """What the user says of the server."""
    from costaudit.cli.server import knobs_of
    from costaudit.record.servers.found import Given

    return Given(engine=look.engine, metrics_url=look.metrics_url, knobs=knobs_of(look.knob))
