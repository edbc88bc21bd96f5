"""One rung without ladder, fit or recording: what a load tool does.

The first connection asks for the list of models and goes on as the first of the rung's own, so
that the server sees no more connections than streams and no request beyond those asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from costaudit.ground.errors import UsageError
from costaudit.record.client.load import Rung, Shot
from costaudit.record.client.run import run_rung
from costaudit.record.dialects.dialect import Ask
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.probing.arrivals import POISSON, check_arrivals, starts_s
from costaudit.record.probing.endpoint import endpoint_of
from costaudit.record.probing.first_question import Listed, listed_models
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
    """What to send. With `requests_per_s` at its own times (`arrivals`), else in a closed loop."""

    concurrency: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    requests_per_s: float | None = None
    arrivals: str = POISSON


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


def run_alone(
    prepared: Prepared,
    lone: LoneRung,
    *,
    seed: int,
    on_answer: Callable[[Answer], None],
) -> tuple[Rung, RungEnd]:
    """Send it, and hand over each answer.

    Raises:
        UsageError: a length or a rate makes no sense.
    """
    if min(lone.prompt_tokens, lone.output_tokens) < 1:
        raise UsageError("a request needs at least one prompt token and one to generate")
    rate = lone.requests_per_s
    check_arrivals(lone.arrivals, requests_per_s=rate, trace=None, time_scale=1.0)
    prompts = PromptMaker.of(prepared.found, seed=seed)
    rung = Rung(
        shots=_shots(prepared, lone, prompts, seed),
        concurrency=lone.concurrency,
        requests=lone.requests,
    )
    end = run_rung(
        prepared.endpoint,
        prepared.dialect,
        rung,
        task=TASK,
        on_answer=on_answer,
        route=prepared.route,
    )
    return replace(rung, shots=()), end


def _shots(prepared: Prepared, lone: LoneRung, prompts: PromptMaker, seed: int) -> Iterator[Shot]:
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
        weights="trained",
        dtype="",
        shape=None,
    )
    return Found(
        endpoint=endpoint, target=target, model=model, dialect=dialect, metrics=None, tokenize=None
    )
