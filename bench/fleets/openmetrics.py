"""A made-up fleet's metrics as OpenMetrics text, and as blocks of a Prometheus by `promtool`.

One file for each two hours: `promtool` reads a file once for each block that it makes of it.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fleets.replica import Life, Model, State, live

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from fleets.replica import Ticks

BLOCK_S = 7200
REPLICAS_PER_NODE = 8
MODELS = (
    Model(
        name="llama-3.1-8b",
        gpu="NVIDIA H100 80GB HBM3",
        prompt_tokens=900,
        output_tokens=250,
        decode_step_s=0.012,
        prefill_token_s=3e-5,
        kv_tokens=400_000,
    ),
    Model(
        name="qwen3-32b",
        gpu="NVIDIA H100 80GB HBM3",
        prompt_tokens=2500,
        output_tokens=400,
        decode_step_s=0.03,
        prefill_token_s=1.1e-4,
        kv_tokens=120_000,
    ),
    Model(
        name="mistral-small",
        gpu="NVIDIA L40S",
        prompt_tokens=600,
        output_tokens=150,
        decode_step_s=0.04,
        prefill_token_s=2e-4,
        kv_tokens=90_000,
    ),
)
HEALTHY = State(name="healthy", load=0.5)
# What is the matter, and with how many replicas of twenty; the others are healthy.
STATES = (
    (State(name="kv-starved", load=1.6, kv_share=0.12), 3),
    (State(name="seats", load=2.0, seats=8), 2),
    (State(name="idle", load=0.0), 2),
    (State(name="caching-off", load=0.5, prefix_caching=False), 1),
    (State(name="restarted", load=0.5, restarts=True), 1),
    (State(name="late", load=0.5, late=True), 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A replica of the fleet with its labels, its life and the truth about it."""

    labels: str
    gpu_labels: str
    new_dcgm: bool
    model: Model
    state: State
    life: Life
    pod: str


def fleet(
    *, replicas: int, hours: float, tick_s: int, end_s: int, seed: int = 0
) -> Iterator[Member]:
    """All members, one after the other; the last tick is at `end_s`."""
    ticks = int(hours * 3600 / tick_s) + 1
    start_s = end_s - (ticks - 1) * tick_s
    states = [state for state, many in STATES for _ in range(many)]
    states += [HEALTHY] * (20 - len(states))
    for number in range(replicas):
        model, state = MODELS[number % len(MODELS)], states[number % 20]
        life = live(model, state, ticks=ticks, tick_s=tick_s, start_s=start_s, seed=seed + number)
        yield _member(number, model, state, life)


def _member(number: int, model: Model, state: State, life: Life) -> Member:
    node, slot = divmod(number, REPLICAS_PER_NODE)
    instance = f"10.1.{node // 250}.{node % 250 + 1}:{8000 + slot}"
    pod, where = f"{model.name}-{number:04d}", f'namespace="prod",node="gpu-{node:03d}"'
    labels = f'{where},job="vllm",instance="{instance}",pod="{pod}",model_name="{model.name}"'
    gpu = (
        f'Hostname="gpu-{node:03d}",instance="10.1.{node // 250}.{node % 250 + 1}:9400",job="dcgm",'
        f'gpu="{slot}",UUID="GPU-{number:08x}",modelName="{model.gpu}",'
        f'exported_namespace="prod",exported_pod="{pod}"'
    )
    return Member(
        labels=labels,
        gpu_labels=gpu,
        new_dcgm=node % 2 == 1,
        model=model,
        state=state,
        life=life,
        pod=pod,
    )


def series_of(member: Member) -> Iterator[tuple[str, str, Ticks]]:
    """Family, labels and the values at all ticks, of every series that the member would export."""
    own, (gauges, totals) = f'{member.labels},engine="0"', (member.life.gauges, member.life.totals)
    nothing = gauges["kv"] * 0
    caching = member.state.prefix_caching
    hits = totals["prompt"] - totals["computed"]
    whole_s = totals["queue_s"] + totals["prefill_s"] + totals["gaps_s"]
    yield "vllm:num_requests_running", own, gauges["running"]
    yield "vllm:num_requests_waiting", own, gauges["waiting"]
    yield "vllm:num_requests_waiting_by_reason", f'{own},reason="capacity"', gauges["waiting"]
    yield "vllm:kv_cache_usage_perc", own, gauges["kv"]
    yield "vllm:num_preemptions_total", own, totals["preemptions"]
    yield "vllm:prompt_tokens_total", own, totals["prompt"]
    yield "vllm:generation_tokens_total", own, totals["generated"]
    computed = f'{own},source="local_compute"'
    yield "vllm:prompt_tokens_by_source_total", computed, totals["computed"]
    yield "vllm:prefix_cache_queries_total", own, totals["prompt"] if caching else nothing
    yield "vllm:prefix_cache_hits_total", own, hits if caching else nothing
    yield "vllm:request_success_total", f'{own},finished_reason="stop"', totals["requests"]
    yield "vllm:request_success_total", f'{own},finished_reason="length"', nothing
    for name, amount, count in (
        ("iteration_tokens_total", totals["generated"] + totals["prompt"], totals["steps"]),
        ("inter_token_latency_seconds", totals["gaps_s"], totals["generated"] - totals["requests"]),
        ("time_to_first_token_seconds", totals["prefill_s"] + totals["queue_s"], None),
        ("request_queue_time_seconds", totals["queue_s"], None),
        ("request_prefill_time_seconds", totals["prefill_s"], None),
        ("request_decode_time_seconds", totals["gaps_s"], None),
        (
            "e2e_request_latency_seconds",
            whole_s,
            None,
        ),
    ):
        yield f"vllm:{name}_sum", own, amount
        yield f"vllm:{name}_count", own, totals["requests"] if count is None else count
    blocks = f'block_size="16",num_gpu_blocks="{int(member.model.kv_tokens / 16)}"'
    config = f'{own},{blocks},enable_prefix_caching="{caching}"'
    yield "vllm:cache_config_info", config, nothing + 1
    yield from _gpu_series(member)


def _gpu_series(member: Member) -> Iterator[tuple[str, str, Ticks]]:
    busy = 1 - np.exp(-member.life.gauges["running"])
    names = ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE")
    if member.new_dcgm:
        names = ("DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO", "DCGM_FI_PROF_DRAM_UTIL_RATIO")
    yield names[0], member.gpu_labels, busy.round(3)
    yield names[1], member.gpu_labels, (0.6 * busy).round(3)
    yield "DCGM_FI_DEV_POWER_USAGE", member.gpu_labels, (120 + 500 * busy).round()


def write_blocks(
    members: Sequence[Member], folder: Path, promtool: Path, *, tick_s: int, end_s: int
) -> int:
    """Blocks of all members' metrics in `folder`, a Prometheus' data folder; how many samples."""
    ticks = len(members[0].life.gauges["kv"])
    stamps = [end_s - tick_s * tick for tick in reversed(range(ticks))]
    cuts = [0, *(i for i in range(1, ticks) if stamps[i] // BLOCK_S != stamps[i - 1] // BLOCK_S)]
    by_family: dict[str, list[tuple[str, Ticks]]] = {}
    for member in members:
        for family, labels, values in series_of(member):
            by_family.setdefault(family, []).append((f"{family}{{{labels}}} ", values))
    with ThreadPoolExecutor(max_workers=1) as pool:  # one block is made while the next is written
        jobs: list[Future[None]] = []
        for begin, end in zip(cuts, [*cuts[1:], ticks], strict=True):
            path = folder / f"{stamps[begin]}.txt"
            _write(path, by_family, stamps, begin, end)
            if jobs:
                jobs[-1].result()
            jobs.append(pool.submit(_block, promtool, path, folder))
        for job in jobs:
            job.result()
    return ticks * sum(len(rows) for rows in by_family.values())


def _write(
    path: Path,
    by_family: Mapping[str, Sequence[tuple[str, Ticks]]],
    stamps: Sequence[int],
    begin: int,
    end: int,
) -> None:
    times = [f" {stamp}\n" for stamp in stamps[begin:end]]
    with path.open("w") as file:
        for rows in by_family.values():
            for start, values in rows:
                pairs = zip(values[begin:end].round(4).tolist(), times, strict=True)
                lines = [f"{start}{v!r}{t}" for v, t in pairs if v == v]  # noqa: PLR0124 - NaN
                file.write("".join(lines))
        file.write("# EOF\n")


def _block(promtool: Path, path: Path, folder: Path) -> None:
    program, source, there = str(promtool), str(path), str(folder)
    command = [program, "tsdb", "create-blocks-from", "openmetrics", "--quiet", source, there]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    path.unlink()
    if done.returncode:
        raise SystemExit(f"promtool: {done.stderr.strip()[-300:]}")
