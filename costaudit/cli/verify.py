"""`costaudit verify`: did a step deliver what was predicted, and what did it cost in quality?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from costaudit.cli.groups import grouped
from costaudit.cli.options import Json
from costaudit.ground.errors import InconclusiveError, UsageError


def _flag(name: str, words: str) -> Any:
    return typer.Option(name, help=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedFlags:
    """Which prediction is tried, and how long."""

    step: Annotated[list[str] | None, _flag("--step", "A step that was made; several times.")] = (
        None
    )
    rounds: Annotated[int, _flag("--rounds", "Pairs of turns.")] = 4
    seconds: Annotated[float, _flag("--seconds", "Wall time of a server's pairs together.")] = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFlags:
    """What a quantized model in this process is judged by."""

    quality: Annotated[
        bool, _flag("--quality", "Perplexity and greedy agreement instead of speed.")
    ] = False
    text: Annotated[Path | None, _flag("--text", "With --quality: a text in UTF-8.")] = None
    budget: Annotated[
        float | None,
        _flag("--budget", "Most of both that may be lost. [default: 0.01 and 0.02]"),
    ] = None
    device: Annotated[str, _flag("--device", "With --quality: auto, cpu, cuda or cuda:N.")] = "auto"
    dtype: Annotated[str, _flag("--dtype", "With --quality: of the unquantized model.")] = "auto"
    quantize: Annotated[
        str, _flag("--quantize", "With --quality: int8 (CPU), fp8, int8-weights, int4-weights.")
    ] = "int8"


Run = Annotated[
    Path | None, typer.Argument(metavar="[RUN]", help="The recording from before the change.")
]
Target = Annotated[
    str | None, typer.Option("--target", help="The changed server; or a model, changed here.")
]
Baseline = Annotated[
    str | None, typer.Option("--baseline-target", help="The unchanged one, to take turns with.")
]


@grouped
def verify(
    run: Run = None,
    *,
    target: Target = None,
    baseline_target: Baseline = None,
    as_json: Json = False,
    speed: SpeedFlags,
    quality: QualityFlags,
) -> None:
    """Measure after a change, beside what was predicted of it."""
    if quality.quality:
        _quality(target, baseline_target, quality, as_json=as_json)
        return
    from costaudit.cli.output import print_json
    from costaudit.cli.progress import shown_progress
    from costaudit.recording.verified import store_of
    from costaudit.report.verified_rows import verified_text
    from costaudit.verify.verify import VerifyOptions, as_json_of
    from costaudit.verify.verify import verify as tried

    if run is None or target is None:
        hint = "costaudit verify RUN --step ID --target URL"
        raise UsageError("name a recording, the steps and the changed target", hint=hint)
    options = VerifyOptions(
        run=run,
        steps=tuple(speed.step or ()),
        target=target,
        baseline=baseline_target,
        rounds=speed.rounds,
        seconds=speed.seconds,
    )
    with shown_progress() as listener:
        verified = tried(options, progress=listener)
    told = as_json_of(verified)
    print_json(told) if as_json else typer.echo(verified_text(told), nl=False)
    typer.echo(f"\nkept in {store_of(run)}; `costaudit report {run}` shows all", err=True)
    if verified.figures[0].verdict == "cannot-tell":
        raise InconclusiveError(f"inconclusive: {verified.figures[0].why}")


def _quality(
    target: str | None, baseline: str | None, flags: QualityFlags, *, as_json: bool
) -> None:
    from costaudit.cli.output import print_json
    from costaudit.cli.progress import shown_progress
    from costaudit.record.options import EngineSettings
    from costaudit.record.quality import QualityOptions, score_text
    from costaudit.report.quality import EXIT, quality_text
    from costaudit.verify.quality import as_json as plain
    from costaudit.verify.quality import judge_quality

    if target is None or flags.text is None:
        hint = "costaudit verify --quality --text FILE --target MODEL"
        raise UsageError("--quality needs a model as --target, and a --text", hint=hint)
    options = QualityOptions(
        text=flags.text,
        base=baseline or target,
        new=target,
        new_settings=EngineSettings(
            quantize=flags.quantize if baseline in (None, target) else "none"
        ),
        device=flags.device,
        dtype=flags.dtype,
    )
    with shown_progress() as listener:
        found = plain(judge_quality(score_text(options, progress=listener), budget=flags.budget))
    print_json(found) if as_json else typer.echo(quality_text(found), nl=False)
    raise typer.Exit(EXIT[found["result"]])
