"""LiteLLM's spend logs: the table LiteLLM_SpendLogs or what `/spend/logs` answers.

What the proxy answered from its own cache never reached a model and is no demand.
"""

from __future__ import annotations

from costaudit.traffic.layout import RESPONSE_CACHE, Format

FORMAT = Format(
    name="LiteLLM spend log",
    source="docs.litellm.ai/docs/proxy/ui_logs; schema.prisma, model LiteLLM_SpendLogs",
    signature=(
        ("startTime",),
        ("endTime",),
        ("prompt_tokens",),
        ("completion_tokens",),
        ("spend",),
    ),
    columns={
        "time": ("startTime",),
        "window_end": (),
        "request_id": ("request_id",),
        RESPONSE_CACHE: ("cache_hit",),
    },
)
