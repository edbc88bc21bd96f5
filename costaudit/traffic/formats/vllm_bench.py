"""The result file of `vllm bench serve`: lists beside each other, one item a request.

With `--save-detailed` a newer vLLM tells when each request started; without, the run is one window
that began at its date and lasted its duration.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from costaudit.traffic.layout import Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATE = "%Y%m%d-%H%M%S"  # vllm/benchmarks/serve.py


def unroll(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]] | None:
    """One row a request, or one for the whole run; None where it is no such result."""
    starts, prompts, outputs = (
        document.get(key) for key in ("start_times", "input_lens", "output_lens")
    )
    if isinstance(starts, list) and isinstance(prompts, list) and isinstance(outputs, list):
        return [
            {"start_time": start, "input_len": prompt, "output_len": output}
            for start, prompt, output in zip(starts, prompts, outputs, strict=False)
        ]
    if "total_input_tokens" not in document or "duration" not in document:
        return None
    return [_run(document)]


def _run(document: Mapping[str, Any]) -> Mapping[str, Any]:
    wanted = ("completed", "total_input_tokens", "total_output_tokens")
    row = {key: document.get(key) for key in wanted}
    try:
        ended = datetime.strptime(str(document.get("date")), DATE)  # noqa: DTZ007 - it names none
        lasted = timedelta(seconds=float(document["duration"]))
    except (TypeError, ValueError, OverflowError):
        return row  # without a date there is no time; the reader says so
    return row | {"start_time": (ended - lasted).isoformat(" "), "end_time": ended.isoformat(" ")}


FORMAT = Format(
    name="vLLM benchmark result",
    source="vllm/benchmarks/serve.py, save_to_pytorch_benchmark_format and result_json",
    signature=(("start_time",), ("input_len", "total_input_tokens"),
               ("output_len", "total_output_tokens")),
    relative_unit="s",
    unroll=unroll,
)  # fmt: skip
