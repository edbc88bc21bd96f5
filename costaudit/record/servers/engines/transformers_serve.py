"""`transformers serve`: no metrics, no version, and a list of models that may fail or be empty.

Its streams end with the finish reason, without `[DONE]`. A prompt longer than the model is answered
all the same, or kills the continuous-batching worker for good, so the length must be known before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.record.dialects.dialect import Ending
from costaudit.record.dialects.openai_chat import OpenAIChat
from costaudit.record.dialects.openai_completions import OpenAICompletions
from costaudit.record.dialects.reading.openai import Fields
from costaudit.record.servers import paths
from costaudit.record.servers.command_line import arguments_of_listener
from costaudit.record.servers.family import Described, exported, known, listed
from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.record.servers.look import Look

_FLAGS = {
    "max_num_batched_tokens": "cb-max-batch-tokens",
    "kv_blocks": "cb-num-blocks",
    "dtype": "dtype",
    "attention": "attn-implementation",
    "quantization": "quantization",
}


class TransformersServe:
    """The family of `transformers serve`."""

    name = "transformers-serve"
    rank = 90

    def known_by(self, look: Look) -> str:  # noqa: ARG002 - it has no mark of its own there
        """Nothing: others' lists of models look the same."""
        return ""

    def asked_by(self, look: Look) -> str:
        """`/health` is {"status": "ok"}, under uvicorn, with a request id and no metrics."""
        health = look.get(paths.HEALTH)
        uvicorn = health.headers.get("server") == "uvicorn" and "x-request-id" in health.headers
        ok = health.mapping() == {"status": "ok"}
        return "/health as transformers serve has it" if uvicorn and ok and not look.page else ""

    def served(self, look: Look) -> tuple[str, ...]:
        """The pinned model on the command line, where it is this machine's; else what is listed."""
        pinned = _pinned(arguments_of_listener(look.endpoint.base_url, "transformers"))
        return (pinned,) if pinned else listed(look)

    def describe(self, look: Look, model: str) -> Described:
        """What its command line says, where it runs on this machine."""
        flags = arguments_of_listener(look.endpoint.base_url, "transformers")
        why = "the server's command line on this machine"
        knobs = {ours: exported(flags.get(flag), why) for ours, flag in _FLAGS.items()}
        if flags:
            batches = flags.get("continuous-batching", "false") == "true"
            knobs["continuous_batching"] = Value(value=batches, origin=Origin.EXPORTED, why=why)
            if not batches:
                knobs["max_num_seqs"] = Value(
                    value=1, origin=Origin.DEFAULT, why="without --continuous-batching: one by one"
                )
        fields = Fields(ending=Ending.FINISH)
        dtype = knobs["dtype"].value
        return Described(
            weights_name=model.partition("@")[0],
            dtype=dtype if isinstance(dtype, str) and dtype != "auto" else "",
            dialect=OpenAICompletions(fields),
            chat=OpenAIChat(fields),
            kv=known(
                {
                    "blocks_total": exported(flags.get("cb-num-blocks"), why),
                    "block_size_tokens": exported(flags.get("cb-block-size"), why),
                }
            ),
            knobs=known(knobs),
            notes=("transformers serve exports no metrics: KV numbers and queue are not told",),
        )


def _pinned(flags: Mapping[str, str]) -> str:
    word = flags.get("serve", "")
    return "" if word.startswith("-") else word


FAMILY = TransformersServe()
