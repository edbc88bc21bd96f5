"""One small generation: does the server answer, count and obey as its family should?

Its answer also tells vLLM's version and ranks through any proxy (`system_fingerprint`).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from costaudit.ground.errors import TargetError
from costaudit.record.dialects.dialect import Ask, Chunk, Framing
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.dialects.triton_generate import TritonGenerate
from costaudit.record.servers.engines.vllm import of_fingerprint
from costaudit.record.servers.fetch import Reply, fetch
from costaudit.record.servers.found import Canary
from costaudit.record.servers.refusal import refusal
from costaudit.record.servers.words import text_of_words

if TYPE_CHECKING:
    from costaudit.record.dialects.dialect import Dialect
    from costaudit.record.servers.found import Found

TIMEOUT_S = 120.0  # the first request of a server may compile kernels, or load the model
MORE_TRIES = 2  # where an answer holds no output
PROMPT_TOKENS = 64  # of text: words, of which what a server adds can be told apart
_LOW_ID, _HIGH_ID = 100, 1000  # plain ids of every vocabulary in use
_SPECULATES = {"speculative_decoding", "speculative_config"}
_UNPROCESSABLE = {400, 422}
_NOT_THERE = {404, 405, 501}
_FINGERPRINT = re.compile(rb'"system_fingerprint"\s*:\s*"([^"\\]{1,100})"')
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The chunks of an answer, added up."""

    chunks: tuple[Chunk, ...]
    prompt_tokens: int | None
    output_tokens: int | None
    events: int
    counts: bool
    single: bool  # every event with output was one token


def canary(found: Found, *, output_tokens: int = 8, seed: int | None = None) -> Canary:
    """Ask for one small answer and see what it tells.

    Where the server refuses a field that its family usually takes, or has no completions, it is
    asked once more in a plainer form; the dialect that worked is in `Canary.found`. Where several
    tokens came in one event it is asked twice.

    Raises:
        TargetError: it answers with an error, or not at all.
        UsageError: it has no such model.
    """
    rng = random.Random(seed)
    dialect, reply, prompt = _asked(found, output_tokens, rng)
    for _ in range(MORE_TRIES):  # a model may end at once, or with what is no text yet
        if _says_something(dialect, reply.body):
            break
        reply, prompt = _ask(found, dialect, output_tokens, rng)
    told = _read(dialect, reply.body)
    if told.counts and not told.single:  # the first answer after a start may come in lumps
        reply, prompt = _ask(found, dialect, output_tokens, rng)
        told = _read(dialect, reply.body)
    fingerprints = _FINGERPRINT.findall(reply.body)
    fingerprint = fingerprints[-1].decode("utf-8", "replace") if fingerprints else ""
    output, counted = told.output_tokens, told.prompt_tokens
    by_ids = counted is not None and not isinstance(prompt, str)
    if counted is not None and isinstance(prompt, str):
        found = replace(found, calibration=(prompt, counted))
    return Canary(
        found=_refined(found, _learnt(found, dialect, told, output_tokens), fingerprint),
        prompt_tokens=counted,
        output_tokens=output,
        exact_prompt=counted == len(prompt) if by_ids else None,
        exact_output=None if output is None else output == output_tokens,
        events=told.events,
        counts_tokens=told.counts,
        fingerprint=fingerprint,
        first_s=reply.first_s,
        e2e_s=reply.elapsed_s,
    )


def _asked(
    found: Found, output_tokens: int, rng: random.Random
) -> tuple[Dialect, Reply, tuple[int, ...] | str]:
    """The first form of the dialect that the server takes, its answer, and the prompt sent."""
    forms = _forms(found)
    for number, dialect in enumerate(forms, 1):
        reply, prompt = _ask(found, dialect, output_tokens, rng)
        if reply.status == 200:  # noqa: PLR2004 - HTTP's own number
            return dialect, reply, prompt
        if number == len(forms) or reply.status not in _UNPROCESSABLE | _NOT_THERE:
            break
    raise refusal(reply.status, reply.body, base_url=found.endpoint.base_url, model=found.model)


def _forms(found: Found) -> tuple[Dialect, ...]:
    """The dialect as found, then plainer ones."""
    forms: list[Dialect] = [found.dialect]
    one = found.dialect
    if isinstance(one, OpenAICompletions):
        forms.append(OpenAICompletions(Fields(ids=one.fields.ids, ending=one.ending)))
    if isinstance(one, OpenAIChat):
        forms.append(OpenAIChat(Fields(limit=one.fields.limit, temperature=None)))
    if found.chat is not None and found.chat is not one:
        forms.append(found.chat)
    return tuple(forms)


def _ask(
    found: Found, dialect: Dialect, output_tokens: int, rng: random.Random
) -> tuple[Reply, tuple[int, ...] | str]:
    """One request, and its prompt."""
    prompt: tuple[int, ...] | str
    if dialect.takes_token_ids:
        prompt = tuple(rng.randrange(_LOW_ID, _HIGH_ID) for _ in range(PROMPT_TOKENS))
    else:
        prompt = text_of_words(rng, PROMPT_TOKENS)
    call = dialect.call(Ask(prompt=prompt, output_tokens=output_tokens), model=found.model)
    reply = fetch(
        found.endpoint.base_url + call.path,
        headers={**found.endpoint.headers, **call.headers},
        post=call.body,
        verify_tls=found.endpoint.verify_tls,
        timeout_s=TIMEOUT_S,
    )
    return reply, prompt


def _says_something(dialect: Dialect, body: bytes) -> bool:
    return any(chunk.output or chunk.error for chunk in _chunks(dialect, body))


def _chunks(dialect: Dialect, body: bytes) -> tuple[Chunk, ...]:
    return tuple(dialect.read(payload) for payload in payloads(body, dialect.framing))


def _read(dialect: Dialect, body: bytes) -> _Told:
    """Raises TargetError where the stream holds an error, or no event at all."""
    chunks = _chunks(dialect, body)
    if said := next((chunk.error for chunk in chunks if chunk.error), ""):
        raise TargetError(f"the server fails in its answer: {said}", hint="see the server's log")
    if not any(chunk.output for chunk in chunks):
        raise TargetError(
            "the server answers without any output",
            hint="try it by hand, or choose another form by --dialect",
        )
    totals = [chunk.total_tokens for chunk in chunks if chunk.total_tokens is not None]
    tokens = [chunk.tokens for chunk in chunks if chunk.tokens is not None]
    ends = [chunk.output_tokens for chunk in chunks if chunk.output_tokens is not None]
    prompts = [chunk.prompt_tokens for chunk in chunks if chunk.prompt_tokens is not None]
    counts = bool(totals or tokens)
    if tokens and not ends and not totals:
        totals = [sum(tokens)]
    output = next(reversed(ends or totals), None)
    events = sum(chunk.output for chunk in chunks)
    return _Told(
        chunks=chunks,
        prompt_tokens=prompts[-1] if prompts else None,
        output_tokens=output,
        events=events,
        counts=counts,
        single=output is not None and events == output,
    )


def payloads(body: bytes, framing: Framing) -> list[bytes]:
    """The events of a whole body: joined `data:` lines, or lines of NDJSON."""
    if framing is Framing.NDJSON:
        return [line for line in body.splitlines() if line.strip()]
    found = []
    for block in _BLANK_LINE.split(body):
        data = [line[5:].strip() for line in block.splitlines() if line.startswith(b"data:")]
        if data:
            found.append(b"\n".join(data))
    if not found and body.lstrip().startswith(b"{"):
        return [body.strip()]  # one whole answer, or an error, in place of a stream
    return found


def _learnt(found: Found, dialect: Dialect, told: _Told, asked: int) -> Dialect:
    """The dialect without counts in each event, where each event was one token anyway.

    Not under speculation: there an event may hold several at any time.

    Counting as it goes costs the server time per token; the final count still shows an event with
    more. A server that counts nothing is taken to send one token per response where it sent
    as many responses as tokens were asked for.
    """
    uncounted = told.output_tokens is None and told.events == asked
    single = told.single and not _SPECULATES & found.target.knobs.keys()
    match dialect:
        case OpenAICompletions() | OpenAIChat() if single and dialect.fields.running_usage:
            fields = replace(dialect.fields, running_usage=False)
            return type(dialect)(fields, path=dialect.path)
        case OpenAICompletions() | OpenAIChat() if uncounted:
            return type(dialect)(replace(dialect.fields, one_each=True), path=dialect.path)
        case TritonGenerate() if uncounted:
            return TritonGenerate(replace(dialect.tensors, tokens_per_response=1))
        case _:
            return dialect


def _refined(found: Found, dialect: Dialect, fingerprint: str) -> Found:
    """What the answer tells beyond discovery: the dialect that worked, vLLM's version and ranks."""
    notes = found.notes
    if dialect.name != found.dialect.name:
        notes = (*notes, f"the server refuses {found.dialect.name}: {dialect.name} is spoken")
    found = replace(found, dialect=dialect, notes=notes)
    told = of_fingerprint(fingerprint)
    if told is None:
        return found
    version, ranks = told
    target = found.target
    if target.engine != "vllm":
        notes = (*notes, f"behind it is vLLM {version}, by the fingerprint of its answers")
    return replace(
        found,
        target=replace(target, engine_version=target.engine_version or version),
        parallelism={**ranks, **found.parallelism},
        notes=notes,
    )
