"""`costaudit profile`: record a target, audit it, print what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.cli.groups import grouped
from costaudit.cli.nsys import profile_under_nsys
from costaudit.cli.options import Json, Price, PriceBook, ReservedPrice
from costaudit.cli.server import ServerFlags, is_server
from costaudit.ground.errors import InconclusiveError


def _flag(name: str, words: str) -> Any:
    return typer.Option(name, help=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFlags:
    """What an audit in this process is told on the command line."""

    device: Annotated[str, _flag("--device", "auto, cpu, cuda or cuda:N.")] = "auto"
    dummy_weights: Annotated[bool, _flag("--dummy-weights", "Needs config.json alone.")] = False
    trust_remote_code: Annotated[
        bool, _flag("--trust-remote-code", "Run the model's own code.")
    ] = False
    batch_size: Annotated[int | None, _flag("--batch-size", "Sequences per static batch.")] = None
    kv_budget: Annotated[str | None, _flag("--kv-budget", "Memory for the KV cache: 4GiB.")] = None
    cache: Annotated[str, _flag("--cache", "dynamic, or static: allocated once.")] = "dynamic"
    quantize: Annotated[
        str, _flag("--quantize", "none, int8 (CPU only), fp8, int8-weights, int4-weights.")
    ] = "none"
    graphs: Annotated[
        str, _flag("--graphs", "off, captured or compiled: each step as one CUDA graph.")
    ] = "off"
    kv_cache: Annotated[str, _flag("--kv-cache", "own dtype, or fp8; with --cache static.")] = "own"


Target = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]", help="demo, a model directory, a hub id, or a server's URL."
    ),
]
Probe = Annotated[str, typer.Option("--probe", help="The workload: a name or a TOML file.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
Out = Annotated[Path | None, typer.Option("-o", help="The recording. [default: TARGET.costaudit]")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the HTML page to this file.")]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this recording.")]
Nsys = Annotated[bool, typer.Option("--nsys", help="Capture the run with Nsight Systems too.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a recording that is there.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A target and everything the command line says of how to record it."""

    target: str
    path: Path
    probe: str
    dtype: str
    local: LocalFlags
    server: ServerFlags
    command: str = ""  # as it was typed, without its secrets


@grouped
def profile(
    context: typer.Context,
    target: Target = None,
    *,
    probe: Probe = "chat",
    dtype: Dtype = "auto",
    out: Out = None,
    html: Html = None,
    price: Price = None,
    reserved_price: ReservedPrice = None,
    prices: PriceBook = None,
    resume: Resume = None,
    force: Force = False,
    nsys: Nsys = False,
    as_json: Json = False,
    local: LocalFlags,
    server: ServerFlags,
) -> None:
    """Record TARGET, audit it, print the bill and the playbook."""
    from costaudit.cli.audit import audit
    from costaudit.cli.output import check_place, command_line
    from costaudit.cli.recording import default_path, record, record_alone

    name = target or ""
    path = out or default_path(name)
    if nsys:
        profile_under_nsys(name, path)
        return
    asked = Asked(
        target=name, path=path, probe=probe, dtype=dtype, local=local, server=server,
        command=command_line(context),
    )  # fmt: skip
    if is_server(name) and (server.rung or server.dry_run):
        record_alone(asked, as_json=as_json)
        return
    check_place(html)
    path = record(asked, resume=resume, force=force)
    document = audit(path, price=price, reserved_price=reserved_price, prices=prices)
    _show(document, path, html=html, as_json=as_json)


def _show(document: dict[str, Any], path: Path, *, html: Path | None, as_json: bool) -> None:
    from costaudit.cli.output import print_audit, write
    from costaudit.cli.recording import UNDECIDED_HINT, undecided
    from costaudit.report.render import Format, render

    if html is not None:
        write(html, render(document, Format.HTML))
    print_audit(document, as_json=as_json)
    page = f"   page: {html}" if html else ""
    typer.echo(f"\nrecording: {path}{page}", err=True)
    if why := undecided(document):
        raise InconclusiveError(f"inconclusive: {why}", hint=UNDECIDED_HINT)
