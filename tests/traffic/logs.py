"""Small logs of every kind, all of the same three hours: what any of them must be read as."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

START = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)
REQUESTS = tuple(
    (START + timedelta(seconds=37 * i, microseconds=123456), 100 + 7 * i, 10 + i % 5)
    for i in range(290)
)  # 9:00 to 11:58
PROMPT_TOKENS = sum(prompt for _, prompt, _ in REQUESTS)
OUTPUT_TOKENS = sum(output for _, _, output in REQUESTS)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([header, *rows])
    return write(path, out.getvalue())


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> str:
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


def write(path: Path, text: str) -> str:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return str(path)


def azure(path: Path) -> str:
    rows = [(f"{t:%Y-%m-%d %H:%M:%S.%f}0", p, o) for t, p, o in REQUESTS]
    return write_csv(path / "azure.csv", ("TIMESTAMP", "ContextTokens", "GeneratedTokens"), rows)


def azure_2025(path: Path) -> str:
    rows = [(f"{t:%Y-%m-%d %H:%M:%S.%f}+00:00", 0, p, o) for t, p, o in REQUESTS]
    header = ("TIMESTAMP", "NumImages", "ContextTokens", "GeneratedTokens")
    return write_csv(path / "azure_lmm.csv.gz", header, rows)


def mooncake(path: Path) -> str:
    return write_lines(path / "mooncake.jsonl", (
        {"timestamp": int(since(t) * 1000), "input_length": p, "output_length": o,
         "hash_ids": list(range(-(-p // 512)))} for t, p, o in REQUESTS
    ))  # fmt: skip


def bailian(path: Path) -> str:
    return write_lines(path / "qwen_traceA_blksz_16.jsonl", (
        {"chat_id": i, "parent_chat_id": -1, "timestamp": round(since(t), 3), "input_length": p,
         "output_length": o, "type": "text", "turn": 1, "hash_ids": list(range(-(-p // 16)))}
        for i, (t, p, o) in enumerate(REQUESTS)
    ))  # fmt: skip


def burstgpt(path: Path) -> str:
    header = ("Timestamp", "Model", "Request tokens", "Response tokens", "Total tokens", "Log Type")
    rows = [(int(since(t)), "ChatGPT", p, o, p + o, "Conversation log") for t, p, o in REQUESTS]
    return write_csv(path / "BurstGPT_1.csv", header, rows)


def aiperf(path: Path) -> str:
    return write_lines(path / "aiperf.jsonl", (
        {"timestamp": int(since(t) * 1000), "session_id": f"s{i}", "input_length": p,
         "output_length": o} for i, (t, p, o) in enumerate(REQUESTS)
    ))  # fmt: skip


def splitwise(path: Path) -> str:
    header = ("request_id", "request_type", "application_id", "arrival_timestamp", "batch_size",
              "prompt_size", "token_size")  # fmt: skip
    rows = [(i, 2, 0, since(t), 1, p, o) for i, (t, p, o) in enumerate(REQUESTS)]
    return write_csv(path / "splitwise.csv", header, rows)


def litellm(path: Path) -> str:
    return write_lines(path / "spend.jsonl", (
        {"request_id": f"chatcmpl-{i}", "call_type": "acompletion", "api_key": "x", "spend": 0.01,
         "total_tokens": p + o, "prompt_tokens": p, "completion_tokens": o,
         "startTime": t.isoformat().replace("+00:00", "Z"),
         "endTime": (t + timedelta(seconds=2)).isoformat().replace("+00:00", "Z"),
         "model": "gpt-4o", "cache_hit": "False", "metadata": {"user_api_key": None}}
        for i, (t, p, o) in enumerate(REQUESTS)
    ))  # fmt: skip


def litellm_csv(path: Path) -> str:
    """With a column of JSON, quotes doubled and commas within."""
    header = ("request_id", "metadata", "spend", "prompt_tokens", "completion_tokens", "startTime",
              "endTime", "cache_hit")  # fmt: skip
    rows = [
        (i, json.dumps({"a": 'say "hi", please', "b": [1, 2]}), 0.1, p, o, t.isoformat(),
         t.isoformat(), "")
        for i, (t, p, o) in enumerate(REQUESTS)
    ]  # fmt: skip
    return write_csv(path / "spend.csv", header, rows)


def chat_responses(path: Path) -> str:
    """What an OpenAI-compatible server answers, one a line."""
    return write_lines(path / "responses.ndjson.gz", (
        {"id": f"chatcmpl-{i}", "object": "chat.completion", "created": t.timestamp(), "model": "m",
         "choices": [{"message": {"content": 'a "quoted", text'}}],
         "usage": {"prompt_tokens": p, "completion_tokens": o, "total_tokens": p + o,
                   "prompt_tokens_details": {"cached_tokens": 16}}}
        for i, (t, p, o) in enumerate(REQUESTS)
    ))  # fmt: skip


def vllm_requests(path: Path) -> str:
    return write_lines(path / "vllm.jsonl", (
        {"request_id": f"cmpl-{i}", "arrival_time": t.timestamp(), "num_prompt_tokens": p,
         "num_generation_tokens": o, "num_cached_tokens": 16, "finish_reason": "stop"}
        for i, (t, p, o) in enumerate(REQUESTS)
    ))  # fmt: skip


def vllm_bench(path: Path) -> str:
    result = {
        "date": "20240506-120000", "backend": "vllm", "completed": len(REQUESTS), "duration": 10730,
        "total_input_tokens": PROMPT_TOKENS, "total_output_tokens": OUTPUT_TOKENS,
        "start_times": [86400.5 + since(t) for t, _, _ in REQUESTS],
        "input_lens": [p for _, p, _ in REQUESTS], "output_lens": [o for _, _, o in REQUESTS],
        "itls": [[0.1, 0.2]] * len(REQUESTS), "errors": [""] * len(REQUESTS),
    }  # fmt: skip
    return write(path / "vllm_bench.json", json.dumps(result))


def nanoseconds(path: Path) -> str:
    rows = [(o, int(t.timestamp() * 1e6) * 1000, p) for t, p, o in REQUESTS]
    return write_csv(path / "ns.csv", ("completion_tokens", "ts_ns", "prompt_tokens"), rows)


def semicolons(path: Path) -> str:
    rows = "".join(
        f"x;{int(t.timestamp() * 1000)};{p};{p + o}\r\n" for t, p, o in reversed(REQUESTS)
    )
    return write(path / "totals.csv", "\ufeffmodel;timestamp;Input Tokens;Total Tokens\r\n" + rows)


def array(path: Path) -> str:
    rows = [{"time": str(t), "tokens": {"input": p, "output": o}} for t, p, o in REQUESTS]
    return write(path / "array.json", json.dumps(rows, indent=1))


def parquet(path: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    times, prompts, outputs = zip(*REQUESTS, strict=True)
    table = pa.table({"created_at": pa.array(times, pa.timestamp("us", "UTC")),
                      "input_tokens": prompts, "output_tokens": outputs})  # fmt: skip
    pq.write_table(table, path / "log.parquet")
    return str(path / "log.parquet")


def nested_parquet(path: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    usage = [{"prompt_tokens": p, "completion_tokens": o} for _, p, o in REQUESTS]
    times = pa.array([t.replace(tzinfo=None) for t, _, _ in REQUESTS], pa.timestamp("ns"))
    pq.write_table(pa.table({"timestamp": times, "usage": usage}), path / "nested.parquet")
    return str(path / "nested.parquet")


def since(time: datetime) -> float:
    return (time - START).total_seconds()


KINDS: tuple[Callable[[Path], str], ...] = (
    azure, azure_2025, mooncake, aiperf, splitwise, bailian, burstgpt, litellm, litellm_csv,
    chat_responses, vllm_requests, vllm_bench, nanoseconds, semicolons, array, parquet,
    nested_parquet,
)  # fmt: skip
RELATIVE = (mooncake, aiperf, splitwise, bailian, burstgpt, vllm_bench)
