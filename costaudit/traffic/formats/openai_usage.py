"""OpenAI's usage export: tokens and requests per bucket of a minute, an hour or a day.

The bill is made from it, so an empty bucket is a time without use, not a hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.traffic.layout import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOTHING = {"input_tokens": 0, "output_tokens": 0, "num_model_requests": 0}


def unroll(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]] | None:
    """Rows of a page of buckets, or of a single bucket; None where it is neither."""
    if isinstance(document.get("results"), list) and "start_time" in document:
        ends = {key: document[key] for key in ("start_time", "end_time") if key in document}
        return [{**row, **ends} for row in (document["results"] or [NOTHING]) if row is not None]
    pages = document.get("data")
    if isinstance(pages, list) and any(isinstance(page, dict) for page in pages):
        buckets = (page for page in pages if isinstance(page, dict))
        return [row for bucket in buckets for row in (unroll(bucket) or (bucket,))]
    return None


FORMAT = Format(
    name="OpenAI usage export",
    source="platform.openai.com/docs/api-reference/usage/completions_object",
    signature=(("start_time",), ("input_tokens",), ("output_tokens",), ("num_model_requests",)),
    columns={"time": ("start_time",), "window_end": ("end_time",), "request_id": ()},
    unroll=unroll,
)
