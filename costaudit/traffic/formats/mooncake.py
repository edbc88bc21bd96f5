"""Mooncake traces: milliseconds since the start, lengths, and hashes of 512-token blocks."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="Mooncake trace",
    source="github.com/kvcache-ai/Mooncake, FAST25-release",
    signature=(("timestamp",), ("input_length",), ("output_length",), ("hash_ids",)),
    relative_unit="ms",
)
