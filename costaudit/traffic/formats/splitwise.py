"""Splitwise-sim traces: seconds since the start, prompt and generated tokens as sizes."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="Splitwise trace",
    source="github.com/Mutinifni/splitwise-sim, traces (request_id … prompt_size, token_size)",
    signature=(("arrival_timestamp",), ("prompt_size",), ("token_size",)),
    columns={"output_tokens": ("token_size",)},
    relative_unit="s",
)
