"""Any table whose columns have usual names."""

from __future__ import annotations

from costaudit.traffic.layout import EXTRA_PROMPT, Format

TIMES = (
    "timestamp", "time", "ts", "datetime", "date_time", "@timestamp", "arrival_time",
    "arrival_timestamp", "arrived_at", "arrival", "arrival_s", "arrival_ms", "request_time",
    "request_timestamp", "request_start_time", "start_time", "started_at", "received_at",
    "submit_time", "created_at", "created", "create_time", "event_time", "logged_at",
    "timestamp_ms", "timestamp_us", "timestamp_ns", "timestamp_s", "ts_ms", "ts_ns", "time_ms",
    "time_s", "t_s", "t_ms", "t", "start_time_unix_nano", "window_start", "bucket_start",
    "interval_start", "start", "start_time_iso", "usage_date", "hour", "date", "day", "bucket",
    "window",
)  # fmt: skip
PROMPTS = (
    "prompt_tokens", "input_tokens", "context_tokens", "num_prompt_tokens", "n_prompt_tokens",
    "num_input_tokens", "request_tokens", "prompt_token_count", "input_token_count",
    "input_length", "input_token_length", "input_len", "prompt_len", "prompt_length", "prompt_size",
    "prompt_num_tokens", "num_prefill_tokens", "prefill_tokens", "tokens_in", "in_tokens",
    "input_toks", "total_input_tokens", "n_context_tokens_total", "context_length", "isl",
    "usage.prompt_tokens", "usage.input_tokens", "response.usage.prompt_tokens",
    "response.body.usage.prompt_tokens", "response.body.usage.input_tokens",
    "gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens", "usage_metadata.prompt_token_count",
    "tokens.prompt", "tokens.input", "prompt",
)  # fmt: skip
OUTPUTS = (
    "output_tokens", "completion_tokens", "generated_tokens", "generation_tokens",
    "num_generation_tokens", "num_generated_tokens", "num_completion_tokens", "num_output_tokens",
    "n_output_tokens", "response_tokens", "completion_token_count", "output_token_count",
    "candidates_token_count", "output_length", "output_token_length", "output_len",
    "response_length", "completion_length", "generation_length", "output_num_tokens",
    "num_decode_tokens", "decode_tokens", "tokens_out", "out_tokens", "output_toks", "gen_tokens",
    "total_output_tokens", "n_generated_tokens_total", "osl", "usage.completion_tokens",
    "usage.output_tokens", "response.usage.completion_tokens",
    "response.body.usage.completion_tokens", "response.body.usage.output_tokens",
    "gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens",
    "usage_metadata.candidates_token_count", "tokens.completion", "tokens.output", "completion",
)  # fmt: skip
CACHED = (
    "cached_prompt_tokens", "cached_tokens", "num_cached_tokens", "input_cached_tokens",
    "cached_input_tokens", "prompt_cached_tokens", "prefix_cache_hit_tokens", "cache_hit_tokens",
    "prompt_cache_hit_tokens", "prompt_tokens_cached", "cached_context_tokens_total",
    "prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens",
    "usage.prompt_tokens_details.cached_tokens", "usage.input_tokens_details.cached_tokens",
    "usage.prompt_cache_hit_tokens", "response.usage.prompt_tokens_details.cached_tokens",
    "response.body.usage.prompt_tokens_details.cached_tokens",
    "metadata.usage_object.prompt_tokens_details.cached_tokens", "cache_read_input_tokens",
    "usage.cache_read_input_tokens", "cachedtokens", "cached_content_token_count",
)  # fmt: skip

FORMAT = Format(
    name="table",
    source="usual column names of request logs",
    columns={
        "time": TIMES,
        "prompt_tokens": PROMPTS,
        "output_tokens": OUTPUTS,
        "cached_prompt_tokens": CACHED,
        # Anthropic's usage object counts cached input beside input_tokens, not within.
        EXTRA_PROMPT: (
            "cache_read_input_tokens", "usage.cache_read_input_tokens",
            "cache_creation_input_tokens", "usage.cache_creation_input_tokens",
        ),
        "total_tokens": ("total_tokens", "usage.total_tokens", "tokens_total", "total_token_count"),
        "request_id": (
            "request_id", "req_id", "requestid", "x_request_id", "response_id", "completion_id",
            "litellm_call_id", "generation_id", "call_id", "uuid", "id",
        ),
        "block_hashes": ("hash_ids", "block_hashes", "block_hash_ids", "prefix_hashes"),
        "requests": (
            "requests", "num_requests", "n_requests", "request_count", "requests_count",
            "num_model_requests", "requests_total", "total_requests", "completed",
        ),
        "window_end": ("end_time", "window_end", "bucket_end", "interval_end", "end", "to"),
    },
)  # fmt: skip
