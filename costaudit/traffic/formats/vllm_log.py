"""vLLM's own log: every ten seconds a line with the mean prompt and generation throughput.

An idle server writes no such line, so silence counts as no traffic. The log tells no number of
requests and no year: times count from the start of that year.
"""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="vLLM server log",
    source="vllm/v1/metrics/loggers.py, LoggingStatLogger",
    signature=(("vllm_log_time",), ("avg_prompt_throughput",), ("avg_generation_throughput",)),
    columns={
        "time": ("vllm_log_time",),
        "prompt_tokens_per_s": ("avg_prompt_throughput",),
        "output_tokens_per_s": ("avg_generation_throughput",),
    },
    row_s=10.0,  # VLLM_LOG_STATS_INTERVAL's default
    silence_is_idle=True,
    time_prefix="1970-",
    line_pattern=(
        r"(?P<vllm_log_time>\d\d-\d\d \d\d:\d\d:\d\d).*"
        r"Avg prompt throughput: (?P<avg_prompt_throughput>[0-9.]+) tokens/s, .*"
        r"Avg generation throughput: (?P<avg_generation_throughput>[0-9.]+) tokens/s"
    ),
)
