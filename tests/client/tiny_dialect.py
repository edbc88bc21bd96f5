"""The least of an OpenAI chat dialect, so that the client is tested without the real ones."""

from __future__ import annotations

import json

from costaudit.record.client.load import Shot
from costaudit.record.dialects.dialect import Ask, Call, Chunk, Ending, Framing


class TinyChat:
    name = "tiny"
    framing = Framing.SSE
    ending = Ending.DONE
    texts = (b"content", b"reasoning_content")
    takes_token_ids = False
    exact_output = False

    def call(self, ask, *, model):
        body = {
            "model": model,
            "messages": [{"role": "user", "content": ask.prompt}],
            "max_tokens": ask.output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return Call(path="/v1/chat/completions", body=json.dumps(body).encode())

    def read(self, payload):
        if payload == b"[DONE]":
            return Chunk(done=True)
        try:
            event = json.loads(payload)
            if event.get("error"):
                return Chunk(error=event["error"]["message"])
            choice = event["choices"][0] if event["choices"] else {"delta": {}}
            delta, usage = choice["delta"], event.get("usage") or {}
            return Chunk(
                output=bool(delta.get("content") or delta.get("reasoning_content")),
                prompt_tokens=usage.get("prompt_tokens"),
                output_tokens=usage.get("completion_tokens"),
                finish_reason=choice.get("finish_reason") or "",
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return Chunk(error="the event cannot be read")

    def read_all(self, payloads):
        return [*map(self.read, payloads)]


def shots(count, *, tokens=64, starts=None):
    call = TinyChat().call(Ask(prompt="word " * 128, output_tokens=tokens), model="truth")
    for number in range(count):
        start_s = None if starts is None else starts[number]
        yield Shot(number=number, call=call, output_tokens=tokens, start_s=start_s)
