"""OpenAI chat: `POST /v1/chat/completions`, one user message, server-sent events.

The answer begins with a role, which is no token; then come content, reasoning (`reasoning`, before
vLLM 0.16 and elsewhere `reasoning_content`; Ollama's `thinking`) and tool calls.
"""

from __future__ import annotations

from typing import Any

import msgspec

from costaudit.record.dialects.dialect import OUTPUT, Ask, Call, Chunk, Framing
from costaudit.record.dialects.reading.events import NOTHING, of_tokens, text_of
from costaudit.record.dialects.reading.json_events import JsonEvents
from costaudit.record.dialects.reading.openai import Event, Fields, body, chunk, without_choice


class _Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | list[Any] | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    thinking: Any = None
    tool_calls: list[Any] | None = None
    function_call: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class _Event(Event, gc=False):
    choices: list[_Choice] | None = None


class OpenAIChat(JsonEvents[_Event]):
    """The chat form; `fields` are those that the server takes."""

    name = "openai_chat"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.SSE
    texts: tuple[bytes, ...] = (b"content", b"reasoning", b"reasoning_content")
    takes_token_ids = False

    def __init__(self, fields: Fields | None = None, *, path: str = "/v1/chat/completions") -> None:
        self.fields = fields or Fields()
        self.path = path
        self.ending = self.fields.ending
        self._plain = of_tokens(1) if self.fields.one_each else OUTPUT
        self.exact_output = self.fields.exact_output

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed.

        Raises:
            TypeError: the prompt is token ids; a chat takes text.
        """
        sent = body(self.fields, model=model, output_tokens=ask.output_tokens)
        sent["messages"] = [{"role": "user", "content": text_of(ask)}]
        return Call(path=self.path, body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One event. The one that only tells the role is no output, whatever its text."""
        if not event.choices or event.error is not None:
            return without_choice(event, payload)
        choice, finish = event.choices[0], event.choices[0].finish_reason or ""
        if not finish and event.usage is None and choice.token_ids is None:  # nearly every event
            some = (choice.delta is not None and choice.delta.content) or _has_output(choice, "")
            return self._plain if some else NOTHING
        output = _has_output(choice, finish)
        if finish and self.fields.finish_has_token:
            output = True
        if output and not finish and self.fields.one_each:
            return of_tokens(1)
        return chunk(output=output, finish=finish, ids=choice.token_ids, usage=event.usage)


def _has_output(choice: _Choice, finish: str) -> bool:
    delta = choice.delta
    if choice.token_ids:
        return True
    if delta is None:
        return False
    if delta.content or delta.reasoning or delta.reasoning_content or delta.tool_calls:
        return True
    if delta.thinking or delta.function_call or delta.refusal:
        return True
    # Neither role nor end: a token whose text is still an incomplete character.
    return delta.content is not None and not delta.role and not finish


DIALECT = OpenAIChat
