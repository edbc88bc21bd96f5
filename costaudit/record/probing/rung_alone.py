"""One rung without ladder, fit or recording: what a load tool does.

The first connection asks for the list of models and goes on as the first of the rung's own, so
that the server sees no more connections than streams and no request beyond those asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.record.client.ahead import Ahead
from costaudit.record.client.load import Rung, Shot
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.dialect import Ask
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.probing.arrivals import POISSON, check_arrivals, starts_s
from costaudit.record.probing.endpoint import endpoint_of
from costaudit.record.probing.first_question import Listed, listed_models
from costaudit.record.probing.guard import Guard
from costaudit.record.servers.found import Found
from costaudit.record.servers.prompts import PromptMaker
from costaudit.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from costaudit.record.client.load import Endpoint, RungEnd
    from costaudit.record.client.route import Route
    from costaudit.record.dialects.dialect import Dialect
    from costaudit.record.probing.options import ServerOptions
    from costaudit.recording.rows import Answer

TASK = "rung"
# Servers whose completions take token ids and can be made to generate exactly so many.
EXACT = frozenset({"vllm", "sglang"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoneRung:
    """What to send.

    Requests of one length: in a closed loop, or with `requests_per_s` at their own times
    (`arrivals`). Or the first requests of a `trace` when they are due, as long as they were there,
    `time_scale` seconds of ours for each of its own.
    """

    concurrency: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    requests_per_s: float | None = None
    arrivals: str = POISSON
    trace: str | None = None
    time_scale: float = 1.0

    @property
    def open_loop(self) -> bool:
        """Requests have intended starts."""
        return self.requests_per_s is not None or self.trace is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A server ready for one rung; `route` holds the connection that was made already."""

    endpoint: Endpoint
    model: str
    dialect: Dialect
    found: Found
    route: Route | None


def prepare(options: ServerOptions) -> Prepared:
    """Learn the model's name, and with it the wire format, by one question.

    Raises:
        TargetError: the server cannot be reached, or is none.
        UsageError: a flag is wrong, or no model of that name is served.
    """
    endpoint = endpoint_of(options)
    plain = options.dialect is None and options.engine is None
    listed = listed_models(endpoint) if plain else None
    if listed is None:
        from costaudit.record.probing.attach import find  # a rung seldom needs what it loads

        found = find(options)
        return Prepared(
            endpoint=found.endpoint,
            model=found.model,
            dialect=found.dialect,
            found=found,
            route=None,
        )
    model = listed.named(options.model)
    found = _assumed(endpoint, listed, model)
    return Prepared(
        endpoint=endpoint, model=model, dialect=found.dialect, found=found, route=listed.route
    )


def check_alone(lone: LoneRung) -> None:
    """Refuse what cannot be meant.

    Raises:
        UsageError: a length, a rate or a scale makes no sense.
    """
    if min(lone.prompt_tokens, lone.output_tokens) < 1:
        raise UsageError("a request needs at least one prompt token and one to generate")
    check_arrivals(
        lone.arrivals,
        requests_per_s=lone.requests_per_s,
        trace=lone.trace,
        time_scale=lone.time_scale,
    )


def run_alone(
    prepared: Prepared,
    lone: LoneRung,
    options: ServerOptions,
    *,
    on_answer: Callable[[Answer], None],
) -> tuple[Rung, RungEnd]:
    """Send it within the limit on dollars, and hand over each answer.

    Raises:
        UsageError: the trace cannot be read, nobody knows what a token costs, or the dollars allow
            not even one request.
    """
    # Streams, requests and lengths were asked for by number: dollars alone are left to be limited.
    limits = replace(options.limits, tokens=None, requests=None)
    if limits.spend_usd is not None:
        from costaudit.record.probing.spending import priced  # reads the price book

        limits = priced(limits, model=prepared.model, base_url=prepared.endpoint.base_url)
    guard = Guard(limits=limits, waiting=lambda: None)
    shots = Ahead(
        _shots(prepared, lone, options.seed), most=lone.concurrency, requests=lone.requests
    )
    rung = Rung(
        shots=guard.booked(shots.filled()),
        concurrency=lone.concurrency,
        requests=lone.requests,
        idle=shots.make,
    )
    end = run_rung(
        prepared.endpoint,
        prepared.dialect,
        rung,
        task=TASK,
        on_answer=on_answer,
        route=prepared.route,
    )
    if guard.why and not end.sent:
        raise UsageError(f"{guard.why} by the first request", hint="give more by --max-spend-usd")
    return replace(rung, shots=()), replace(end, stopped=end.stopped or guard.why)


def _shots(prepared: Prepared, lone: LoneRung, seed: int) -> Iterator[Shot]:
    prompts = PromptMaker.of(prepared.found, seed=seed)
    if lone.trace is not None:
        return _of_trace(prepared, lone, lone.trace, prompts)
    return _of_one_length(prepared, lone, prompts, seed)


def _of_one_length(
    prepared: Prepared, lone: LoneRung, prompts: PromptMaker, seed: int
) -> Iterator[Shot]:
    rate = lone.requests_per_s
    starts = starts_s(lone.arrivals, requests_per_s=rate, seed=seed) if rate else None
    for number in count():
        ask = Ask(prompt=prompts.cold(lone.prompt_tokens), output_tokens=lone.output_tokens)
        yield Shot(
            number=number,
            call=prepared.dialect.call(ask, model=prepared.model),
            output_tokens=lone.output_tokens,
            prompt_tokens=lone.prompt_tokens,
            start_s=None if starts is None else next(starts),
        )


def _of_trace(
    prepared: Prepared, lone: LoneRung, trace: str, prompts: PromptMaker
) -> Iterator[Shot]:
    from costaudit.record.probing.traced import traced
    from costaudit.traffic.sample import read_traffic  # loads DuckDB

    requests = traced(read_traffic(trace), prompts, time_scale=lone.time_scale)
    return (
        Shot(
            number=number,
            call=prepared.dialect.call(
                Ask(prompt=one.prompt, output_tokens=one.output_tokens), model=prepared.model
            ),
            output_tokens=one.output_tokens,
            prompt_tokens=one.prompt_tokens,
            start_s=one.start_s,
        )
        for number, one in enumerate(requests)
    )


def _assumed(endpoint: Endpoint, listed: Listed, model: str) -> Found:
    """By the owner of the models: exact lengths where its engine can, else OpenAI's chat."""
    owner = listed.owners.get(model, "")
    exact = Fields(least="min_tokens", ignore_eos=True, ids="prompt", running_usage=True)
    dialect: Dialect = OpenAICompletions(exact) if owner in EXACT else OpenAIChat(Fields())
    target = Target(
        kind="server",
        engine=owner or "openai-compatible",
        engine_version="",
        model=model,
        weights="",
        dtype="",
        shape=None,
    )
    return Found(
        endpoint=endpoint, target=target, model=model, dialect=dialect, metrics=None, tokenize=None
    )
