"""`costaudit steps` and `costaudit probes`: what there is to do and to run."""

from __future__ import annotations

from typing import Annotated

import typer

from costaudit.cli.options import Json  # noqa: TC001 - read by typer


def steps(
    step: Annotated[str | None, typer.Argument(metavar="[ID]", help="A step's id.")] = None,
    as_json: Json = False,
) -> None:
    """List the playbook, or print one step's page."""
    from costaudit.cli.output import print_json
    from costaudit.ground.errors import UsageError, did_you_mean
    from costaudit.playbook.load import load
    from costaudit.report import catalogue

    entries = {entry.step.id: entry for entry in load()}
    if step is not None and step not in entries:
        raise UsageError(f"there is no step called {step!r}", hint=did_you_mean(step, entries))
    if as_json:
        facts = [catalogue.step_facts(e) for e in entries.values() if step in (None, e.step.id)]
        print_json(facts if step is None else facts[0])
    elif step is None:
        typer.echo(catalogue.steps_text(list(entries.values())), nl=False)
    else:
        typer.echo(catalogue.step_page(entries[step]), nl=False)


def probes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A workload's name or TOML file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the shipped workloads, or print one."""
    from costaudit.cli.output import print_json
    from costaudit.probe.workload import list_workloads, load_workload
    from costaudit.report import catalogue

    if name is not None:
        workload = load_workload(name)
        text, facts = catalogue.probe_page(workload), catalogue.workload_facts(workload)
        print_json(facts) if as_json else typer.echo(text, nl=False)
        return
    workloads = list_workloads()
    if as_json:
        print_json([catalogue.workload_facts(w) for w in workloads])
    else:
        typer.echo(catalogue.probes_text(workloads), nl=False)
