"""BurstGPT: seconds since the start, lengths; no response token means that the request failed."""

from __future__ import annotations

from costaudit.traffic.layout import Format

FORMAT = Format(
    name="BurstGPT trace",
    source="github.com/HPMLL/BurstGPT",
    signature=(("Timestamp",), ("Request tokens",), ("Response tokens",)),
    relative_unit="s",
)
