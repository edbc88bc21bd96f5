"""The GPUs beside a fleet, from dcgm-exporter's series in the same Prometheus.

Both generations of names are read (DCGM 4.6 renamed its fields; see `meters.dcgm`). The exporter
stands on each host; a pod's labels are its own where Kubernetes is known to it, and Prometheus
calls them `exported_pod` where its own label of that name was there first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from costaudit.record.history.asks import Span, Stat
from costaudit.record.history.past import Gpu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from costaudit.record.history.prometheus import Row

# Ours ← the exporter's names, the best first.
_FIELDS = {
    "active_share": (
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO",
        "DCGM_FI_DEV_GPU_UTIL_RATIO",
        "DCGM_FI_DEV_GPU_UTIL",
    ),
    "tensor_share": ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_TENSOR_UTIL_RATIO"),
    "dram_share": ("DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_PROF_DRAM_UTIL_RATIO"),
    "power_w": ("DCGM_FI_DEV_POWER_USAGE",),
}
_PERCENT = {"DCGM_FI_DEV_GPU_UTIL": 0.01}
_BY = (
    "Hostname", "hostname", "node", "instance", "gpu", "UUID", "uuid", "GPU_I_ID", "modelName",
    "exported_namespace", "exported_pod", "namespace", "pod",
)  # fmt: skip


def read_gpus(
    ask: Callable[[str], Iterable[Row]], names: Sequence[str], span: Span
) -> tuple[Gpu, ...]:
    """All GPUs that some exporter saw in the window."""
    texts = []
    for field, wires in _FIELDS.items():
        for rank, wire in enumerate(wire for wire in wires if wire in names):
            texts.append(_text(field, rank, f"avg_over_time({wire}[{span.seconds}s])", wire))
            if rank == 0 and len(texts) == 1:
                step = f"{span.seconds}s:{span.step_s}s"
                texts.append(_text(Stat.PRESENT, 0, f"count_over_time({wire}[{step}])", ""))
    rows = ask("\nor ".join(texts)) if texts else ()
    found: dict[tuple[str, ...], dict[str, tuple[int, float]]] = defaultdict(dict)
    labels: dict[tuple[str, ...], Mapping[str, str]] = {}
    for row in rows:
        key = tuple(row.labels.get(name, "") for name in _BY)
        labels[key] = row.labels
        what, _, place = row.labels.get("costaudit", "").partition("/")
        if place.isdecimal() and found[key].get(what, (int(place) + 1, 0))[0] > int(place):
            found[key][what] = (int(place), row.value)
    return tuple(_gpu(labels[key], values, span) for key, values in sorted(found.items()))


def _text(what: str, rank: int, inner: str, wire: str) -> str:
    scaled = f"{_PERCENT[wire]} * {inner}" if wire in _PERCENT else inner
    summed = f"max by ({', '.join(_BY)}) ({scaled})"
    return f'label_replace({summed}, "costaudit", "{what}/{rank}", "job", ".*")'


def _gpu(labels: Mapping[str, str], values: Mapping[str, tuple[int, float]], span: Span) -> Gpu:
    def first(*names: str) -> str:
        return next((labels[name] for name in names if labels.get(name)), "")

    shares = {name: values[name][1] if name in values else None for name in _FIELDS}
    there = values.get(Stat.PRESENT, (0, 0.0))[1] * span.step_s
    return Gpu(
        host=first("node", "Hostname", "hostname") or first("instance").rpartition(":")[0],
        index=first("gpu"),
        uuid=first("UUID", "uuid"),
        mig=first("GPU_I_ID"),
        name=first("modelName"),
        namespace=first("exported_namespace", "namespace"),
        pod=first("exported_pod", "pod"),
        present_s=min(float(span.seconds), there),
        **shares,
    )
