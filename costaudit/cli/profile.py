"""`costaudit profile`: record a target, audit it, print what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costaudit.cli.options import Json, Price, ReservedPrice, bytes_of
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from costaudit.record.options import ProfileOptions

Target = Annotated[
    str | None, typer.Argument(metavar="[TARGET]", help="demo, a model directory or a hub id.")
]
Probe = Annotated[str, typer.Option("--probe", help="The workload: a name or a TOML file.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[str, typer.Option("--dtype", help="auto, float32, bfloat16 or float16.")]
Dummy = Annotated[bool, typer.Option("--dummy-weights", help="Needs config.json alone.")]
Trust = Annotated[bool, typer.Option("--trust-remote-code", help="Run the model's own code.")]
Out = Annotated[Path | None, typer.Option("-o", help="The recording. [default: TARGET.costaudit]")]
Html = Annotated[Path | None, typer.Option("--html", help="Write the HTML page to this file.")]
Batch = Annotated[int | None, typer.Option("--batch-size", help="Sequences per static batch.")]
Budget = Annotated[str | None, typer.Option("--kv-budget", help="Memory for the KV cache: 4GiB.")]
Resume = Annotated[Path | None, typer.Option("--resume", help="Go on with this recording.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a recording that is there.")]


def profile(
    target: Target = None,
    *,
    probe: Probe = "chat",
    device: Device = "auto",
    dtype: Dtype = "auto",
    dummy_weights: Dummy = False,
    trust_remote_code: Trust = False,
    out: Out = None,
    html: Html = None,
    price: Price = None,
    reserved_price: ReservedPrice = None,
    batch_size: Batch = None,
    kv_budget: Budget = None,
    resume: Resume = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Record TARGET, audit it, print the bill and the playbook."""
    from costaudit.cli.audit import audit
    from costaudit.cli.output import check_place
    from costaudit.record.options import ProfileOptions

    check_place(html)
    options = ProfileOptions(
        target=target or "",
        path=out or default_path(target or ""),
        device=device,
        dtype=dtype,
        dummy_weights=dummy_weights,
        trust_remote_code=trust_remote_code,
        probe=probe,
        batch_size=batch_size,
        kv_budget_bytes=bytes_of(kv_budget),
    )
    path = _record(options, resume=resume, force=force)
    document = audit(path, price=price, reserved_price=reserved_price)
    _show(document, path, html=html, as_json=as_json)


def default_path(target: str) -> Path:
    """A recording beside the user, named after the last part of the target."""
    return Path(f"{Path(target).resolve().name or 'run'}.costaudit")


def _record(options: ProfileOptions, *, resume: Path | None, force: bool) -> Path:
    from costaudit.cli.output import check_place
    from costaudit.cli.progress import shown_progress
    from costaudit.record.profile import record_profile, resume_profile

    if bool(resume) == bool(options.target):
        raise UsageError(
            "name either a TARGET or a recording to go on with",
            hint="`costaudit profile demo` audits a small model with random weights, right here",
        )
    if resume is None:
        check_place(options.path)
        if force:
            _discard(options.path)
    with shown_progress() as listener:
        if resume is not None:
            return resume_profile(resume, progress=listener)
        return record_profile(options, progress=listener)


def _show(document: dict[str, Any], path: Path, *, html: Path | None, as_json: bool) -> None:
    from costaudit.cli.output import print_audit, write
    from costaudit.report.render import Format, render

    if html is not None:
        write(html, render(document, Format.HTML))
    print_audit(document, as_json=as_json)
    page = f"   page: {html}" if html else ""
    typer.echo(f"\nrecording: {path}{page}", err=True)


def _discard(path: Path) -> None:
    """Make room for a new recording; nothing but a recording is ever removed."""
    from costaudit.recording.recording import Recording

    if path.exists():
        Recording.read(path).close()
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
