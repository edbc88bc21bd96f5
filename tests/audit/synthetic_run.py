"""A recording of a machine whose step time is known: every value is computed, none measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costaudit.recording.recording import Recording
from costaudit.recording.rows import (
    Fact,
    Instrument,
    Phase,
    RequestRow,
    Role,
    Sample,
    State,
    Task,
)
from costaudit.recording.target_facts import target_facts
from costaudit.target.load import StepLoad, decode_load, prefill_load
from costaudit.target.shape import ModelShape
from costaudit.target.target import Origin, Target, Value
from costaudit.whatif.steptime import Peaks, StepTime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHAPE = ModelShape(
    name="synthetic",
    architecture="LlamaForCausalLM",
    layers=8,
    hidden=512,
    ffn=1536,
    heads=8,
    kv_heads=4,
    head_dim=64,
    vocab=4096,
    max_context_tokens=4096,
)
TRUTH = StepTime(
    shape=SHAPE,
    peaks=Peaks(flops_per_s=80e9, bandwidth_bytes_per_s=20e9),
    param_bytes=4.0,
    kv_element_bytes=4.0,
    coefficients={
        "overhead": 1e-3,
        "sequences": 2e-5,
        "weights": 1.5,
        "kv": 2.0,
        "decode_compute": 1.4,
        "prefill_compute": 1.2,
    },
)
PREFILLS = ((1, 32, 0), (1, 256, 0), (1, 1024, 0), (1, 256, 1024), (4, 64, 0))
DECODES = ((1, 64), (1, 2048), (8, 256), (16, 1024), (32, 64))
HELD_OUT_PREFILLS = ((1, 128, 0), (1, 512, 0))
HELD_OUT_DECODES = ((4, 512), (2, 1024), (16, 128))
BATCHES = (((100, 20), (50, 40), (80, 10), (30, 5)), ((60, 30), (120, 8), (40, 40), (90, 16)))
PREFIX_TOKENS = 16


def write_run(
    path: Path, *, device: str = "cpu", held_out_error: float = 0.0, weights: str = "random"
) -> Path:
    """The recording; `held_out_error` makes held-out steps slower than the truth by that share."""
    with Recording.create(path) as recording:
        recording.set_meta(kind="profile", costaudit="0", created="2026-01-01T00:00:00+00:00")
        recording.plan([Task(id="all", kind="all", spec={})])
        recording.add(
            *_facts(device, weights), Instrument(meter="nvml", state=State.OFF, why="a CPU")
        )
        for number in range(3):
            slower = 1 + 0.02 * number
            recording.add(*_steps(number, slower, held_out_error), *_replay(number, slower))
        recording.add(*_requests(), done="all")
    return path


def _facts(device: str, weights: str) -> list[Fact]:
    target = Target(
        kind="in-process",
        engine="transformers",
        engine_version="5.0",
        model="synthetic",
        weights=weights,
        dtype="float32",
        shape=SHAPE,
        knobs={
            "batching": Value(value="static", origin=Origin.DEFAULT),
            "kv_layout": Value(value="dynamic", origin=Origin.DEFAULT),
            "prefix_caching": Value(value=False, origin=Origin.DEFAULT),
            "max_num_seqs": Value(value=4, origin=Origin.GIVEN),
        },
    )
    device_facts: dict[str, object] = {
        "name": "NVIDIA H100 80GB HBM3" if device == "cuda" else "Synthetic CPU",
        "kind": device,
        "count": 1,
        "memory_bytes": 1 << 34,
        "peak_flops": TRUTH.peaks.flops_per_s,
        "peak_bandwidth_bytes_per_s": TRUTH.peaks.bandwidth_bytes_per_s,
    }
    kv: dict[str, object] = {
        "bytes_per_token": 16384,
        "bytes_per_token_formula": 16384,
        "element_bytes": 4,
        "capacity_tokens": 65536,
        "usage_peak_share": 0.01,
        "waste_share": {"static": 0.8, "dynamic": 0.5, "paged": 0.05},
        "ramp/1": {"seqs": 1, "tokens": 100, "bytes": 1638400, "s": 0.01},
    }
    itl = {"p50": 0.01, "p95": 0.02, "p99": 0.03, "samples": 800}
    return [
        *target_facts(target),
        *(Fact(subject="device", name=n, value=v) for n, v in device_facts.items()),
        *(Fact(subject="kv", name=n, value=v) for n, v in kv.items()),
        Fact(subject="kv", name="max_concurrency", value=None, why="the time set aside for it"),
        Fact(subject="workload", name="probe", value="chat"),
        Fact(subject="workload", name="scale", value=0.1, why="the context is short"),
        Fact(subject="replay", name="itl_s", value=itl),
    ]


def _steps(number: int, slower: float, held_out_error: float) -> Iterable[Sample]:
    loads = [
        *((Role.FIT, Phase.PREFILL, _prefill(*p)) for p in PREFILLS),
        *((Role.FIT, Phase.DECODE, decode_load(seqs=b, context_tokens=c)) for b, c in DECODES),
        *((Role.HELD_OUT, Phase.PREFILL, _prefill(*p)) for p in HELD_OUT_PREFILLS),
        *(
            (Role.HELD_OUT, Phase.DECODE, decode_load(seqs=b, context_tokens=c))
            for b, c in HELD_OUT_DECODES
        ),
    ]
    for place, (role, phase, load) in enumerate(loads):
        error = held_out_error if role is Role.HELD_OUT else 0.0
        seconds = TRUTH.seconds(load) * slower * (1 + error)
        yield _sample(f"step-{place}", role, phase, number, load, seconds)


def _prefill(seqs: int, new: int, cached: int) -> StepLoad:
    return prefill_load(new_tokens=new, cached_tokens=cached, seqs=seqs)


def _replay(number: int, slower: float) -> Iterable[Sample]:
    for place, batch in enumerate(BATCHES):
        width, longest = max(p for p, _ in batch), max(o for _, o in batch)
        name, seqs, steps = f"replay-{place}", len(batch), longest - 1
        prefill = prefill_load(new_tokens=width, seqs=seqs)
        seconds = TRUTH.seconds(prefill) * slower
        yield _sample(name, Role.REPLAY, Phase.PREFILL, number, prefill, seconds)
        first = decode_load(seqs=seqs, context_tokens=width)
        summed = StepLoad(
            decode_seqs=seqs * steps,
            decode_context_tokens=seqs * (steps * width + steps * (steps - 1) / 2),
        )
        seconds = sum(TRUTH.run_s(first, steps).values()) * slower
        yield _sample(name, Role.REPLAY, Phase.DECODE, number, summed, seconds, steps=steps)


def _sample(  # noqa: PLR0917 - the columns of a row, in order
    task: str,
    role: Role,
    phase: Phase,
    number: int,
    load: StepLoad,
    seconds: float,
    steps: int = 1,
) -> Sample:
    return Sample(
        task=task,
        role=role,
        phase=phase,
        round=number,
        t_s=float(number),
        seconds=seconds,
        wall_s=seconds,
        clock="thread_time",
        steps=steps,
        prefill_tokens=load.prefill_tokens,
        prefill_pairs=load.prefill_pairs,
        prefill_seqs=load.prefill_seqs,
        decode_seqs=load.decode_seqs,
        decode_context_tokens=load.decode_context_tokens,
    )


def _requests() -> Iterable[RequestRow]:
    for place, batch in enumerate(BATCHES):
        for prompt, output in batch:
            yield RequestRow(
                task=f"replay-{place}",
                batch=place,
                prompt_tokens=prompt,
                output_tokens=output,
                prefix_id=0,
                prefix_tokens=PREFIX_TOKENS,
                ttft_s=0.1,
                e2e_s=0.1 + 0.01 * output,
            )
