"""AIPerf's and Dynamo's replay traces: Mooncake's columns, without the hashes of blocks."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="AIPerf replay trace",
    source="github.com/ai-dynamo/aiperf, docs: trace replay (Mooncake form, hash_ids optional)",
    signature=(("timestamp",), ("input_length",), ("output_length",)),
    relative_unit="ms",
)
