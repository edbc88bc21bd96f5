"""Azure LLM inference traces of 2023 and 2024: clock times with seven decimals, two lengths."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="Azure LLM inference trace",
    source="github.com/Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md",
    signature=(("TIMESTAMP",), ("ContextTokens",), ("GeneratedTokens",)),
)
