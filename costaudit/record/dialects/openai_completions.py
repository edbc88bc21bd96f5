"""OpenAI completions: `POST /v1/completions`, prompts as text or token ids, server-sent events.

Spoken by vLLM, SGLang, trtllm-serve, llama.cpp, LMDeploy, Dynamo, TGI, Ollama and transformers.
"""

from __future__ import annotations

import msgspec

from costaudit.record.dialects.dialect import OUTPUT, Ask, Call, Chunk, Framing
from costaudit.record.dialects.reading.events import NOTHING, of_tokens
from costaudit.record.dialects.reading.json_events import JsonEvents
from costaudit.record.dialects.reading.openai import Event, Fields, body, chunk, without_choice


class _Choice(msgspec.Struct, gc=False):
    text: str | None = None
    finish_reason: str | None = None
    token_ids: list[int] | None = None


class _Event(Event, gc=False):
    choices: list[_Choice] | None = None


class OpenAICompletions(JsonEvents[_Event]):
    """The completions form; `fields` are those that the server takes."""

    name = "openai_completions"
    decoder = msgspec.json.Decoder(_Event)
    framing = Framing.SSE
    texts: tuple[bytes, ...] = (b"text",)

    def __init__(self, fields: Fields | None = None, *, path: str = "/v1/completions") -> None:
        self.fields = fields or Fields()
        self.path = path
        self.ending = self.fields.ending
        self._plain = of_tokens(1) if self.fields.one_each else OUTPUT
        self.takes_token_ids = bool(self.fields.ids)
        self.exact_output = self.fields.exact_output

    def call(self, ask: Ask, *, model: str) -> Call:
        """The request that asks for this generation, streamed.

        Raises:
            TypeError: token ids for a server that takes text alone.
        """
        sent = body(self.fields, model=model, output_tokens=ask.output_tokens)
        if isinstance(ask.prompt, str):
            sent["prompt"] = ask.prompt
        elif self.takes_token_ids:
            sent.setdefault("prompt", "")  # where ids go elsewhere, it is still demanded
            sent[self.fields.ids] = ask.prompt
        else:
            raise TypeError("this server takes no token ids")
        return Call(path=self.path, body=msgspec.json.encode(sent))

    def meaning(self, event: _Event, payload: bytes) -> Chunk:
        """One event. A token whose text is still an incomplete character is output too."""
        if not event.choices or event.error is not None:
            return without_choice(event, payload)
        choice = event.choices[0]
        finish = choice.finish_reason or ""
        output = bool(choice.text) or (choice.text is not None and not finish)
        if not finish and event.usage is None and choice.token_ids is None:
            return self._plain if output else NOTHING
        if finish and (self.fields.finish_has_token or choice.token_ids):
            output = True
        if output and not finish and self.fields.one_each:
            return of_tokens(1)
        return chunk(output=output, finish=finish, ids=choice.token_ids, usage=event.usage)


DIALECT = OpenAICompletions
