"""Reads a table of measured serving runs (the form of `data/silicon_serving.csv`)."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costaudit.facts.models import fold_name
from serving.features import Situation, features, fits
from serving.layout import count, device_of, layout_of, number, precision_of, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SAME_SHARE = 1.5e-3  # two runs closer than this are one run, listed twice with other rounding
_CONCURRENCY = re.compile(r"silicon_concurrency=(\d+)")
_MEASURED = re.compile(r"measured=(\d{4}-\d{2})(-\d{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run.

    Attributes:
        group: model, device, engine and precision.
        family: the shape's name; models of one shape are one family.
        columns: ideal seconds by cause, see `features`.
        place: log2 of sequences, prompt tokens, output tokens and devices.
        labels: expert parallel, data parallel, software, campaign, devices.
        seconds: measured time per output token.
        borrowed: the model is unknown, its shape is that of a similar one.
        row: the table's own row.
    """

    group: str
    family: str
    columns: Mapping[str, float]
    place: tuple[float, ...]
    labels: tuple[str, ...]
    seconds: float
    borrowed: bool
    row: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Runs by group, and how many rows were left out for which reason."""

    groups: Mapping[str, Sequence[Run]]
    rows: int
    left_out: Mapping[str, int]


def read_table(path: Path) -> Table:
    """All usable rows of a CSV file; the others are counted by reason."""
    left_out: Counter[str] = Counter()
    found: dict[str, list[Run]] = defaultdict(list)
    rows = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows += 1
            run = _run(row)
            if isinstance(run, str):
                left_out[run] += 1
            else:
                found[run.group].append(run)
    groups = {}
    for name in sorted(found):
        groups[name] = _once_each(found[name])
        again = len(found[name]) - len(groups[name])
        if again:
            left_out["the same run listed again"] += again
    return Table(groups=groups, rows=rows, left_out=dict(left_out))


def _run(row: Mapping[str, str]) -> Run | str:
    """The run of a row, or why it cannot be used."""
    if (row.get("mode") or "agg").strip() != "agg":
        return "disaggregated: prefill and decode run on other devices"
    situation = _situation(row)
    if isinstance(situation, str):
        return situation
    if not fits(situation):
        return "does not fit in KV memory"
    borrowed = shape_of(row["model_path"])[1]
    model, layout = fold_name(row["model_path"]), situation.layout
    parts = (model, row["system"].strip(), situation.engine, situation.precision)
    load = (situation.sequences, situation.prompt_tokens, situation.output_tokens)
    return Run(
        group=" | ".join(parts),
        family=model if borrowed else situation.shape.name,
        columns=features(situation),
        place=tuple(math.log2(n) for n in (*load, layout.devices)),
        labels=(
            str(layout.expert_parallel),
            str(layout.data_parallel),
            *_software(row),
            str(layout.devices),
        ),
        seconds=(number(row, "silicon_tpot_ms") or 0.0) / 1e3,
        borrowed=borrowed,
        row=row,
    )


def _situation(row: Mapping[str, str]) -> Situation | str:
    """What was run, or why it cannot be told."""
    sizes = [number(row, name) for name in ("isl", "osl", "batch_size", "silicon_tpot_ms")]
    prompt, output, batch, tpot_ms = (size or 0.0 for size in sizes)
    if min(prompt, output, batch, tpot_ms) <= 0 or not row.get("model_path"):
        return "no model, lengths, batch or measured TPOT"
    spec = device_of(row)
    if spec is None or not {"bf16", "fp16"} & set(spec.peak_flops):
        return "unknown device"
    layout = layout_of(row)
    if layout is None:
        return "more devices than the machine has"
    stated = _CONCURRENCY.search(row.get("silicon_data_source") or "")
    return Situation(
        shape=shape_of(row["model_path"])[0],
        spec=spec,
        layout=layout,
        precision=precision_of(row),
        engine=(row.get("backend") or "").strip().casefold(),
        sequences=float(stated[1]) if stated else batch * count(row, "attention_dp_size"),
        prompt_tokens=prompt,
        output_tokens=output,
    )


def _software(row: Mapping[str, str]) -> tuple[str, str]:
    """The engine's version (else the month it was measured in), and that with the day."""
    measured = _MEASURED.search(row.get("silicon_data_source") or "")
    month, day = (measured[1], measured[2] or "") if measured else ("", "")
    version = (row.get("backend_version") or "").strip() or month
    return version, f"{version} {month}{day}"


def _once_each(runs: Iterable[Run]) -> list[Run]:
    """Runs of one group without repetitions: same load and layout, and (nearly) the same time."""
    kept: list[Run] = []
    for run in sorted(runs, key=lambda run: (run.place, run.labels[:2], run.seconds)):
        last = kept[-1] if kept else None
        alike = last and (last.place, last.labels[:2]) == (run.place, run.labels[:2])
        if not (last and alike and run.seconds / last.seconds - 1 < SAME_SHARE):
            kept.append(run)
    return kept
