"""`costaudit gate`: may this build be shipped at this cost?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costaudit.cli.groups import grouped
from costaudit.cli.options import Json, Price, ReservedPrice
from costaudit.ground.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from costaudit.gate.decide import Asked
    from costaudit.gate.decision import Decision
    from costaudit.record.paired import PairedOptions


def _flag(name: str, words: str, **more: Any) -> Any:
    return typer.Option(name, help=words, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstFlags:
    """What the build is held against, and where the decision goes."""

    budget: Annotated[Path | None, _flag("--budget", "The budget, a TOML file.")] = None
    baseline: Annotated[
        list[Path] | None, _flag("--baseline", "A recording, or a file of --update-baseline.")
    ] = None
    update_baseline: Annotated[
        bool, _flag("--update-baseline", "Write the --baseline file from RUN; judge nothing.")
    ] = False
    inconclusive: Annotated[str, _flag("--inconclusive", "fail (exit code 3) or warn (0).")] = (
        "fail"
    )
    to: Annotated[
        list[str] | None,
        _flag("--to", "FORM=FILE: json, junit, markdown, sarif, gitlab-metrics, …"),
    ] = None
    github: Annotated[bool, _flag("--github", "Annotations and step summary.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFlags:
    """Two targets to be measured in turns instead of recordings."""

    ab: Annotated[
        tuple[str, str] | None,
        _flag("--ab", "Measure two targets in turns, A-B-B-A.", metavar="BASE NEW"),
    ] = None
    probe: Annotated[str, _flag("--probe", "Their workload.")] = "chat"
    rounds: Annotated[int, _flag("--rounds", "Rounds; both are loaded anew for each.")] = 8
    seconds: Annotated[float, _flag("--seconds", "Device time of all rounds.")] = 60.0
    device: Annotated[str, _flag("--device", "auto, cpu, cuda or cuda:N.")] = "auto"
    dtype: Annotated[str, _flag("--dtype", "auto, float32, bfloat16 or float16.")] = "auto"
    batch_size: Annotated[int | None, _flag("--batch-size", "Sequences per batch.")] = None
    dummy_weights: Annotated[bool, _flag("--dummy-weights", "Needs config.json alone.")] = False
    trust_remote_code: Annotated[
        bool, _flag("--trust-remote-code", "Run the models' own code.")
    ] = False


Runs = Annotated[
    list[Path] | None, typer.Argument(metavar="[RUN]...", help="Recordings of the build.")
]


@grouped
def gate(
    run: Runs = None,
    *,
    against: AgainstFlags,
    turns: TurnFlags,
    price: Price = None,
    reserved_price: ReservedPrice = None,
    as_json: Json = False,
) -> None:
    """Hold a build against a budget: passed, broken, inconclusive."""
    from costaudit.cli.audit import audit
    from costaudit.cli.progress import shown_progress
    from costaudit.gate.decide import decide

    runs = tuple(run or ())
    if against.update_baseline:
        _update(runs, against, price)
        return
    asked = _asked(runs, against, turns, price)
    with shown_progress() as listener:
        decision = decide(
            asked,
            audit=lambda path: audit(path, price=price, reserved_price=reserved_price),
            progress=listener,
        )
    _show(decision, against, as_json=as_json)
    raise typer.Exit(decision.exit_code)


def _asked(
    runs: tuple[Path, ...], against: AgainstFlags, turns: TurnFlags, price: float | None
) -> Asked:
    from costaudit.cli.output import check_place
    from costaudit.gate.budget import read_budget
    from costaudit.gate.decide import Asked

    if against.budget is None:
        raise UsageError("a gate needs a --budget", hint="docs/ci.md shows one")
    if against.inconclusive not in ("fail", "warn"):
        raise UsageError(f"--inconclusive is fail or warn, not {against.inconclusive!r}")
    for _, path in forms(against.to):
        check_place(path)
    return Asked(
        runs=runs,
        baseline=tuple(against.baseline or ()),
        budget=read_budget(against.budget),
        turns=_turns(turns),
        price=price,
        warn=against.inconclusive == "warn",
    )


def _turns(flags: TurnFlags) -> PairedOptions | None:
    from costaudit.record.paired import PairedOptions

    if flags.ab is None:
        return None
    return PairedOptions(
        base=flags.ab[0],
        new=flags.ab[1],
        probe=flags.probe,
        rounds=flags.rounds,
        seconds=flags.seconds,
        device=flags.device,
        dtype=flags.dtype,
        batch_size=flags.batch_size,
        dummy_weights=flags.dummy_weights,
        trust_remote_code=flags.trust_remote_code,
    )


def forms(asked: list[str] | None) -> list[tuple[str, Path]]:
    """FORM=FILE pairs.

    Raises:
        UsageError: one is not of that form, or there is no such form.
    """
    from costaudit.gate.forms.write import FORMS

    pairs = []
    for text in asked or ():
        form, _, path = text.partition("=")
        if form not in FORMS or not path:
            hint = did_you_mean(form, FORMS) if path else "write --to junit=gate.xml"
            raise UsageError(f"{text!r} is no FORM=FILE", hint=hint)
        pairs.append((form, Path(path)))
    return pairs


def _show(decision: Decision, against: AgainstFlags, *, as_json: bool) -> None:
    from costaudit.cli.output import print_json, write
    from costaudit.gate.decision import as_json as plain
    from costaudit.gate.forms.write import FORMS
    from costaudit.gate.words import gate_text

    for form, path in forms(against.to):
        write(path, FORMS[form](decision))
    print_json(plain(decision)) if as_json else typer.echo(gate_text(decision), nl=False)
    if against.github:
        _to_github(decision, as_json=as_json)


def _to_github(decision: Decision, *, as_json: bool) -> None:
    """Annotations on stdout (stderr beside JSON), the summary where GitHub names its file."""
    import os

    from costaudit.gate.forms.github import commands, markdown

    typer.echo(commands(decision), nl=False, err=as_json)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown(decision))
        except OSError as err:
            raise UsageError(f"cannot write the step summary {summary}: {err.strerror}") from err


def _update(runs: tuple[Path, ...], against: AgainstFlags, price: float | None) -> None:
    from costaudit.cli.output import write
    from costaudit.gate.decide import update_baseline

    path, text = update_baseline(runs, against.baseline or (), price=price)
    write(path, text)
    count = "1 recording" if len(runs) == 1 else f"{len(runs)} recordings"
    typer.echo(f"baseline of {count} written: {path}", err=True)
