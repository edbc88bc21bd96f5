"""The older usage export of OpenAI's dashboard: sums per five minutes."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="OpenAI usage export, older form",
    source="OpenAI dashboard, usage export until 2024 (`data` of aggregation_timestamp rows)",
    signature=(("aggregation_timestamp",), ("n_requests",), ("n_context_tokens_total",),
               ("n_generated_tokens_total",)),
    columns={"time": ("aggregation_timestamp",), "request_id": ()},
)  # fmt: skip
