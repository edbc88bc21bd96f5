"""What `costaudit profile` does before it audits: record a model or a server, or one rung alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from costaudit.cli.options import bytes_of
from costaudit.cli.server import is_server, rung_of, server_name, server_options
from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.cli.profile import Asked

UNDECIDED_HINT = "audit again when the machines are quiet, or give it more time with --seconds"
DEMO_HINT = "`costaudit profile demo` audits a small model with random weights, right here"


def record(asked: Asked, *, resume: Path | None, force: bool) -> Path:
    """Record the target, or go on with a recording; the path of the file.

    Raises:
        CostauditError: as the recorder words it.
    """
    from costaudit.cli.output import check_place
    from costaudit.cli.progress import shown_progress

    if bool(resume) == bool(asked.target):
        raise UsageError("name either a TARGET or a recording to go on with", hint=DEMO_HINT)
    if resume is None:
        check_place(asked.path)
        if force:
            discard(asked.path)
    with shown_progress() as listener:
        if resume is not None:
            return _resumed(resume, listener)
        if is_server(asked.target):
            from costaudit.record.probing.profile import record_server

            options = server_options(
                asked.target, asked.path, asked.probe, asked.dtype, asked.server
            )
            return record_server(options, progress=listener, command=asked.command)
        return _local(asked, listener)


def _local(asked: Asked, listener: Any) -> Path:
    from costaudit.record.options import ProfileOptions
    from costaudit.record.profile import record_profile

    options = ProfileOptions(
        target=asked.target,
        path=asked.path,
        device=asked.local.device,
        dtype=asked.dtype,
        dummy_weights=asked.local.dummy_weights,
        trust_remote_code=asked.local.trust_remote_code,
        probe=asked.probe,
        batch_size=asked.local.batch_size,
        kv_budget_bytes=bytes_of(asked.local.kv_budget),
        cache=asked.local.cache,
        quantize=asked.local.quantize,
        graphs=asked.local.graphs,
        kv_cache=asked.local.kv_cache,
    )
    return record_profile(options, progress=listener, command=asked.command)


def _resumed(path: Path, listener: Any) -> Path:
    from costaudit.record.probing.profile import KIND, resume_server
    from costaudit.record.profile import resume_profile
    from costaudit.recording.recording import Recording

    with Recording.read(path) as recording:
        kind = recording.meta().get("kind")
    resumed = resume_server if kind == KIND else resume_profile
    return resumed(path, progress=listener)


def record_alone(asked: Asked, *, as_json: bool) -> None:
    """One rung without a recording, or what an audit would send.

    Raises:
        CostauditError: as the client words it.
    """
    import typer

    from costaudit.cli.output import print_json

    options = server_options(asked.target, asked.path, asked.probe, asked.dtype, asked.server)
    if asked.server.dry_run:
        from costaudit.record.probing.dry_run import dry_run
        from costaudit.report.rung import dry_run_text

        planned = dry_run(options)
        print_json(planned) if as_json else typer.echo(dry_run_text(planned))
        return
    from costaudit.audit.lone_rung import lone_rung
    from costaudit.record.probing.rung_alone import LoneRung
    from costaudit.report.rung import rung_text

    streams, requests = rung_of(str(asked.server.rung))
    rung = LoneRung(
        concurrency=streams,
        requests=requests,
        prompt_tokens=asked.server.prompt_tokens,
        output_tokens=asked.server.output_tokens,
        requests_per_s=asked.server.rate,
        arrivals=asked.server.arrivals,
        trace=asked.server.trace,
        time_scale=asked.server.time_scale,
    )
    document, error = lone_rung(options, rung)
    print_json(document) if as_json else typer.echo(rung_text(document))
    if error is not None:
        raise error


def undecided(document: Mapping[str, Any]) -> str:
    """Why an audit that was printed decides nothing: a server's, of which no dollars are claimed.

    Of a model in this process that is said in the report alone.
    """
    refused = document["target"]["kind"] == "server" and document["steptime"]["refused"]
    return str(document["steptime"]["why"]) if refused else ""


def default_path(target: str) -> Path:
    """A recording beside the user, named after the server or the last part of the target."""
    if is_server(target):
        return Path(f"{server_name(target)}.costaudit")
    return Path(f"{Path(target).resolve().name or 'run'}.costaudit")


def discard(path: Path) -> None:
    """Make room for a new recording; nothing but a recording is ever removed."""
    from costaudit.recording.recording import Recording

    if path.exists():
        Recording.read(path).close()
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
