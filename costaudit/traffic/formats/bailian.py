"""Qwen-Bailian traces: as Mooncake's, but in seconds, with turns and hashes of 16-token blocks."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="Qwen-Bailian trace",
    source="github.com/alibaba-edu/qwen-bailian-usagetraces-anon",
    signature=(("chat_id",), ("parent_chat_id", "turn"), ("timestamp",), ("input_length",),
               ("output_length",)),
    relative_unit="s",
)  # fmt: skip
