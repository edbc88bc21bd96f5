"""Flags of `costaudit profile` that only a server has, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costaudit.ground.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from costaudit.record.probing.options import Limits, ServerOptions


def _flag(name: str, words: str) -> Any:
    return typer.Option(name, help=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFlags:
    """What a server audit is told on the command line."""

    model: Annotated[str | None, _flag("--model", "Which of the served models.")] = None
    gpu: Annotated[str | None, _flag("--gpu", "Devices behind it, such as H100.")] = None
    gpus: Annotated[int, _flag("--gpus", "How many of them.")] = 1
    model_config: Annotated[
        str | None, _flag("--model-config", "The model's config.json or its folder.")
    ] = None
    tokenizer: Annotated[str | None, _flag("--tokenizer", "A tokenizer.json or its folder.")] = None
    engine: Annotated[str | None, _flag("--engine", "vllm, triton, …: do not look.")] = None
    dialect: Annotated[str | None, _flag("--dialect", "The wire format to speak.")] = None
    metrics_url: Annotated[
        str | None, _flag("--metrics-url", "Where the server's metrics are.")
    ] = None
    knob: Annotated[
        list[str] | None, _flag("--knob", "A setting that it does not tell: max_num_seqs=64.")
    ] = None
    concurrency: Annotated[
        int | None, _flag("--concurrency", "Streams of the replayed workload.")
    ] = None
    seconds: Annotated[float, _flag("--seconds", "Wall time that the audit should take.")] = 120.0
    max_concurrency: Annotated[int, _flag("--max-concurrency", "Most requests in flight.")] = 64
    max_tokens: Annotated[int, _flag("--max-tokens", "Most tokens asked for.")] = 5_000_000
    max_spend_usd: Annotated[
        float | None, _flag("--max-spend-usd", "Most dollars, at --token-price or as listed.")
    ] = None
    token_price: Annotated[
        str | None, _flag("--token-price", "USD per 1M tokens of a hosted API: IN,OUT.")
    ] = None
    abort_at: Annotated[
        str, _flag("--abort-at", "End when so many of others wait, or its p95 is N times worse.")
    ] = "32,10x"
    pressure: Annotated[
        bool, _flag("--pressure", "At last press on its KV cache until blocks run out.")
    ] = False
    insecure: Annotated[bool, _flag("--insecure", "Do not verify its certificate.")] = False
    dry_run: Annotated[bool, _flag("--dry-run", "Say what would be sent; send nothing.")] = False
    rung: Annotated[
        str | None, _flag("--rung", "Only CONCURRENCYxREQUESTS; prints their latencies.")
    ] = None
    prompt_tokens: Annotated[int, _flag("--prompt-tokens", "Prompt length of --rung.")] = 128
    output_tokens: Annotated[int, _flag("--output-tokens", "Output length of --rung.")] = 64
    rate: Annotated[
        float | None, _flag("--rate", "Send so many a second, whatever the server does.")
    ] = None
    arrivals: Annotated[str, _flag("--arrivals", "Of --rate: poisson or constant.")] = "poisson"
    trace: Annotated[
        str | None, _flag("--trace", "Replay this log of requests when they are due.")
    ] = None
    time_scale: Annotated[
        float, _flag("--time-scale", "Seconds of ours per second of --trace.")
    ] = 1.0


def is_server(target: str) -> bool:
    """An URL is a server; everything else is a model."""
    return target.startswith(("http://", "https://"))


def server_name(target: str) -> str:
    """Host and port as a file's name: 127.0.0.1-8000."""
    from urllib.parse import urlsplit

    parts = urlsplit(target)
    try:
        port = str(parts.port or "")
    except ValueError as err:
        raise UsageError(f"{target} is no address", hint="write http://host:8000") from err
    return "-".join(filter(None, (parts.hostname, port))) or "server"


def server_options(
    target: str, path: Path, probe: str, dtype: str, flags: ServerFlags
) -> ServerOptions:
    """The options of a server audit.

    Raises:
        UsageError: a flag is not of the form it should be.
    """
    from costaudit.record.probing.options import Limits, ServerOptions

    limits = Limits(
        concurrency=flags.max_concurrency,
        tokens=flags.max_tokens,
        spend_usd=flags.max_spend_usd,
    )
    limits = with_abort(limits, flags.abort_at)
    return ServerOptions(
        url=target,
        path=path,
        probe=probe,
        model=flags.model,
        engine=flags.engine,
        dialect=flags.dialect,
        model_config=flags.model_config,
        tokenizer=flags.tokenizer,
        metrics_url=flags.metrics_url,
        dtype=None if dtype == "auto" else dtype,
        knobs=knobs_of(flags.knob),
        gpu=flags.gpu,
        gpus=flags.gpus,
        concurrency=flags.concurrency,
        time_budget_s=flags.seconds,
        requests_per_s=flags.rate,
        arrivals=flags.arrivals,
        trace=flags.trace,
        time_scale=flags.time_scale,
        pressure=flags.pressure,
        verify_tls=not flags.insecure,
        limits=with_token_price(limits, flags.token_price),
    )


def knobs_of(given: list[str] | None) -> dict[str, float | int | str | bool]:
    """NAME=VALUE settings as numbers, truths or words.

    Raises:
        UsageError: one is not of that form.
    """
    knobs: dict[str, float | int | str | bool] = {}
    for pair in given or ():
        name, _, text = (part.strip() for part in pair.partition("="))
        if not name or not text:
            raise UsageError(f"{pair!r} is no setting", hint="write --knob max_num_seqs=64")
        knobs[name] = _plain(text)
    return knobs


def _plain(text: str) -> float | int | str | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def with_token_price(limits: Limits, text: str | None) -> Limits:
    """The limits with IN,OUT dollars per million tokens.

    Raises:
        UsageError: it is no such pair.
    """
    if text is None:
        return limits
    try:
        into, out = (float(part) for part in text.split(","))
    except ValueError as err:
        raise UsageError(
            f"{text!r} is no pair of token prices", hint="write --token-price 0.15,0.60"
        ) from err
    if not (into >= 0 and out >= 0):
        raise UsageError("a token price cannot be negative")
    return replace(limits, usd_per_1m_input=into, usd_per_1m_output=out)


def with_abort(limits: Limits, text: str) -> Limits:
    """The limits with the queue (32), the growth of the p95 (10x), or both (32,10x).

    Raises:
        UsageError: it is of no such form.
    """
    try:
        for part in text.split(","):
            if part.strip().lower().endswith("x"):
                limits = replace(limits, p95_factor=float(part.strip()[:-1]))
            else:
                limits = replace(limits, waiting=int(part))
    except ValueError as err:
        raise UsageError(f"{text!r} is no --abort-at", hint="write --abort-at 32,10x") from err
    return limits


def rung_of(text: str) -> tuple[int, int]:
    """Concurrency and requests of CONCURRENCYxREQUESTS.

    Raises:
        UsageError: it is not of that form, or a number is below one.
    """
    streams, _, requests = text.lower().partition("x")
    if not (streams.isdecimal() and requests.isdecimal()) or min(int(streams), int(requests)) < 1:
        raise UsageError(f"{text!r} is no rung", hint="write CONCURRENCYxREQUESTS, such as 64x256")
    return int(streams), int(requests)
