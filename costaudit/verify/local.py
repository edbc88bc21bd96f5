"""A change of a model in this process: made here, and measured in turns with the unchanged one."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from costaudit.contrast.change import from_pairs
from costaudit.ground.errors import UsageError
from costaudit.plan.prediction import COST
from costaudit.record.options import from_meta
from costaudit.record.paired import PairedOptions, record_paired
from costaudit.record.paired_round import LATENCIES
from costaudit.recording.recording import Recording
from costaudit.verify.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from costaudit.record.options import Listener
    from costaudit.recording.rows import RequestRow

# What a step means for an engine in this process; a step that is not here was made by the user.
CHANGES: Mapping[str, Mapping[str, str]] = {
    # transformers pages a cache where it batches continuously, and no other
    "continuous-batching": {"batching": "continuous", "cache": "dynamic"},
    "paged-kv-cache": {"batching": "continuous", "cache": "dynamic"},
    "static-kv-cache": {"cache": "static"},
    "weight-quantization": {"quantize": "int8"},
}
ON_A_GPU: Mapping[str, Mapping[str, str]] = {
    **CHANGES,
    "weight-quantization": {"quantize": "int4-weights"},
    "w8a8": {"quantize": "fp8"},
    "kv-cache-quantization": {"cache": "static", "kv_cache": "fp8"},
    "cuda-graphs": {"cache": "static", "graphs": "captured"},
}


def changes_on(device_kind: object) -> Mapping[str, Mapping[str, str]]:
    """The changes that can be made here on this kind of device, by step."""
    return ON_A_GPU if device_kind == "cuda" else CHANGES


def measure_local(
    run: Path,
    steps: Sequence[str],
    *,
    target: str,
    baseline: str | None,
    rounds: int,
    seconds: float,
    progress: Listener,
) -> Measured:
    """Run the recording's own batches on both sides, A-B-B-A.

    Raises:
        UsageError: nothing would differ, or the recording cannot be run again.
        TargetError: a side is no target, failed, or both do not fit into the memory.
    """
    asked = _turns(run, steps, target, baseline)
    paired = record_paired(replace(asked, rounds=rounds, seconds=seconds), progress=progress)
    logs = {COST: [each.log() for each in paired.rounds]}
    logs |= {name: [each.latency_log(name) for each in paired.rounds] for name in LATENCIES}
    told = {name: rows for name, rows in logs.items() if not any(map(math.isnan, rows))}
    return Measured(
        changes={name: from_pairs(rows) for name, rows in told.items()},
        how=f"A-B-B-A in this process, {len(paired.rounds)} rounds of {paired.requests} requests",
        absent={
            name: "transformers' continuous batching does not stamp its tokens by the CPU time that"
            " the other side's are stamped by"
            for name in logs
            if name not in told
        },
        notes=_notes(asked),
    )


def _turns(run: Path, steps: Sequence[str], target: str, baseline: str | None) -> PairedOptions:
    """Both sides as the recording was made, the new one with the changes of the steps."""
    with Recording.read(run) as recording:
        recorded = from_meta(recording.meta().get("options"), run)
        requests = recording.requests()
        kind = recording.facts().get("device", {}).get("kind")
    known = changes_on(kind.value if kind else None)
    before = recorded.settings
    after = replace(before, **{k: v for step in steps for k, v in known.get(step, {}).items()})
    base = baseline or recorded.target
    if after == before and target == base:
        raise UsageError(
            f"costaudit does not make the change {', '.join(steps)} in its own process",
            hint=f"it makes {', '.join(known)}; make others yourself and name the changed"
            " model as --target",
        )
    return PairedOptions(
        base=base,
        new=target,
        device=recorded.device,
        dtype=recorded.dtype,
        dummy_weights=recorded.dummy_weights,
        trust_remote_code=recorded.trust_remote_code,
        base_settings=before,
        new_settings=after,
        batches=batches_of(requests),
    )


def batches_of(requests: Sequence[RequestRow]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """(prompt, output) lengths of the recorded batches, in their order."""
    batches: dict[int, list[tuple[int, int]]] = {}
    for row in requests:
        batches.setdefault(row.batch, []).append((row.prompt_tokens, row.output_tokens))
    return tuple(tuple(batches[place]) for place in sorted(batches))


def _notes(asked: PairedOptions) -> tuple[str, ...]:
    was, is_now = asdict(asked.base_settings), asdict(asked.new_settings)
    made = [f"{name} {was[name]} to {is_now[name]}" for name in was if was[name] != is_now[name]]
    notes = [f"changed here: {', '.join(made)}"] if made else []
    if asked.new != asked.base:
        notes.append(f"the changed side is {asked.new}, the unchanged one {asked.base}")
    return tuple(notes)
