"""The form of a step's time: ideal seconds of each cause, from shape, load and peaks.

A step is modelled as a sum of non-negative multiples of these columns. The sum is as accurate
as a soft maximum of compute and bandwidth on real devices, far better than a hard one, and it
is linear: a bounded least-squares fit finds the multiples, and the split by cause comes free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.target import work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from costaudit.target.load import StepLoad
    from costaudit.target.shape import ModelShape

TERMS = (
    "overhead",  # c0: launch, scheduling, host gaps, per step
    "sequences",  # cB: host work per row
    "weights",
    "kv",
    "decode_compute",
    "prefill_compute",
    "link",
)

# What the fit solves for. Most columns are a term of their own; two terms have two columns.
COLUMN_TERM: Mapping[str, str] = {
    "overhead": "overhead",  # coefficient: seconds per step
    "sequences": "sequences",  # coefficient: seconds per sequence
    # coefficient: seconds that a step takes longer with many rows, half of them with two: kernels
    # for several rows, and a front end that streams to several clients beside the engine
    "together": "overhead",
    "prompts": "sequences",  # coefficient: seconds more per prompt, for what else enters with it
    "weights": "weights",  # coefficient: multiple of reading the weights once at peak
    "weights_gemm": "weights",  # more of it once a step has several rows (GEMV → GEMM kernels)
    "kv": "kv",  # coefficient: multiple of reading the context's cache at peak
    "decode_compute": "decode_compute",  # coefficient: multiple of the FLOPs at peak
    "prefill_compute": "prefill_compute",  # likewise
    "prefill_attention": "prefill_compute",  # more of it for attention's part of the FLOPs
    "link": "link",  # coefficient: multiple of the all-reduced bytes at the link's peak
    "link_latency": "link",  # coefficient: seconds per collective
}
COLUMNS = tuple(COLUMN_TERM)
# No part of a step's time; coefficients: seconds per request outside the steps, and seconds for
# which a request keeps the server's front end to itself, so that others wait behind it.
REQUEST, FRONT = "request", "front"

COLLECTIVES_PER_LAYER = 2  # tensor parallelism: one all-reduce after attention, one after the MLP
ACTIVATION_BYTES = 2.0  # 16-bit activations cross the link, whatever the weights' precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the hardware of one replica can do at best (all its devices together).

    A replica has `devices` for each of its pipeline `stages`.
    """

    flops_per_s: float  # dense, at the dtype the weights are multiplied in
    bandwidth_bytes_per_s: float
    link_bytes_per_s: float | None = None  # of one device, per direction; None: unknown
    devices: int = 1  # tensor-parallel degree
    stages: int = 1  # pipeline-parallel degree


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A model on its hardware, at its precision: all that the columns depend on beside the load."""

    shape: ModelShape
    peaks: Peaks
    param_bytes: float  # bytes per weight
    kv_element_bytes: float


def columns(load: StepLoad, hosted: Hosted) -> dict[str, float]:
    """Value of each column for one step: seconds at the peaks, or counts for the overheads.

    Weights and FLOPs as `target.work` counts them. Where there are more devices than KV heads,
    each device reads a copy of the cache (one latent head: all of them do). A ring all-reduce
    moves 2·(n-1)/n of the activations over each device's link; between two pipeline stages they
    cross it once. The load is one part of a pipeline's, which passes the stages one by one.
    """
    shape, peaks = hosted.shape, hosted.peaks
    devices, rows, hops = peaks.devices, load.rows, peaks.stages - 1
    flops = peaks.flops_per_s / peaks.stages  # of the stage at work
    bandwidth = peaks.bandwidth_bytes_per_s / peaks.stages
    weights_s = work.weight_bytes(shape, rows, hosted.param_bytes) / bandwidth
    kv_s = work.decode_kv_bytes(shape, load, hosted.kv_element_bytes) / bandwidth
    collectives = COLLECTIVES_PER_LAYER * shape.layers if devices > 1 else 0
    ring_s = 0.0
    if peaks.link_bytes_per_s:
        activations_s = rows * shape.hidden * ACTIVATION_BYTES / peaks.link_bytes_per_s
        ring_s = (collectives * 2.0 * (devices - 1) / devices + hops) * activations_s
    kv_heads = 1 if shape.latent is not None else shape.kv_heads
    compute_s = linear_s = 0.0
    if load.prefill_tokens:
        compute_s = work.prefill_flops(shape, load) / flops
        linear_s = work.prefill_linear_flops(shape, load) / flops
    return {
        "overhead": 1.0,
        "sequences": load.decode_seqs + load.prefill_seqs,
        "together": 1.0 - 1.0 / max(load.decode_seqs + load.prefill_seqs, 1.0),
        "prompts": load.prefill_seqs,
        "weights": weights_s,
        "weights_gemm": weights_s if rows > 1 else 0.0,
        "kv": kv_s * max(1.0, devices / kv_heads),
        "decode_compute": work.decode_flops(shape, load) / flops,
        "prefill_compute": compute_s,
        "prefill_attention": compute_s - linear_s,
        "link": ring_s,
        "link_latency": float(collectives + hops),
    }
