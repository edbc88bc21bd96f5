"""What a server's refusal means to the user: one sentence, a hint, an exit code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from costaudit.ground.errors import CostauditError, TargetError, UsageError
from costaudit.record.dialects.reading.events import sentence
from costaudit.record.servers.unreachable import API_KEY_HINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costaudit.recording.rows import Answer

_TOO_LONG = re.compile(
    r"context (length|size)|max_model_len|maximum (context|input)|too (long|many tokens)"
    r"|exceed_context|must have less than|longer than",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.*(not exist|not found|unknown|pinned)|unknown model|pinned to", re.IGNORECASE
)
_REFUSED = 400  # and above: HTTP's own
_KEY_REFUSED, _NOT_FOUND, _BUSY = {401, 403}, 404, {429, 503}


def refusal(
    status: int, body: bytes, *, base_url: str, model: str, served: Sequence[str] = ()
) -> CostauditError:
    """The error for an answer that is none: HTTP `status`, and what the server said in `body`."""
    said = words(body)
    told = f": {said}" if said else ""
    if status in _KEY_REFUSED:
        return TargetError(f"{base_url} refuses us (HTTP {status}){told}", hint=API_KEY_HINT)
    if _TOO_LONG.search(said):
        return UsageError(
            f"the prompt and its answer are too long for the server{told}",
            hint="choose a probe with shorter prompts, or raise the server's context limit",
        )
    if _NO_MODEL.search(said):
        names = ", ".join(served[:20])
        hint = f"it serves: {names}" if names else "name the model by --model"
        return UsageError(f"the server has no model {model!r}{told}", hint=hint)
    if status == _NOT_FOUND:
        return TargetError(
            f"{base_url} has no such path (HTTP 404){told}",
            hint="give the address without the API's path, or choose the form by --dialect",
        )
    if status in _BUSY:
        return TargetError(
            f"the server turns requests away (HTTP {status}){told}",
            hint="it is overloaded, still loading, or its worker died; see its log",
        )
    return TargetError(f"the server answers with an error (HTTP {status}){told}", hint=_LOG)


_LOG = "see the server's log"


def no_answers(
    failed: Answer, *, base_url: str, model: str, kept: str = "no answer"
) -> CostauditError:
    """The error where requests had nothing but failures for answers, of which `failed` is one."""
    said = failed.error or "the stream ended before its terminator"
    if failed.status < _REFUSED:
        return TargetError(f"the server gives {kept}: {said}")
    told = said.partition(": ")[2].removeprefix("data: ")  # Triton's errors are events too
    return refusal(failed.status, told.encode(), base_url=base_url, model=model)


def words(body: bytes) -> str:
    """The server's own sentence in the body of an error; "" where it says none."""
    try:
        return sentence(json.loads(body))
    except (ValueError, RecursionError):
        text = body[:300].decode("utf-8", "replace")
        return "" if "<html" in text.lower() else sentence(text)
