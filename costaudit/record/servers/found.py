"""What discovery is told, and what it finds out of a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.target.target import Origin, Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from costaudit.record.client.load import Endpoint
    from costaudit.record.dialects.dialect import Dialect
    from costaudit.target.target import Target

UNKNOWN = Value(value=None, origin=Origin.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user says of the server; it rules over what the server says.

    Attributes:
        engine: name of an engine family ("vllm", "triton", …) where recognition is to be skipped.
        dialect: name of a dialect, where the family's own choice is not wanted.
        model_config: a `config.json`, or the directory that holds one.
        tokenizer: a `tokenizer.json`, or the directory that holds one.
        metrics_url: where the metrics are, if not where the family has them.
        knobs: settings of the server by their canonical names ("max_num_seqs", …).
        gpu, gpu_memory_bytes: name and memory of one GPU, on which some engines' defaults depend.
    """

    engine: str | None = None
    dialect: str | None = None
    model_config: Path | None = None
    tokenizer: Path | None = None
    metrics_url: str | None = None
    knobs: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    gpu: str = ""
    gpu_memory_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSource:
    """Where a server's own metrics are read, and by which map.

    Attributes:
        url: the whole URL.
        servers: whose rows of the metric map hold ("vllm-v1", "triton", …), the first ruling.
        version: of that server, for names whose meaning changed; "" unknown.
        format: "prometheus", or the name of a JSON form ("slots": llama.cpp, "loads": SGLang).
        labels: only series whose labels agree are read (a Triton serves many models).
        headers: sent along; may hold secrets.
    """

    url: str
    servers: tuple[str, ...]
    version: str = ""
    format: str = "prometheus"
    labels: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify_tls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRoute:
    """How this server counts tokens without generating any.

    `text_key` holds the text in the JSON body, `extra` is sent beside it; the ids come back as a
    list under `ids_key`.
    """

    path: str
    text_key: str
    ids_key: str
    extra: Mapping[str, str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A server, found out without generating a token.

    Attributes:
        endpoint: the given one with its base URL corrected (see `notes`).
        target: engine, version, model, shape if known, knobs with their origins.
        model: the name to send in requests (`target.model` may be the weights behind it).
        dialect: how to ask it for generations; `chat` the same as chat, where that differs.
        metrics: where its metrics are; None: there are none, and `notes` says why.
        tokenize: its route that counts tokens; None: it has none.
        max_context_tokens: longest prompt plus output.
        parallelism: "tensor", "pipeline", "data", "expert", in ranks.
        weights_name: the model behind the served name, as the server calls it (maybe a path).
        kv: "tokens_total", "blocks_total", "block_size_tokens", "dtype", "bytes_total", …
        vocab_tokens: size of the tokenizer's vocabulary, if told.
        calibration: a prompt as text and the tokens that the server counted in it (canary).
        notes: sentences for the user: corrections made, what is missing and why.
        evidence: what the engine was recognised by.
    """

    endpoint: Endpoint
    target: Target
    model: str
    dialect: Dialect
    chat: Dialect | None = None
    metrics: MetricsSource | None = None
    tokenize: TokenizeRoute | None = None
    weights_name: str = ""
    max_context_tokens: Value = UNKNOWN
    parallelism: Mapping[str, Value] = field(default_factory=dict)
    kv: Mapping[str, Value] = field(default_factory=dict)
    vocab_tokens: Value = UNKNOWN
    calibration: tuple[str, int] | None = None
    notes: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What one small generation told.

    Attributes:
        prompt_tokens, output_tokens: by the server's usage; None: not told.
        exact_prompt: the server counted as many prompt tokens as were sent; None: cannot tell.
        exact_output: it generated as many tokens as were asked for; None: cannot tell.
        events: pieces of the stream that carried output.
        counts_tokens: its stream tells token counts while it goes on.
        fingerprint: its `system_fingerprint`; "" none.
        first_s, e2e_s: rough times of this one request, from its sending to the first and the
            last byte of the answer.
        found: what was found before, refined by what the canary told.
    """

    found: Found
    prompt_tokens: int | None
    output_tokens: int | None
    exact_prompt: bool | None
    exact_output: bool | None
    events: int
    counts_tokens: bool
    fingerprint: str
    first_s: float
    e2e_s: float
