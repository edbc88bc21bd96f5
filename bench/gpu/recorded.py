"""A recording as `costaudit profile` makes it, over the shared model, and what its audit says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costaudit.audit.sections import measured_sections
from costaudit.audit.situation import AuditOptions, Judged, read_situation
from costaudit.record.options import EngineSettings, ProfileOptions
from costaudit.record.profile import record_profile
from gpu.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpu.bed import Bed

RECORDED = EngineSettings(cache="static")  # graphs can be put over it, and nothing else changes
# Three batches: with one there is nothing that could join when a row ends. They are short, since
# run kernel by kernel a step takes long.
WORKLOAD: Mapping[str, Any] = {"batch_size": 8, "requests": 24, "scale": 0.125}
REHEARSED: Mapping[str, Any] = {
    "batch_size": 2, "requests": 4, "scale": 0.01, "rounds": 2, "replay_rounds": 1,
    "kv_budget_bytes": 8 << 20,
}  # fmt: skip
BYTES_BARS = {"decode": 0.05, "prefill": 0.15}


class Recorded:
    """The recording at `path`; `judged` once it was made."""

    def __init__(self, bed: Bed, path: Path) -> None:
        self.bed, self.path = bed, path
        self.judged: Judged | None = None
        self.document: dict[str, Any] = {}

    def rows(self, seconds: float) -> Iterator[Row]:
        """Record within these device seconds, audit, tell."""
        options = ProfileOptions(
            target=str(self.bed.target),
            path=self.path,
            device=self.bed.device,
            dtype=self.bed.sizes.dtype,
            dummy_weights=True,
            cache=RECORDED.cache,
            time_budget_s=seconds,
            **(REHEARSED if self.bed.rehearsal else WORKLOAD),
        )
        record_profile(options, progress=lambda _: None, opener=self.bed.opener)
        self.bed.free()
        self.judged = read_situation(self.path, AuditOptions())  # no plan: it takes its time
        self.document = measured_sections(self.judged.situation.metrics)
        yield from of_audit(self.judged, self.document)

    def known(self) -> Judged:
        """The situation of the recording.

        Raises:
            RuntimeError: there is no recording.
        """
        if self.judged is None:
            raise RuntimeError("the recording that it starts from was not made")
        return self.judged


def of_audit(judged: Judged, document: Mapping[str, Any]) -> Iterator[Row]:
    """The step-time model, GPM beside the formula, throttling, the allocator, formats by rows."""
    fit = judged.step_time
    yield Row(
        what=f"the audit's own step time, median error on {fit.held_out_points} held-out",
        value=fit.error_p50_share,
        why="" if fit.error_p50_share is not None else "no probe was held out",
    )
    for phase in BYTES_BARS:
        seen = document["phases"][phase].get("counters") or {}
        ratio = seen.get("traffic_over_formula")
        yield Row(
            what=f"{phase} of the audit: GPM's DRAM bytes over weights and KV",
            value=ratio,
            unit="x",
            why="" if ratio is not None else seen.get("why") or "GPM read no span of this phase",
        )
    throttled, held = (document["device"].get(n, {}) for n in ("throttled_share", "allocator"))
    yield Row(
        what="share of the recording with clocks held down, by the worst reason",
        value=max(throttled.values(), default=None),
        why="" if throttled else "the driver counted no reasons",
    )
    share = held.get("fragmented_peak_share")
    why = "" if share is not None else "torch's allocator told nothing"
    yield Row(what="allocator: reserved between tensors, at most", value=share, why=why)
    yield from _formats(judged)


def _formats(judged: Judged) -> Iterator[Row]:
    """Which format multiplies fastest at each number of rows: the order of quantization."""
    known = judged.situation.metrics.device.low_bit_speedup
    if not known:
        why = "no format of few bits was timed on this device"
        yield Row(what="linear layers in few bits", value=None, why=why)
    by_rows: dict[float, dict[str, float]] = {}
    for form, points in known:
        for rows, ratio in points:
            by_rows.setdefault(rows, {"bfloat16": 1.0})[form] = ratio
            yield Row(what=f"linear layers in {form} over bfloat16, {rows:g} rows", value=ratio,
                      unit="x")  # fmt: skip
    for rows, ratios in sorted(by_rows.items()):
        best = max(ratios, key=lambda form: ratios[form])
        yield Row(what=f"fastest at {rows:g} rows: {best}", value=ratios[best], unit="x")
