"""A table of rates per window of time, as ServeGen's client rates summed up.

A window in which nothing came is a hole in the collection: at the rates that such tables are
made from, an empty window is not to be expected.
"""

from __future__ import annotations

from costaudit.traffic.layout import Format

PROMPT_RATES = (
    "in_tok_s", "in_tokens_s", "input_tok_s", "prompt_tok_s", "input_tokens_s", "prompt_tokens_s",
    "in_tokens_per_s", "input_tokens_per_s", "prompt_tokens_per_s", "prompt_tokens_per_second",
    "input_tokens_per_second", "in_tps", "input_tps", "prompt_tps", "prompt_throughput",
    "avg_prompt_throughput",
)  # fmt: skip
OUTPUT_RATES = (
    "out_tok_s", "out_tokens_s", "output_tok_s", "gen_tok_s", "output_tokens_s",
    "generation_tokens_s", "out_tokens_per_s", "output_tokens_per_s", "generation_tokens_per_s",
    "output_tokens_per_second", "generation_tokens_per_second", "completion_tokens_per_s",
    "out_tps", "output_tps", "generation_tps", "generation_throughput",
    "avg_generation_throughput",
)  # fmt: skip
REQUEST_RATES = (
    "rps", "qps", "req_s", "requests_s", "req_per_s", "requests_per_s", "requests_per_sec",
    "requests_per_second", "request_rate", "arrival_rate", "rate",
)  # fmt: skip

FORMAT = Format(
    name="windowed rates",
    source="arXiv 2505.09999 (ServeGen), rates per window",
    signature=(PROMPT_RATES, OUTPUT_RATES),
    columns={
        "requests_per_s": REQUEST_RATES,
        "prompt_tokens_per_s": PROMPT_RATES,
        "output_tokens_per_s": OUTPUT_RATES,
        "cached_prompt_tokens_per_s": ("cached_tok_s", "cached_tokens_per_s"),
        "prompt_tokens": (),
        "output_tokens": (),
        "cached_prompt_tokens": (),
        "requests": (),
    },
    relative_unit="s",
    zero_is_gap=True,
)
